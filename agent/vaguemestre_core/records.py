"""The facts the store keeps and the services pass around: orders, documents, clients, actors, ledger entries.

Owns values only. Instants are aware UTC datetimes; durations end in ``_s`` (seconds).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum, unique

from vaguemestre_core.orders import (
    ClientId,
    DocumentId,
    HoldKind,
    OrderEvent,
    OrderId,
    OrderKind,
    OrderState,
    WaitReason,
)
from vaguemestre_core.redaction import Personal, Secret


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """Who wants something: it goes to the ledger and the traces.

    Attributes:
        user: the LGC's user identifier (opaque, not a name), or ``agent`` for the agent itself.
        role: the role in the practice, for example ``medecin`` or ``secretaire``.
        rpps: RPPS of the professional who acts (11 digits), or None.
    """

    user: str
    role: str = ""
    rpps: str | None = None


AGENT_ACTOR = Actor(user="agent", role="agent")


@unique
class Scope(StrEnum):
    """What a paired client may do."""

    READ = "read"
    ENQUEUE = "enqueue"
    CONTROL = "control"
    IDENTITY = "identity"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProductProfile:
    """What the LGC declares about itself to the national services (it belongs to each LGC, never to us).

    Attributes:
        lps_name: LPS_Nom of the VIHF.
        lps_version: LPS_Version.
        lps_id: LPS_ID, serial number of the installation.
        homologation_id: LPS_ID_HOMOLOGATION_DMP.
        nil: NIL number of the editor, or empty.
        proxy_client_id: the clientId the Proxy e-santé knows.
        oid_root: the OID branch under which this LGC's documents are numbered.
    """

    lps_name: str
    lps_version: str
    lps_id: str
    homologation_id: str
    proxy_client_id: str
    oid_root: str
    nil: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """A paired program.

    Attributes:
        client_id: opaque id given at pairing.
        name: what the person saw when pairing.
        secret_digest: hex SHA-256 of the secret's bytes (the secret has 256 random bits).
        os_identity: the operating system user allowed (``uid:1000`` or a Windows SID), or None for any.
        scopes: what it may do.
        product: its product profile, or None when it may not send.
        created_at: pairing instant.
        revoked_at: when it was revoked, or None.
    """

    client_id: ClientId
    name: str
    secret_digest: str
    os_identity: str | None
    scopes: frozenset[Scope]
    product: ProductProfile | None
    created_at: datetime
    revoked_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FrozenIds:
    """Identifiers fixed before anything may leave, so that a resend is identical.

    Attributes:
        submission_set_id: OID of the submission set.
        signature_id: OID of the signature document.
        message_id: WS-Addressing MessageID (``urn:uuid:…``).
        boundary: MIME boundary of the MTOM message.
        submission_at: the instant written in the submission set and the signature.
    """

    submission_set_id: str
    signature_id: str
    message_id: str
    boundary: str
    submission_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """One order as the store has it now.

    Attributes:
        lane: keyed pseudonym of (patient, setId); orders of one lane leave one after the other.
        professional: national identifier (PS_IdNat) under which it leaves, for example ``899700000012``.
        unique_id: OID of the document version, fixed at acceptance.
        guard_facts: what the guards look at again at claim, JSON text without personal data.
        not_before: earliest departure.
        undo_until: until then a person can stop it, whatever else was asked.
        failure_code: code of the last refusal or failure, or None.
        receipt: non-personal facts of the delivery.
        revision: number of changes of this row; grows by one each time.
    """

    order_id: OrderId
    document_id: DocumentId
    client_id: ClientId
    client_ref: str
    kind: OrderKind
    state: OrderState
    version: int
    set_id: str
    unique_id: str
    type_code: str
    professional: str
    lane: str
    guard_facts: str
    accepted_at: datetime
    state_at: datetime
    not_before: datetime
    undo_until: datetime
    attempts: int
    next_attempt_at: datetime | None
    waiting: WaitReason | None
    holds: frozenset[HoldKind]
    cancel_requested: bool
    predecessor: OrderId | None
    predecessor_unique_id: str | None
    depends_on: tuple[OrderId, ...]
    failure_code: str | None
    service_code: str | None
    doubt_since: datetime | None
    fact_version: int
    incarnation: int
    actor: Actor
    frozen_ids: FrozenIds | None
    holder: str | None
    custody_epoch: int
    receipt: tuple[tuple[str, str], ...]
    revision: int


# In a receipt: the service says that what was delivered is no longer there.
GONE_THERE = ("gone_there", "true")
# Failure code of a change that found nothing at the service to change.
NOTHING_THERE = "NOTHING_THERE"


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """When an accepted order may leave.

    Attributes:
        not_before: earliest departure.
        undo_until: end of the undo minutes on the wall clock.
        undo_s: the undo minutes themselves, seconds: they must also elapse on the boot-time clock.
        between_patients: may leave earlier when the patient's file is closed (undo still respected).
    """

    not_before: datetime
    undo_until: datetime
    undo_s: float
    between_patients: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Acceptance:
    """What a client asked to send, checked, about to be made durable.

    Attributes:
        client_ref: the LGC's reference of the document, unique for that client.
        idempotency_key: the client's key for this request, or None.
        request_digest: hex SHA-256 over the canonical metadata and the body.
        patient_key: what identifies the patient; only its keyed pseudonym is stored in clear.
        other_patient_keys: the patient's other identifiers, linked to the first for the facts.
        set_id, unique_id: OIDs for this document and version when it is new (the store keeps the first setId).
        facts: what the guards look at, now and again at claim (``vaguemestre_core.facts.keep``), JSON text.
        metadata: the document's metadata, JSON bytes; sealed.
        body: the bytes given; sealed.
        title: display name for lists; sealed apart ("card").
        holds: what a person asks; the store adds those of the guards, in the transaction that makes the order.
        fact_version: version of the facts when the request came.
        was_answered: answered before, when the keys were out of reach: its identifiers are already told.
    """

    client_id: ClientId
    client_ref: str
    actor: Actor
    idempotency_key: str | None
    request_digest: str
    kind: OrderKind
    professional: str
    patient_key: Personal
    order_id: OrderId
    document_id: DocumentId
    set_id: str
    unique_id: str
    type_code: str
    facts: str
    metadata: bytes = field(repr=False)
    body: bytes = field(repr=False)
    media_type: str
    title: Personal
    schedule: Schedule
    holds: frozenset[HoldKind]
    fact_version: int
    accepted_at: datetime
    boot_s: float
    boot_id: str
    other_patient_keys: tuple[Personal, ...] = ()
    was_answered: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """Answer to an acceptance: the order as it is now, and whether this was a replay."""

    order: Order
    replayed: bool
    superseded: OrderId | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderPatch:
    """Columns that change together with a transition. ``None`` leaves a column; ``clear`` names those set to NULL."""

    not_before: datetime | None = None
    undo_until: datetime | None = None
    next_attempt_at: datetime | None = None
    waiting: WaitReason | None = None
    failure_code: str | None = None
    service_code: str | None = None
    attempts_plus: int = 0
    frozen_ids: FrozenIds | None = None
    receipt: tuple[tuple[str, str], ...] | None = None
    doubt_since: datetime | None = None
    cancel_requested: bool | None = None
    clear: frozenset[str] = frozenset()


@unique
class PersonVerdict(StrEnum):
    """What a person establishes about an order."""

    SENT = "sent"
    NOT_SENT = "not_sent"
    ABANDON = "abandon"


@unique
class CancelAnswer(StrEnum):
    """Honest answer to a cancellation."""

    CANCELLED = "cancelled"
    TOO_LATE = "too_late"
    ASKED = "asked"


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerEntry:
    """One line of the ledger: append-only, chained, without medical or personal content.

    Attributes:
        seq: number from 1; also the number of the event a client resumes from.
        at: instant.
        kind: the order's event, or another fact (``client.paired``, ``store.opened``).
        order_id, client_id, client_ref: what it is about, or None.
        before, after: states around a transition, or None.
        detail: non-personal facts, sorted pairs.
        digest: hex SHA-256 chained over the previous digest and this line.
    """

    seq: int
    at: datetime
    kind: str
    order_id: OrderId | None
    client_id: ClientId | None
    client_ref: str | None
    actor: Actor
    before: OrderState | None
    after: OrderState | None
    detail: tuple[tuple[str, str], ...]
    previous: str
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What was just committed, told to listeners in commit order."""

    entry: LedgerEntry
    order: Order | None


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderFilter:
    """Selection of orders; every given member must match."""

    client_id: ClientId | None = None
    client_ref: str | None = None
    states: frozenset[OrderState] | None = None
    professional: str | None = None
    limit: int = 100
    after: OrderId | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredBody:
    """An opened body: what the client gave."""

    metadata: bytes = field(repr=False)
    body: bytes = field(repr=False)
    media_type: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SalvageFacts:
    """What a salvage saved of a damaged store.

    Attributes:
        orders: orders saved.
        lost: orders that something named and that could not be read.
        ledger_missing: ledger lines that could not be read.
    """

    orders: int
    lost: int
    ledger_missing: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RecoveryReport:
    """What the store found and put right when it was opened.

    Attributes:
        restored_at: when this store was last recognised as restored or copied, or None.
        salvaged: set when this store was saved from a damaged one.
        copied_at: set while it is a recognised copy whose original may be alive: nothing accepted before leaves.
    """

    unclaimed: int = 0
    doubtful: int = 0
    incarnated: int = 0
    unauthenticated: int = 0
    previous_stop_clean: bool = True
    restored_at: datetime | None = None
    copied_at: datetime | None = None
    salvaged: SalvageFacts | None = None


@unique
class AuthorityMeans(StrEnum):
    """How a professional's right to send is held."""

    PSC = "psc"  # open session of the Proxy e-santé
    CPS = "cps"
    CPE = "cpe"
    STRUCTURE = "structure"  # organisation certificate: feeding only


@dataclass(frozen=True, slots=True, kw_only=True)
class Authority:
    """Somebody may send, here, now.

    Attributes:
        professional: national identifier (PS_IdNat).
        means: how.
        service: ``dmp`` or ``mss``.
        station: the workstation that holds it.
        until: when it ends at the latest, or None when unknown.
        proxy_client_id: the LGC it is bound to, as the proxy knows it: only that LGC's orders leave under it.
    """

    professional: str
    means: AuthorityMeans
    service: str
    station: str
    until: datetime | None
    proxy_client_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ProxySession:
    """An open session of the Proxy e-santé; lives in memory only.

    Attributes:
        national_id: PS_IdNat of the professional.
        cookie: the proxy_session_id.
        session_state: the value the proxy gave, for the traces.
        opened_at: when it opened, as far as we know.
        until: when it ends at the latest.
        adopted: brought by the LGC, not opened by us.
        proxy_client_id: the LGC it was opened for: only that LGC's orders leave in it.
    """

    national_id: str
    cookie: Secret
    session_state: str
    opened_at: datetime
    until: datetime
    adopted: bool
    proxy_client_id: str


def event_kind(event: OrderEvent) -> str:
    """Name of an order's event in the ledger: ``order.<event>``."""
    return f"order.{event.value}"
