"""Documents hidden from the patient that the doctor has to announce: which they are, and by when.

Owns the calendar: the patient is told one month after the feeding that such a document exists, and the DMP makes it
visible by itself after three. Asks nobody. Sources: SC.DMP/UX.51, SC.DMP/UX.14.BIS.
"""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, tzinfo
from typing import Protocol

from vaguemestre_core.changes import INVISIBLE_PATIENT
from vaguemestre_core.document_state import UnderWay, document_state
from vaguemestre_core.errors import InvalidInput
from vaguemestre_core.orders import ClientId
from vaguemestre_core.records import Order


@dataclass(frozen=True, slots=True, kw_only=True)
class AnnouncementSettings:
    """Calendar months after the feeding.

    Attributes:
        announce_months: the patient is told that a hidden document exists.
        visible_months: the DMP makes it visible by itself.
        listed_months: it is no longer listed here.
        limit: documents in one list, the oldest first.
    """

    announce_months: int = 1
    visible_months: int = 3
    listed_months: int = 4
    limit: int = 500

    def __post_init__(self) -> None:
        if not 1 <= self.announce_months <= self.visible_months <= self.listed_months or self.limit < 1:
            raise InvalidInput("ANNOUNCEMENTS_INVALID")


@dataclass(frozen=True, slots=True, kw_only=True)
class Announcement:
    """One document to announce.

    Attributes:
        order: the order that put its hidden version at the DMP.
        age_days: days since then, in the local calendar.
        announce_due, visible_due: the local days on which the patient is told, and sees it.
        under_way: what is asked of it and not done.
    """

    order: Order
    since: datetime
    age_days: int
    announce_due: date
    visible_due: date
    is_announce_due: bool
    is_visible_due: bool
    under_way: tuple[UnderWay, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AnnouncementList:
    """What is to announce, the oldest first; ``has_more``: the limit was reached."""

    documents: tuple[Announcement, ...]
    has_more: bool


class HiddenPort(Protocol):
    """What the store knows of hidden documents."""

    async def hidden_since(self, since: datetime, client_id: ClientId | None, limit: int) -> Sequence[Sequence[Order]]:
        """Return the documents of which a hidden version was sent since then, each with all its orders, oldest first.

        At most ``limit`` of them, of one client or of all; the version may have been shown, replaced or deleted since.
        """


def months_after(day: date, months: int) -> date:
    """Return the same day of the month, that many months later (earlier when negative), or its last one."""
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    return date(year, month + 1, min(day.day, monthrange(year, month + 1)[1]))


def announcement(
    orders: Sequence[Order], now: datetime, zone: tzinfo, settings: AnnouncementSettings
) -> Announcement | None:
    """Return what a document's orders, oldest first, leave to announce, or None: it is not hidden there any more."""
    state = document_state(orders)
    there = state.there
    if there is None or (there.visibility is not None and INVISIBLE_PATIENT not in there.visibility):
        return None
    order = next(order for order in orders if order.order_id == there.order_id)
    fed, today = there.since.astimezone(zone).date(), now.astimezone(zone).date()
    if today >= months_after(fed, settings.listed_months):
        return None
    announce_due = months_after(fed, settings.announce_months)
    visible_due = months_after(fed, settings.visible_months)
    return Announcement(
        order=order,
        since=there.since,
        age_days=(today - fed).days,
        announce_due=announce_due,
        visible_due=visible_due,
        is_announce_due=today >= announce_due,
        is_visible_due=today >= visible_due,
        under_way=state.under_way,
    )


def announcements(
    documents: Sequence[Sequence[Order]], now: datetime, zone: tzinfo, settings: AnnouncementSettings
) -> list[Announcement]:
    """Return what these documents leave to announce, the oldest first."""
    found = (announcement(orders, now, zone, settings) for orders in documents)
    return sorted((item for item in found if item is not None), key=lambda item: (item.since, item.order.order_id))
