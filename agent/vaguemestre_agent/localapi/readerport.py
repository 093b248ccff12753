"""What the routes of readers, cards and codes need of the services."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from vaguemestre_agent.services.professionals import SeenProfessional as SeenProfessional
from vaguemestre_agent.services.readers import ScanEvent as ScanEvent
from vaguemestre_agent.services.readers import SeenCard as SeenCard
from vaguemestre_agent.services.readers import SeenCode as SeenCode
from vaguemestre_agent.services.readers import SeenCodes as SeenCodes
from vaguemestre_agent.services.readers import SeenReader as SeenReader
from vaguemestre_agent.services.readers import SeenReaders as SeenReaders
from vaguemestre_core.cardholders import HolderCard as HolderCard
from vaguemestre_core.readerports import CardPerson as CardPerson
from vaguemestre_core.readerports import CardPersons as CardPersons
from vaguemestre_core.readerports import Scanner as Scanner
from vaguemestre_core.records import Client
from vaguemestre_core.scans import ScanKind


class ReaderBackend(Protocol):
    """What the routes ask."""

    def now(self) -> SeenReaders:
        """Return what is seen now."""

    def listen(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Call the listener after each change; return the function that stops it."""

    def listen_scans(self, client: Client, listener: Callable[[ScanEvent], None]) -> Callable[[], None]:
        """Call the listener with each code of a scanner that the client may see; return the function that stops it."""

    def cards(self, client: Client) -> tuple[SeenCard, ...]:
        """Return the cards as this client may see them."""

    def log_in(self, client: Client, card_id: str) -> int:
        """Have a PIN asked for; raise NotFound CARD_STAY_OVER, Conflict."""

    async def log_out(self, card_id: str) -> None:
        """Close a card's session; raise NotFound CARD_STAY_OVER, Conflict, CardTrouble."""

    async def read_vitale(self, card_id: str) -> CardPersons:
        """Return the persons of a Vitale; raise NotFound CARD_STAY_OVER, CardTrouble."""

    async def confirm_vitale(self, card_id: str, reading: str, position: int) -> CardPerson:
        """Return the person chosen on a reading, read again; raise NotFound, CardTrouble, InvalidInput."""

    async def scan(self, client: Client, content: bytes, media_type: str, expected: ScanKind | None) -> SeenCodes:
        """Return the codes of an image, a PDF or a text; what the client may not see is withheld."""
