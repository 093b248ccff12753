"""What is known after an exchange with a service: certain, refused, not sent, or doubt.

Owns the vocabulary; each adapter owns the table that maps what it saw to one of these.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum, unique

from vaguemestre_core.orders import WaitReason


@unique
class Certainty(StrEnum):
    """How sure we are, and of what."""

    DELIVERED = "delivered"  # the service says it has our document
    REFUSED = "refused"  # the service parsed it and says no: trying the same again is useless
    NOT_SENT = "not_sent"  # certain that nothing of it is there: may be tried again
    DOUBT = "doubt"  # the bytes may have arrived


@unique
class Evidence(StrEnum):
    """What an exchange teaches about the way to a service, whatever became of the order."""

    NONE = "none"  # nothing: no exchange, or a fault of ours
    ANSWERED = "answered"  # the service answered: it works
    PROXY_ANSWERED = "proxy_answered"  # the proxy answered for itself: the way to it is open
    SERVICE_FAILED = "service_failed"  # the way is open; the service fails, is silent, or answers nonsense
    CREDENTIAL_REFUSED = "credential_refused"  # the service refuses our security header
    UNREACHABLE = "unreachable"  # the proxy was not reached, or the connection was lost


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """Result of one attempt.

    Attributes:
        certainty: what is known.
        code: our stable code (catalogue), for example ``DMP_CLOSED``.
        service_code: the service's own code as text, kept for support; never personal.
        waiting: for NOT_SENT, what the order waits for.
        retry_after_s: for NOT_SENT, the delay the service asked, seconds.
        ends_session: the proxy session used is gone.
        receipt: non-personal facts of a delivery (message ids, registry status) for the ledger.
        evidence: what the exchange teaches about the way to the service.
    """

    certainty: Certainty
    code: str
    evidence: Evidence = Evidence.NONE
    service_code: str | None = None
    waiting: WaitReason | None = None
    retry_after_s: float | None = None
    ends_session: bool = False
    receipt: tuple[tuple[str, str], ...] = ()


@unique
class Presence(StrEnum):
    """Answer of the service about one of our own uniqueIds."""

    SAME = "same"  # there, with our hash (or the service gives no hash)
    OTHER = "other"  # there, with other bytes
    ABSENT = "absent"  # parsed answer: not there
    UNKNOWN = "unknown"  # no parsed answer


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferenceAnswer:
    """Result of a reference lookup (TD3.1 on our uniqueId).

    Attributes:
        presence: what the service says.
        code: our stable code when ``presence`` is UNKNOWN, else ``OK``.
        entry_uuid: the entry's UUID at the service; it changes with its metadata.
        logical_id: the entry's lid.
        version: the entry's version, from 1.
        is_deleted: the entry is there, marked deleted.
        visibility: its visibility codes as the service has them (without the confidentiality code).
        waiting: what hinders when UNKNOWN.
        ends_session: the proxy session used is gone.
        evidence: what the exchange teaches about the way to the service.
    """

    presence: Presence
    evidence: Evidence = Evidence.NONE
    code: str = "OK"
    entry_uuid: str | None = None
    logical_id: str | None = None
    version: int | None = None
    is_deleted: bool = False
    visibility: frozenset[str] = frozenset()
    waiting: WaitReason | None = None
    ends_session: bool = False

    @property
    def teaches(self) -> Evidence:
        """What it teaches: a parsed answer says that the service works."""
        return self.evidence if self.presence is Presence.UNKNOWN else Evidence.ANSWERED


@dataclass(frozen=True, slots=True, kw_only=True)
class ExistenceAnswer:
    """Result of TD0.2: does an active DMP exist for this INS.

    Attributes:
        exists: True, False, or None when no parsed answer came.
        active: the DMP accepts feeding (False: closed).
        authorised: the professional's consultation authorisation as the DMP says it, or None.
        attached_to_ens: attached to Mon espace santé, or None.
        code: our stable code.
        waiting: what hinders when ``exists`` is None.
        ends_session: the proxy session used is gone.
        evidence: what the exchange teaches about the way to the service.
    """

    exists: bool | None
    evidence: Evidence = Evidence.NONE
    active: bool | None = None
    authorised: bool | None = None
    attached_to_ens: bool | None = None
    code: str = "OK"
    service_code: str | None = None
    waiting: WaitReason | None = None
    ends_session: bool = False

    @property
    def teaches(self) -> Evidence:
        """What it teaches: a parsed answer says that the service works."""
        return self.evidence if self.exists is None else Evidence.ANSWERED
