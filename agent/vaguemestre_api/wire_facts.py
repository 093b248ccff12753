"""Wire models of facts and of batches: what a client reads and writes about patients' wishes, identities, delegations.

Owns shapes only, like ``vaguemestre_api.wire``; identifiers of a patient are redacted wherever a model is printed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from vaguemestre_api import wire


@dataclass(frozen=True, slots=True, kw_only=True)
class InsIdentifier:
    """A matricule INS and the OID of its authority."""

    matricule: str = field(repr=False)
    oid: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalIdentifier:
    """The practice's own number of a patient."""

    value: str = field(repr=False)
    oid: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PatientIdentifiers:
    """Identifiers of one patient."""

    ins: InsIdentifier | None = None
    local_id: LocalIdentifier | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ErasureRequest:
    """Whose data to erase, why, and what becomes of what waits."""

    reason: str
    waiting: str
    ins: InsIdentifier | None = None
    local_id: LocalIdentifier | None = None
    actor: wire.Actor | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewWish:
    """A patient's wish, without its reason."""

    about: str
    granted: bool
    episode: str | None = None
    care_team: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsentRequest:
    """Wishes of one patient."""

    wishes: tuple[NewWish, ...]
    identifiers: PatientIdentifiers | None = None
    actor: wire.Actor | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """A wish as it was recorded."""

    about: str
    granted: bool
    at: datetime
    actor: wire.Actor
    version: int
    episode: str | None = None
    care_team: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Consents:
    """What a patient said, and what is allowed now."""

    patient_ref: str
    feeding: bool
    consultation: bool
    mss_patient: bool
    mss_professionals: bool
    wishes: tuple[Wish, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProposedDeletion:
    """A document that is there, or may be, under an identity that changed."""

    order_id: str
    client_ref: str
    unique_id: str
    state: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FactsRecorded:
    """What a fact did to the client's orders."""

    version: int
    held: tuple[str, ...]
    freed: tuple[str, ...]
    deletions: tuple[ProposedDeletion, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentityEventRequest:
    """What happened to an identity."""

    event: str
    identifiers: PatientIdentifiers | None = None
    former: PatientIdentifiers | None = None
    identity_status: str | None = None
    actor: wire.Actor | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DelegationRequest:
    """A delegation, or its withdrawal."""

    professional: str
    station: str
    granted: bool
    type_code: str | None = None
    actor: wire.Actor | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Delegation:
    """A professional's last word about a station and a type."""

    professional: str
    station: str
    granted: bool
    at: datetime
    actor: wire.Actor
    version: int
    type_code: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DelegationList:
    """Delegations of one professional."""

    delegations: tuple[Delegation, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchDocument:
    """One document of a batch; its content is the part of the same rank."""

    client_ref: str
    metadata: Mapping[str, object] = field(repr=False)
    idempotency_key: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchRequest:
    """The documents of a batch."""

    documents: tuple[BatchDocument, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchRefusal:
    """Why one document of a batch is refused."""

    code: str
    title: str
    action: str
    errors: tuple[wire.Finding, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchOutcome:
    """What becomes of one document of a batch."""

    client_ref: str
    accepted: wire.DocumentAccepted | None = None
    refused: BatchRefusal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchAccepted:
    """The answer to a batch, in the order given."""

    documents: tuple[BatchOutcome, ...]
