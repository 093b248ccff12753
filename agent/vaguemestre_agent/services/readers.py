"""Readers, cards and codes as the practice's programs see them: state now, what changed lately, codes recognised.

Owns the names given to the stays of cards and the rule of who may see a code's content; talks to the readers process
through its port. Nothing of it is durable: readers have no history that a receipt would need.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

from vaguemestre_agent.services.professionals import ProfessionalCards, SeenProfessional
from vaguemestre_agent.services.values import HealthItem
from vaguemestre_core.cards import CardReader, CardTrouble, Insertion, ReaderState, Situation
from vaguemestre_core.errors import InvalidInput, NotFound
from vaguemestre_core.ports import ClockPort, RandomPort
from vaguemestre_core.readerports import (
    READERS_OFF,
    CardPerson,
    CardPersons,
    ProcessState,
    ReadersPicture,
    ReadersPort,
    ScannedCode,
    Scanner,
)
from vaguemestre_core.records import Client, Scope
from vaguemestre_core.redaction import SecretBytes
from vaguemestre_core.scans import OpaqueRule, RawScan, Scan, ScanKind, ScanSource
from vaguemestre_documents.scancodes.recognise import recognise

_RUN_BITS: Final = 32
_TEXT: Final = "text/plain"
# Codes that say something of a patient, or might.
_PERSONAL: Final = frozenset(ScanKind) - {ScanKind.BOX}
# Who acts for a practice may see which professional's card is in.
_SEES_HOLDERS: Final = frozenset({Scope.CONTROL, Scope.ADMIN})
_ASKER_LONGEST: Final = 100
_BOX_FAILURE: Final = "BOX_CODE_INVALID"
_SITUATIONS: Final = {
    ReaderState.MUTE: Situation.CARD_MUTE,
    ReaderState.HELD: Situation.READER_HELD,
    ReaderState.FAILING: Situation.READER_FAILING,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenReader:
    """A reader as shown.

    Attributes:
        reader: as last seen.
        card_id: names the stay of the card in it: another after the card was taken out, or the agent started again.
        situation: code of what a person can repair, or None.
    """

    reader: CardReader
    card_id: str | None
    situation: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenCard:
    """A card as shown to one client.

    Attributes:
        card_id: see ``SeenReader``.
        place: its reader.
        professional: what is known of a professional's card; None for any other.
        is_withheld: its holder is known and the client may not see whose it is.
    """

    card_id: str
    place: SeenReader
    professional: SeenProfessional | None
    is_withheld: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenReaders:
    """All readers and scanners now: the process' state, and the code of what prevents seeing readers."""

    state: ProcessState
    trouble: str | None
    readers: tuple[SeenReader, ...]
    scanners: tuple[Scanner, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenCode:
    """One code.

    Attributes:
        page: from 0.
        kind: what it is, or None when it is one of ours and cannot be read (``failure`` says why).
        scan: its content; None when the client may not see it (``is_withheld``) or it cannot be read.
    """

    page: int
    source: ScanSource
    kind: ScanKind | None
    scan: Scan | None = field(repr=False)
    is_withheld: bool = False
    failure: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenCodes:
    """The codes of one image, PDF or text."""

    codes: tuple[SeenCode, ...]
    pages_read: int
    pages_left: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanEvent:
    """A code that a scanner has just read: told once to whoever listens then, kept nowhere."""

    scanner: str
    at: datetime
    code: SeenCode


class ReadersService:
    """See the module.

    Args:
        port: the readers process.
        clock: places the years of boxes, which have two digits.
        random: names this run.
        rules: how opaque codes begin, of the settings.
    """

    def __init__(
        self, port: ReadersPort, clock: ClockPort, random: RandomPort, rules: Sequence[OpaqueRule] = ()
    ) -> None:
        self._port = port
        self._clock = clock
        self._professionals = ProfessionalCards(port, clock)
        self._rules = tuple(rules)
        self._run = f"{random.bits(_RUN_BITS):08x}"

    async def run(self) -> None:
        """Read the professionals' cards that come, for ever; ends by cancellation."""
        await self._professionals.run()

    def now(self) -> SeenReaders:
        """Return what is seen now."""
        picture = self._port.picture
        return SeenReaders(
            state=picture.state,
            trouble=trouble_of(picture),
            readers=tuple(self._seen(picture, reader) for reader in picture.readers),
            scanners=picture.scanners,
        )

    def listen(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Call the listener after each change; return the function that stops it."""
        stops = (self._port.listen(lambda _: listener()), self._professionals.listen(listener))

        def stop() -> None:
            for one in stops:
                one()

        return stop

    def listen_scans(self, client: Client, listener: Callable[[ScanEvent], None]) -> Callable[[], None]:
        """Call the listener with each code that a scanner reads and this client may see.

        Other codes are not told at all: not even that there was one. Returns the function that stops it.
        """

        def take(scanned: ScannedCode) -> None:
            code = self._code(client, 0, scanned.raw, None)
            if code.kind is ScanKind.BOX or code.failure == _BOX_FAILURE or Scope.IDENTITY in client.scopes:
                listener(ScanEvent(scanner=scanned.scanner, at=self._clock.now(), code=code))

        return self._port.listen_scans(take)

    def cards(self, client: Client) -> tuple[SeenCard, ...]:
        """Return the cards now in the readers; whose they are, for who acts for the practice."""
        shown = []
        for seen in self.now().readers:
            if seen.card_id is None or seen.reader.insertion is None:
                continue
            card = self._professionals.seen(seen.reader.insertion)
            withheld = card is not None and card.holder is not None and not client.scopes & _SEES_HOLDERS
            if card is not None and withheld:
                card = replace(card, holder=None)
            shown.append(SeenCard(card_id=seen.card_id, place=seen, professional=card, is_withheld=withheld))
        return tuple(shown)

    def log_in(self, client: Client, card_id: str) -> int:
        """Have the PIN of a card asked for, in the client's name; return the number of this attempt.

        Raises:
            NotFound: CARD_STAY_OVER.
            Conflict: CARD_LOGIN_OPEN, CARD_NOT_PROFESSIONAL.
        """
        return self._professionals.log_in(self._stay(card_id), client.name[:_ASKER_LONGEST])

    async def log_out(self, card_id: str) -> None:
        """Close a card's session. Raises NotFound CARD_STAY_OVER, Conflict CARD_NOT_PROFESSIONAL, CardTrouble."""
        await self._professionals.log_out(self._stay(card_id))

    async def read_vitale(self, card_id: str) -> CardPersons:
        """Return the persons of the Vitale whose stay that is; each call reads the card anew.

        Raises:
            NotFound: CARD_STAY_OVER: that card was taken out, or the readers started again: choose again.
            CardTrouble: what the card or its reader says.
        """
        return await self._port.read_vitale(self._stay(card_id))

    async def confirm_vitale(self, card_id: str, reading: str, position: int) -> CardPerson:
        """Return the person chosen on an earlier reading, from a new one of the card whose stay that is now.

        Raises:
            NotFound: CARD_STAY_OVER.
            CardTrouble: CARD_CHANGED: it is another card, or its content changed; and what the card says.
            InvalidInput: VITALE_BENEFICIARY_INVALID.
        """
        return await self._port.confirm_vitale(self._stay(card_id), reading, position)

    async def scan(self, client: Client, content: bytes, media_type: str, expected: ScanKind | None) -> SeenCodes:
        """Return the codes of an image or a PDF, or what a code given as text says.

        Raises:
            InvalidInput: SCAN_INVALID, READERS_OFF, what the decoder refuses.
            CardTrouble: READERS_PROCESS_DOWN, DECODER_ABSENT.
        """
        if media_type.partition(";")[0].strip() == _TEXT:
            raw = RawScan(content=SecretBytes(content), source=ScanSource.TEXT)
            return SeenCodes(codes=(self._code(client, 0, raw, expected),), pages_read=1, pages_left=0)
        read = await self._port.read_codes(content, media_type)
        codes = tuple(self._code(client, page, raw, expected) for page, raw in read.codes)
        return SeenCodes(codes=codes, pages_read=read.pages_read, pages_left=read.pages_left)

    def health_items(self) -> Sequence[HealthItem]:
        """Say how the readers are; a workstation without readers says nothing."""
        picture = self._port.picture
        if picture.state is ProcessState.OFF:
            return ()
        trouble = trouble_of(picture)
        if trouble == READERS_OFF:  # scanners alone are wanted
            return _scanner_items(picture)
        if trouble is not None:
            return (HealthItem(code=trouble, ok=False), *_scanner_items(picture))
        return (
            HealthItem(code="READERS_OK", ok=True, params={"count": len(picture.readers)}),
            *self._professionals.health_items(),
            *_scanner_items(picture),
        )

    def _stay(self, card_id: str) -> Insertion:
        for seen in self.now().readers:
            if seen.reader.insertion is not None and seen.card_id == card_id:
                return seen.reader.insertion
        raise NotFound("CARD_STAY_OVER")

    def _seen(self, picture: ReadersPicture, reader: CardReader) -> SeenReader:
        stay = reader.insertion
        situation = _SITUATIONS.get(reader.state)
        return SeenReader(
            reader=reader,
            card_id=None if stay is None else f"{self._run}-{picture.life}-{stay}",
            situation=None if situation is None else situation.value,
        )

    def _code(self, client: Client, page: int, raw: RawScan, expected: ScanKind | None) -> SeenCode:
        try:
            scan = recognise(raw, today=self._clock.now().date(), rules=self._rules, expected=expected)
        except InvalidInput as refused:
            return SeenCode(page=page, source=raw.source, kind=None, scan=None, failure=refused.code)
        withheld = scan.kind in _PERSONAL and Scope.IDENTITY not in client.scopes
        shown = None if withheld else scan
        return SeenCode(page=page, source=raw.source, kind=scan.kind, scan=shown, is_withheld=withheld)


def _scanner_items(picture: ReadersPicture) -> Sequence[HealthItem]:
    """Say which scanners are not ready, and why: one item a situation."""
    return tuple(
        HealthItem(code=situation.value, ok=False)
        for situation in dict.fromkeys(
            scanner.situation for scanner in picture.scanners if scanner.situation is not None
        )
    )


def trouble_of(picture: ReadersPicture) -> str | None:
    """Return the code of what prevents seeing readers, or None."""
    if picture.state in (ProcessState.DOWN, ProcessState.STARTING):
        return CardTrouble(Situation.READERS_PROCESS_DOWN).code
    return picture.trouble
