"""The order (ordre d'envoi): its states, events and the one table of what may follow what.

Owns the life of an order as data. It applies nothing: the store applies a transition by compare-and-set in the
same transaction as the ledger row. Source: docs/architecture.md, "The life of an order".
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum, unique
from types import MappingProxyType
from typing import Final, NewType

OrderId = NewType("OrderId", str)
DocumentId = NewType("DocumentId", str)
ClientId = NewType("ClientId", str)
StationId = NewType("StationId", str)


@unique
class OrderKind(StrEnum):
    """What one order asks of one destination."""

    DMP_SUBMIT = "dmp.submit"  # TD2.1
    DMP_REPLACE = "dmp.replace"  # TD2.1 with RPLC
    DMP_DELETE = "dmp.delete"  # TD3.3c
    DMP_VISIBILITY = "dmp.visibility"  # TD3.3a, TD3.3b
    MSS_SEND = "mss.send"

    @property
    def service(self) -> str:
        """The service that answers: ``dmp`` or ``mss``."""
        return self.value.partition(".")[0]


@unique
class OrderState(StrEnum):
    """Where an order is. Values are stored and shown: they never change."""

    PREPARING = "preparing"
    PREPARATION_FAILED = "preparation_failed"
    DEFERRED = "deferred"
    READY = "ready"
    OFFERED = "offered"
    ENTRUSTED = "entrusted"
    CLAIMED = "claimed"
    SENDING = "sending"
    IN_DOUBT = "in_doubt"
    SENT = "sent"
    REJECTED = "rejected"
    CANCELLED = "cancelled"
    SUPERSEDED = "superseded"
    ABANDONED = "abandoned"
    UNREADABLE = "unreadable"


@unique
class OrderEvent(StrEnum):
    """What happens to an order. Values are written in the ledger: they never change."""

    ACCEPTED = "accepted"  # creation; not a transition
    PREPARED = "prepared"
    PREPARATION_REFUSED = "preparation_refused"
    DUE = "due"
    SEND_NOW = "send_now"
    OFFER = "offer"
    OFFER_ENDED = "offer_ended"
    CUSTODY_TAKEN = "custody_taken"
    CUSTODY_RELEASED = "custody_released"
    CUSTODY_LOST = "custody_lost"
    CLAIM = "claim"
    UNCLAIM = "unclaim"
    FIRST_BYTE = "first_byte"
    DELIVERED = "delivered"
    ALREADY_SO = "already_so"
    REFUSED = "refused"
    NOT_SENT = "not_sent"
    NOT_SENT_CANCELLED = "not_sent_cancelled"
    DOUBT = "doubt"
    RESTARTED = "restarted"
    FOUND_THERE = "found_there"
    FOUND_OTHER = "found_other"
    UNKNOWN_THERE = "unknown_there"
    UNKNOWN_THERE_UNPREPARED = "unknown_there_unprepared"
    UNKNOWN_THERE_CANCELLED = "unknown_there_cancelled"
    RESOLVED_SENT = "resolved_sent"
    RESOLVED_NOT_SENT = "resolved_not_sent"
    CANCEL = "cancel"
    SUPERSEDE = "supersede"
    ABANDON = "abandon"
    BODY_LOST = "body_lost"
    BODY_GIVEN = "body_given"
    PREDECESSOR_GONE = "predecessor_gone"
    INCARNATED = "incarnated"


@unique
class HoldKind(StrEnum):
    """Why an order must not leave although its state allows it; each is lifted by its own cause."""

    PERSON = "person"  # a person asked to wait
    OPPOSITION = "opposition"  # the patient opposes feeding
    CONSENT = "consent"  # the patient refuses such messages
    IDENTITY = "identity"  # the identity changed or is not qualifiée
    INTEGRITY = "integrity"  # the row is not authenticated
    TROUBLE = "trouble"  # it failed again and again while others passed: a person decides
    DELEGATION = "delegation"  # the doctor revoked the delegation it was accepted under
    SHADOW = "shadow"  # accepted in shadow mode: leaves only if a person releases it afterwards


@unique
class WaitReason(StrEnum):
    """What a READY order waits for, as last seen; shown, never a state."""

    AUTH = "auth"
    NETWORK = "network"
    SERVICE = "service"
    STATION = "station"
    PREDECESSOR = "predecessor"
    NO_DMP = "no_dmp"


_S = OrderState
_E = OrderEvent

# Anything absent is illegal. One reason a row.
TRANSITIONS: Final[Mapping[tuple[OrderState, OrderEvent], OrderState]] = MappingProxyType(
    {
        # The bytes were durable at acceptance; a worker process built the document and froze its identifiers.
        (_S.PREPARING, _E.PREPARED): _S.DEFERRED,
        (_S.PREPARING, _E.PREPARATION_REFUSED): _S.PREPARATION_FAILED,
        # Its time came, or a person wants it out now.
        (_S.DEFERRED, _E.DUE): _S.READY,
        (_S.DEFERRED, _E.SEND_NOW): _S.READY,
        # It waits for its next try: a person asks for it at once.
        (_S.READY, _E.SEND_NOW): _S.READY,
        # Another workstation has the authority. An unanswered offer changes nothing.
        (_S.READY, _E.OFFER): _S.OFFERED,
        (_S.OFFERED, _E.OFFER_ENDED): _S.READY,
        (_S.OFFERED, _E.CUSTODY_TAKEN): _S.ENTRUSTED,
        (_S.READY, _E.CUSTODY_TAKEN): _S.ENTRUSTED,  # the acceptance came after we had given the offer up
        (_S.ENTRUSTED, _E.CUSTODY_RELEASED): _S.READY,  # never started, durably fenced by the holder
        (_S.ENTRUSTED, _E.DELIVERED): _S.SENT,
        (_S.ENTRUSTED, _E.REFUSED): _S.REJECTED,
        (_S.ENTRUSTED, _E.DOUBT): _S.IN_DOUBT,
        (_S.ENTRUSTED, _E.CUSTODY_LOST): _S.IN_DOUBT,  # declared by a person: it may have started
        # A sender here took it; nothing has left.
        (_S.READY, _E.CLAIM): _S.CLAIMED,
        (_S.CLAIMED, _E.UNCLAIM): _S.READY,
        (_S.CLAIMED, _E.RESTARTED): _S.READY,
        (_S.CLAIMED, _E.FIRST_BYTE): _S.SENDING,
        # A service that refuses before any body byte (no such DMP, closed) gives a verdict too.
        (_S.CLAIMED, _E.REFUSED): _S.REJECTED,
        # What a change asks is so already at the service: nothing left.
        (_S.CLAIMED, _E.ALREADY_SO): _S.SENT,
        # The version it replaces is no longer there: it is built again without naming it.
        (_S.CLAIMED, _E.PREDECESSOR_GONE): _S.PREPARING,
        # Committed just before the first body byte: from here only a verdict ends it.
        (_S.SENDING, _E.DELIVERED): _S.SENT,
        (_S.SENDING, _E.REFUSED): _S.REJECTED,
        (_S.SENDING, _E.NOT_SENT): _S.READY,  # on the list of certain non-arrivals only
        (_S.SENDING, _E.NOT_SENT_CANCELLED): _S.CANCELLED,
        (_S.SENDING, _E.DOUBT): _S.IN_DOUBT,
        (_S.SENDING, _E.RESTARTED): _S.IN_DOUBT,  # the process died: the bytes may have arrived
        # Verdict of the service about our own uniqueId.
        (_S.IN_DOUBT, _E.FOUND_THERE): _S.SENT,
        (_S.IN_DOUBT, _E.FOUND_OTHER): _S.REJECTED,  # our uniqueId carries other bytes there
        (_S.IN_DOUBT, _E.UNKNOWN_THERE): _S.READY,
        (_S.IN_DOUBT, _E.UNKNOWN_THERE_UNPREPARED): _S.PREPARING,  # a restored store can hold these
        (_S.IN_DOUBT, _E.UNKNOWN_THERE_CANCELLED): _S.CANCELLED,
        # Verdict of a person.
        (_S.IN_DOUBT, _E.RESOLVED_SENT): _S.SENT,
        (_S.IN_DOUBT, _E.RESOLVED_NOT_SENT): _S.READY,
        # The holder's late verdict is believed at any time.
        (_S.IN_DOUBT, _E.DELIVERED): _S.SENT,
        (_S.IN_DOUBT, _E.REFUSED): _S.REJECTED,
        # Cancelled before anything left. CLAIMED too: the sender's FIRST_BYTE then fails and nothing leaves.
        (_S.PREPARING, _E.CANCEL): _S.CANCELLED,
        (_S.PREPARATION_FAILED, _E.CANCEL): _S.CANCELLED,
        (_S.DEFERRED, _E.CANCEL): _S.CANCELLED,
        (_S.READY, _E.CANCEL): _S.CANCELLED,
        (_S.CLAIMED, _E.CANCEL): _S.CANCELLED,
        (_S.REJECTED, _E.CANCEL): _S.CANCELLED,
        (_S.UNREADABLE, _E.CANCEL): _S.CANCELLED,
        # A newer wanted version takes its place.
        (_S.PREPARING, _E.SUPERSEDE): _S.SUPERSEDED,
        (_S.PREPARATION_FAILED, _E.SUPERSEDE): _S.SUPERSEDED,
        (_S.DEFERRED, _E.SUPERSEDE): _S.SUPERSEDED,
        (_S.READY, _E.SUPERSEDE): _S.SUPERSEDED,
        (_S.CLAIMED, _E.SUPERSEDE): _S.SUPERSEDED,
        (_S.REJECTED, _E.SUPERSEDE): _S.SUPERSEDED,
        (_S.UNREADABLE, _E.SUPERSEDE): _S.SUPERSEDED,
        # A person gives it up, with a reason.
        (_S.PREPARATION_FAILED, _E.ABANDON): _S.ABANDONED,
        (_S.DEFERRED, _E.ABANDON): _S.ABANDONED,
        (_S.READY, _E.ABANDON): _S.ABANDONED,
        (_S.IN_DOUBT, _E.ABANDON): _S.ABANDONED,
        (_S.REJECTED, _E.ABANDON): _S.ABANDONED,
        (_S.UNREADABLE, _E.ABANDON): _S.ABANDONED,
        # The sealed body cannot be opened: the LGC is asked for it again.
        (_S.PREPARING, _E.BODY_LOST): _S.UNREADABLE,
        (_S.DEFERRED, _E.BODY_LOST): _S.UNREADABLE,
        (_S.READY, _E.BODY_LOST): _S.UNREADABLE,
        (_S.CLAIMED, _E.BODY_LOST): _S.UNREADABLE,
        (_S.UNREADABLE, _E.BODY_GIVEN): _S.PREPARING,
        # A restored or cloned store cannot know what its other self sent since. PREPARATION_FAILED is not here: a
        # correction is another order, so one whose preparation failed never left under its own uniqueId.
        (_S.PREPARING, _E.INCARNATED): _S.IN_DOUBT,
        (_S.DEFERRED, _E.INCARNATED): _S.IN_DOUBT,
        (_S.READY, _E.INCARNATED): _S.IN_DOUBT,
        (_S.OFFERED, _E.INCARNATED): _S.IN_DOUBT,
        (_S.ENTRUSTED, _E.INCARNATED): _S.IN_DOUBT,
        (_S.CLAIMED, _E.INCARNATED): _S.IN_DOUBT,
        (_S.SENDING, _E.INCARNATED): _S.IN_DOUBT,
        (_S.UNREADABLE, _E.INCARNATED): _S.IN_DOUBT,
    }
)

# Ends: nothing leaves by itself any more. REJECTED reopens by a correction, UNREADABLE by its body.
TERMINAL: Final = frozenset({_S.SENT, _S.CANCELLED, _S.SUPERSEDED, _S.ABANDONED})
# Ends of what the machine does alone: a person has the next word.
SETTLED: Final = TERMINAL | {_S.REJECTED, _S.UNREADABLE, _S.PREPARATION_FAILED}
# From here it may leave (again): an order whose cancellation was asked is cancelled as soon as it comes here.
MAY_LEAVE: Final = frozenset({_S.PREPARING, _S.DEFERRED, _S.READY, _S.CLAIMED})
# What a person asked to send: it goes before what leaves by itself.
ASKED_NOW: Final = frozenset({_E.SEND_NOW, _E.RESOLVED_NOT_SENT})
# Owned elsewhere or on the wire: a cancellation can only be asked.
CANCEL_ASKED_ONLY: Final = frozenset({_S.OFFERED, _S.ENTRUSTED, _S.SENDING, _S.IN_DOUBT})


def next_state(state: OrderState, event: OrderEvent) -> OrderState | None:
    """Return the state that follows, or None when the event is illegal in that state."""
    return TRANSITIONS.get((state, event))


def can(state: OrderState, event: OrderEvent) -> bool:
    """Say whether the event is legal in that state."""
    return (state, event) in TRANSITIONS
