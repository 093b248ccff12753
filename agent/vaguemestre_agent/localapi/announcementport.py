"""What the route of the documents to announce needs of the services."""

from __future__ import annotations

from typing import Protocol

from vaguemestre_core.announcements import AnnouncementList
from vaguemestre_core.records import Client


class AnnouncementBackend(Protocol):
    """What the route asks."""

    async def to_announce(self, client: Client) -> AnnouncementList:
        """Return the hidden documents that the client has to announce."""
