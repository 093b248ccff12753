"""What a document is, read from all its orders together: what is at the service, what is under way, and one word.

Owns that reading and nothing else: it looks at orders, asks nobody and changes nothing. What happened there without us
(the patient, the DMP after three months) is known only when a lookup of ours met it. Source: docs/api.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum, unique
from typing import Final

from vaguemestre_core.changes import CHANGES, visibility_of
from vaguemestre_core.orders import TERMINAL, HoldKind, OrderId, OrderKind, OrderState
from vaguemestre_core.records import GONE_THERE, NOTHING_THERE, Order


@unique
class Presence(StrEnum):
    """What is known of a document at the service. Values are shown: they never change."""

    NONE = "none"  # nothing of it ever was, by our orders
    THERE = "there"
    DELETED = "deleted"  # it was there and no longer is
    UNKNOWN = "unknown"  # a verdict is missing, or was given up


@unique
class Wish(StrEnum):
    """What an order wants of the document. Values are shown: they never change."""

    FEEDING = "feeding"
    CORRECTION = "correction"
    DELETION = "deletion"
    VISIBILITY = "visibility"


@unique
class Progress(StrEnum):
    """How far a wish is. Values are shown: they never change."""

    WAITING = "waiting"  # goes on by itself, or a hold is lifted by its own cause
    DOUBTFUL = "doubtful"
    REFUSED = "refused"
    STOPPED = "stopped"
    BODY_NEEDED = "body_needed"


@unique
class DocumentWord(StrEnum):
    """The document in one word, for ``POST /v1/reconcile``. Values are shown: they never change."""

    WAITING = "waiting"
    SENT = "sent"
    DELETED = "deleted"
    DOUBTFUL = "doubtful"
    STOPPED = "stopped"
    REFUSED = "refused"
    BODY_NEEDED = "body_needed"


@dataclass(frozen=True, slots=True, kw_only=True)
class There:
    """The last version known to be at the service.

    Attributes:
        order_id: the order that put it there.
        visibility: its codes as our orders left them; None while a change of them is in doubt.
        since: when that version was known to be there.
    """

    order_id: OrderId
    unique_id: str
    version: int
    visibility: frozenset[str] | None
    since: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class UnderWay:
    """A wish that is not done, or the last one when it was stopped."""

    wish: Wish
    progress: Progress
    order_id: OrderId


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentState:
    """All of it.

    Attributes:
        there: the last version known to be there; None when none is. With an unknown presence it may be there no more.
        under_way: oldest first.
    """

    presence: Presence
    there: There | None
    under_way: tuple[UnderWay, ...]
    word: DocumentWord


_WISHES: Final = {
    OrderKind.DMP_SUBMIT: Wish.FEEDING,
    OrderKind.DMP_REPLACE: Wish.CORRECTION,
    OrderKind.DMP_DELETE: Wish.DELETION,
    OrderKind.DMP_VISIBILITY: Wish.VISIBILITY,
    OrderKind.MSS_SEND: Wish.FEEDING,
}
_PROGRESS: Final = {
    OrderState.PREPARING: Progress.WAITING,
    OrderState.PREPARATION_FAILED: Progress.REFUSED,
    OrderState.DEFERRED: Progress.WAITING,
    OrderState.READY: Progress.WAITING,
    OrderState.OFFERED: Progress.WAITING,
    OrderState.ENTRUSTED: Progress.WAITING,
    OrderState.CLAIMED: Progress.WAITING,
    OrderState.SENDING: Progress.WAITING,
    OrderState.IN_DOUBT: Progress.DOUBTFUL,
    OrderState.REJECTED: Progress.REFUSED,
    OrderState.UNREADABLE: Progress.BODY_NEEDED,
    OrderState.CANCELLED: Progress.STOPPED,
    OrderState.ABANDONED: Progress.STOPPED,
}
_BY_PRESENCE: Final = {
    Presence.NONE: DocumentWord.STOPPED,
    Presence.THERE: DocumentWord.SENT,
    Presence.DELETED: DocumentWord.DELETED,
    Presence.UNKNOWN: DocumentWord.DOUBTFUL,
}
# A verdict decides what these did there.
_AWAY: Final = frozenset({OrderState.ENTRUSTED, OrderState.SENDING, OrderState.IN_DOUBT})


def version_there(orders: Sequence[Order]) -> Order | None:
    """Return, of a document's orders oldest first, the one whose version our verdicts say is at the service."""
    there: Order | None = None
    for order in orders:
        if order.state is not OrderState.SENT:
            continue
        if order.kind not in CHANGES:
            there = None if GONE_THERE in order.receipt else order
        elif order.kind is OrderKind.DMP_DELETE:
            there = None
    return there


def document_state(orders: Sequence[Order]) -> DocumentState:
    """Return what a document's orders, oldest first, say together; there is at least one."""
    presence, there = _presence(orders), version_there(orders)
    under_way = tuple(_under_way(orders))
    return DocumentState(
        presence=presence,
        there=None if there is None else _shown(there, orders),
        under_way=under_way,
        word=_word(orders, presence),
    )


def _is_set_aside(order: Order) -> bool:
    """Say whether it is what a person left of a row that was not ours: nothing in it counts."""
    return order.state is OrderState.ABANDONED and HoldKind.INTEGRITY in order.holds


def _is_unknown(order: Order) -> bool:
    """Say whether what this order did at the service is not known: on its way, given up in doubt, or not ours."""
    if _is_set_aside(order):
        return False
    is_given_up = order.state is OrderState.ABANDONED and order.doubt_since is not None
    return order.state in _AWAY or is_given_up or HoldKind.INTEGRITY in order.holds


def _presence(orders: Sequence[Order]) -> Presence:
    presence = Presence.NONE
    for order in orders:
        is_sent, is_visibility = order.state is OrderState.SENT, order.kind is OrderKind.DMP_VISIBILITY
        if _is_unknown(order):
            if not is_visibility:
                presence = Presence.UNKNOWN
        elif is_sent and order.kind is OrderKind.DMP_DELETE:
            presence = Presence.DELETED
        elif is_sent and not is_visibility:
            presence = Presence.DELETED if GONE_THERE in order.receipt else Presence.THERE
    return presence


def visibility_there(there: Order, orders: Sequence[Order]) -> frozenset[str] | None:
    """Return the visibility of the version there, as our orders left it; None while a change of it is in doubt."""
    visibility: frozenset[str] | None = visibility_of(there.guard_facts)
    position = next(number for number, order in enumerate(orders) if order.order_id == there.order_id)
    for order in orders[position + 1 :]:
        if order.kind is not OrderKind.DMP_VISIBILITY:
            continue
        if _is_unknown(order):
            visibility = None
        elif order.state is OrderState.SENT:
            visibility = visibility_of(order.guard_facts)
    return visibility


def _shown(there: Order, orders: Sequence[Order]) -> There:
    return There(
        order_id=there.order_id,
        unique_id=there.unique_id,
        version=there.version,
        visibility=visibility_there(there, orders),
        since=there.state_at,
    )


def _under_way(orders: Sequence[Order]) -> list[UnderWay]:
    last = next((order for order in reversed(orders) if not _is_void(order)), None)
    return [
        UnderWay(wish=_WISHES[order.kind], progress=_PROGRESS[order.state], order_id=order.order_id)
        for order in orders
        if order.state not in TERMINAL or (order is last and order.state in _PROGRESS)
    ]


def _is_void(order: Order) -> bool:
    """Say whether nothing remains of this wish: a newer one took its place, or there was nothing to change."""
    return order.state is OrderState.SUPERSEDED or order.failure_code == NOTHING_THERE


def _word(orders: Sequence[Order], presence: Presence) -> DocumentWord:
    for order in reversed(orders):
        is_refused_change = order.kind in CHANGES and order.state is OrderState.REJECTED
        if order.state in TERMINAL or is_refused_change:  # a refused change left everything as it was there
            continue
        if HoldKind.INTEGRITY in order.holds:
            return DocumentWord.DOUBTFUL
        return DocumentWord(_PROGRESS[order.state].value)
    return _BY_PRESENCE[presence]
