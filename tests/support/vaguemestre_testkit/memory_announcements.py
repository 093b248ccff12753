"""Hidden documents to announce, of the backend in memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from vaguemestre_core.announcements import AnnouncementList, AnnouncementSettings, announcements
from vaguemestre_core.records import Client, Order


class MemoryAnnouncements:
    """``AnnouncementBackend`` over the orders visible to a client, given newest first."""

    def __init__(self, visible: Callable[[Client], Sequence[Order]], now: Callable[[], datetime]) -> None:
        self._visible = visible
        self._now = now

    async def to_announce(self, client: Client) -> AnnouncementList:
        """Look at every document."""
        documents: dict[str, list[Order]] = {}
        for order in reversed(self._visible(client)):
            documents.setdefault(order.document_id, []).append(order)
        found = announcements(list(documents.values()), self._now(), UTC, AnnouncementSettings())
        return AnnouncementList(documents=tuple(found), has_more=False)
