"""Wire models of the local API: what a client reads and writes, one frozen dataclass per schema of ``openapi.json``.

Owns shapes only; every field has the meaning that the OpenAPI document gives it (a test compares both). Enumerations
are plain strings here: an old client must live with a value it does not know.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from vaguemestre_api.jsontypes import JsonScalar


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """Who asks: written in the ledger and the traces."""

    user: str
    role: str
    rpps: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Product:
    """What the software declares of itself to the national services."""

    lps_name: str
    lps_version: str
    lps_id: str
    homologation_id: str
    proxy_client_id: str
    oid_root: str
    nil: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """An order as it is now."""

    order_id: str
    document_id: str
    client_id: str
    client_ref: str
    kind: str
    state: str
    version: int
    set_id: str
    unique_id: str
    type_code: str
    professional: str
    accepted_at: datetime
    state_at: datetime
    not_before: datetime | None
    undo_until: datetime | None
    attempts: int
    next_attempt_at: datetime | None
    waiting: str | None
    holds: tuple[str, ...]
    cancel_requested: bool
    predecessor: str | None
    depends_on: tuple[str, ...]
    failure_code: str | None
    service_code: str | None
    doubt_since: datetime | None
    actor: Actor
    receipt: Mapping[str, str]
    revision: int
    title: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentAccepted:
    """Answer to a deposit: durable when it is read."""

    order: Order
    replayed: bool
    superseded: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderPage:
    """One page of orders, newest first; ``next`` continues it."""

    orders: tuple[Order, ...]
    next: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardAnswer:
    """One guard's answer, with its French sentence and action."""

    guard: str
    passed: bool
    code: str
    title: str
    action: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Why:
    """Why an order has not left, and the one thing that would let it leave."""

    order: Order
    guards: tuple[GuardAnswer, ...]
    blocking: str
    blocking_title: str
    would_let_it_leave: str
    action: str
    next_try_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelAnswer:
    """Honest answer to a cancellation: cancelled, too_late or asked."""

    answer: str
    order: Order


@dataclass(frozen=True, slots=True, kw_only=True)
class VisibilityRequest:
    """The visibility codes wanted, all of them; none: visible to all."""

    visibility: tuple[str, ...]
    actor: Actor | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeAccepted:
    """What becomes of a deletion or a change of visibility."""

    answer: str
    order: Order
    replayed: bool
    stopped: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ActorRequest:
    """Body of a write that carries nothing else."""

    actor: Actor | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolveRequest:
    """A person's verdict on an order, with its reason as a code."""

    verdict: str
    reason: str
    actor: Actor | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReconcileRequest:
    """References to compare."""

    client_refs: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconciliation:
    """Status of each reference."""

    documents: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class PatientContextRequest:
    """A patient's file was opened or closed; nothing says whose."""

    open: bool
    actor: Actor | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PatientContext:
    """How many orders were brought forward."""

    brought_forward: int


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthItem:
    """One checked thing, with its French sentence and action."""

    code: str
    ok: bool
    title: str
    action: str
    params: Mapping[str, JsonScalar]


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """State of the agent, nothing about patients."""

    version: str
    ready: bool
    items: tuple[HealthItem, ...]
    counts: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Authority:
    """Somebody may send, from here, now."""

    professional: str
    means: str
    service: str
    station: str
    proxy_client_id: str
    until: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """Who may send from here."""

    authorities: tuple[Authority, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenSessionRequest:
    """A person asks to open a session."""

    national_id: str
    channel: str
    mode: str
    actor: Actor | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionOffer:
    """What the person must do to open the session."""

    session_request: str
    binding_code: str | None = None
    url: str | None = None
    expires_in_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class AdoptSessionRequest:
    """The software's own proxy session, to be adopted."""

    national_id: str
    cookie: str = field(repr=False)
    session_state: str
    until_s: float | None = None
    actor: Actor | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerLine:
    """One line of the ledger."""

    seq: int
    at: datetime
    kind: str
    order_id: str | None = None
    client_id: str | None = None
    client_ref: str | None = None
    actor: Actor
    before: str | None = None
    after: str | None = None
    detail: Mapping[str, str]
    previous: str
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerPage:
    """Ledger lines, oldest first; ``next`` continues, None when all was read."""

    lines: tuple[LedgerLine, ...]
    next: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerVerification:
    """The chain was recomputed and is whole."""

    lines: int
    head: str


@dataclass(frozen=True, slots=True, kw_only=True)
class IndicatorRow:
    """Counts of one operation; a dimension that was not asked for is null."""

    operation: str
    type_code: str | None
    professional: str | None
    structure: str | None
    successes: int
    successes_qualified: int
    successes_not_qualified: int
    failures: int
    failures_qualified: int
    failures_not_qualified: int


@dataclass(frozen=True, slots=True, kw_only=True)
class IndicatorPeriod:
    """A period in local time, its end excluded, and its counts."""

    name: str
    start: datetime
    end: datetime
    rows: tuple[IndicatorRow, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Indicators:
    """What fed the DMP, period by period."""

    periods: tuple[IndicatorPeriod, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ErasureReport:
    """What an erasure did."""

    documents: int
    bodies: int
    cancelled: int
    on_their_way: int
    log_emptied: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Backup:
    """One backup of this store."""

    name: str
    made_at: datetime
    size_bytes: int
    orders: int
    open_orders: int
    bodies: int
    ledger_lines: int
    ledger_head: str
    opens_with_recovery_key: bool
    faults: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupList:
    """The known backups, newest first."""

    backups: tuple[Backup, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One numbered change, and its order as it is now."""

    line: LedgerLine
    order: Order | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """Part of the client's active orders; ``at`` is the number of the last change included."""

    orders: tuple[Order, ...]
    last: bool
    at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Resync:
    """What came before is lost for this stream: a full state follows."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenPairingRequest:
    """Scopes offered to the next pairing."""

    scopes: tuple[str, ...]
    actor: Actor | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PairingCode:
    """One-time code."""

    code: str = field(repr=False)
    expires_in_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class PairingRequest:
    """Pairing by code."""

    code: str = field(repr=False)
    name: str
    product: Product | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """A paired program."""

    client_id: str
    name: str
    os_identity: str | None = None
    scopes: tuple[str, ...]
    product: Product | None = None
    created_at: datetime
    revoked_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PairedClient:
    """A program just paired; the secret is shown once."""

    client: Client
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientList:
    """All paired programs."""

    clients: tuple[Client, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One defect and its place."""

    pointer: str
    code: str
    title: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """A problem (RFC 9457) as the agent answers it."""

    type: str
    status: int
    code: str
    title: str
    detail: str
    recovery: str
    action: str
    link: str
    support_id: str
    params: Mapping[str, JsonScalar]
    errors: tuple[Finding, ...] = ()
