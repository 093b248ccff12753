"""The list of hidden documents to announce, for a client or for the whole workstation. Reads, never writes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo

from vaguemestre_core.announcements import (
    AnnouncementList,
    AnnouncementSettings,
    HiddenPort,
    announcements,
    months_after,
)
from vaguemestre_core.ports import ClockPort
from vaguemestre_core.records import Client, Scope


@dataclass(frozen=True, slots=True, kw_only=True)
class AnnouncementService:
    """Lists what is to announce; months are those of the calendar in ``zone``."""

    store: HiddenPort
    clock: ClockPort
    zone: tzinfo
    settings: AnnouncementSettings

    async def to_announce(self, client: Client) -> AnnouncementList:
        """Return the hidden documents to announce; a client sees its own, ``admin`` those of all."""
        now, limit = self.clock.now(), self.settings.limit
        oldest = months_after(now.astimezone(self.zone).date(), -self.settings.listed_months) - timedelta(days=1)
        since = datetime(oldest.year, oldest.month, oldest.day, tzinfo=self.zone)
        own = None if Scope.ADMIN in client.scopes else client.client_id
        found = await self.store.hidden_since(since, own, limit + 1)
        listed = announcements(found, now, self.zone, self.settings)
        return AnnouncementList(documents=tuple(listed[:limit]), has_more=len(found) > limit)
