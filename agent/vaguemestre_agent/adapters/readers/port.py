"""``ReadersPort`` over the supervised readers process: its events become pictures, its answers become values.

Owns the reading of what the process says; a malformed word of it is a bug of ours and changes nothing.
"""

from __future__ import annotations

import base64
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Final, TypeVar

from vaguemestre_agent.adapters.readers.holders import all_opened, holder_of, opened_of, text_or_none
from vaguemestre_agent.adapters.readers.life import Limits
from vaguemestre_agent.adapters.readers.scannernews import (
    scanned_code,
    scanners_after,
    scanners_at_first,
    told_scanners,
)
from vaguemestre_agent.adapters.readers.supervision import Supervised
from vaguemestre_core.cardholders import HolderCard, OpenedCard
from vaguemestre_core.cards import CardKind, CardReader, Insertion, ReaderState
from vaguemestre_core.errors import InvalidInput, UnexpectedError
from vaguemestre_core.frames import Frame
from vaguemestre_core.ports import ClockPort
from vaguemestre_core.readerports import (
    READERS_OFF,
    CardPerson,
    CardPersons,
    ProcessState,
    ReadCodes,
    ReadersPicture,
    ReadersPlaces,
    ReadersSettings,
    ReadersSource,
    ScannedCode,
)
from vaguemestre_core.redaction import SecretBytes
from vaguemestre_core.scannersettings import ScannerSettings
from vaguemestre_core.scans import RawScan, ScanSource
from vaguemestre_core.signing import SignatureAlgorithm, SignaturePurpose

_LOGGER = logging.getLogger(__name__)
_READ_CODES_S: Final = 8.0
# Longer than the patience of the driver with a held reader and four tries of a flaky one.
_READ_VITALE_S: Final = 25.0
# The driver's own bound of a first look at a middleware, in a child, before it is loaded.
_READ_HOLDER_S: Final = 60.0
_SIGN_S: Final = 20.0
# The person's two minutes, the window's start and end, and the card.
_LOG_IN_S: Final = 160.0
_MIB: Final = 1024 * 1024
# What a malformed word of the process raises where it is read.
_MALFORMED: Final = (InvalidInput, KeyError, TypeError, ValueError)
T = TypeVar("T")


class SupervisedReaders:
    """The readers process of this agent.

    Args:
        settings: the section ``readers``.
        clock: for its supervision.
        command: how it is started; None: this interpreter and its module.
        places: what it keeps, and where cards may go; None: nothing and nowhere.
        scanners: the section ``scanners``; None: no scanner.
    """

    def __init__(
        self,
        settings: ReadersSettings,
        clock: ClockPort,
        command: tuple[str, ...] | None = None,
        places: ReadersPlaces | None = None,
        scanners: ScannerSettings | None = None,
    ) -> None:
        places = places or ReadersPlaces()
        scanners = scanners or ScannerSettings()
        told: Mapping[str, object] = {
            "source": settings.source.value,
            "virtual_ports": list(settings.ports),
            "pkcs11_module": settings.pkcs11_module,
            "vitale_library": settings.vitale_library,
            "vitale_folder": settings.vitale_folder,
            "tries_folder": places.tries,
            "streams_folder": places.streams,
            "direct_host": places.direct_host,
            "direct_port": places.direct_port,
            "direct_authorities": places.authorities,
            "scanners": told_scanners(scanners),
        }
        limits = Limits(silent_s=settings.silent_s, memory_bytes=settings.memory_mib * _MIB)
        self._supervised = Supervised(told, clock, limits, self._take, command)
        self._scanners = scanners_at_first(scanners)
        # Without card readers, the process is there for scanners alone.
        self._trouble = READERS_OFF if settings.source is ReadersSource.OFF else None
        self._picture = ReadersPicture(state=ProcessState.STARTING, scanners=self._scanners)
        self._opened: tuple[OpenedCard, ...] = ()
        self._listeners: list[Callable[[ReadersPicture], None]] = []
        self._scan_listeners: list[Callable[[ScannedCode], None]] = []

    @property
    def picture(self) -> ReadersPicture:
        """What is seen now."""
        return self._picture

    def listen(self, listener: Callable[[ReadersPicture], None]) -> Callable[[], None]:
        """Call the listener after each change; return the function that stops it."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def listen_scans(self, listener: Callable[[ScannedCode], None]) -> Callable[[], None]:
        """Call the listener with each code that a scanner reads; return the function that stops it."""
        self._scan_listeners.append(listener)
        return lambda: self._scan_listeners.remove(listener)

    async def run(self) -> None:
        """Keep the process alive for ever. Cancellation: safe, the process ends."""
        await self._supervised.run()

    async def read_vitale(self, stay: Insertion) -> CardPersons:
        """Read the persons of a carte Vitale."""
        return _parsed(_persons, await self._values("read_vitale", {"insertion": stay}, allowed_s=_READ_VITALE_S))

    async def confirm_vitale(self, stay: Insertion, reading: str, position: int) -> CardPerson:
        """Read the card again and return the person chosen."""
        asked = {"insertion": stay, "reading": reading, "position": position}
        return _parsed(_person, await self._values("confirm_vitale", asked, allowed_s=_READ_VITALE_S))

    async def read_codes(self, content: bytes, media_type: str) -> ReadCodes:
        """Read the codes of an image or a PDF."""
        asked = {"media_type": media_type}
        return _parsed(_codes, await self._values("read_codes", asked, content, allowed_s=_READ_CODES_S))

    def opened(self) -> Sequence[OpenedCard]:
        """Return the professionals' cards that are open."""
        return self._opened

    async def read_holder(self, stay: Insertion) -> HolderCard:
        """Read whose card it is."""
        return _parsed(holder_of, await self._values("cps_holder", {"insertion": stay}, allowed_s=_READ_HOLDER_S))

    async def log_in(self, stay: Insertion, asker: str) -> OpenedCard:
        """Have a person asked for the PIN."""
        asked = {"insertion": stay, "asker": asker}
        return _parsed(opened_of, await self._values("cps_login", asked, allowed_s=_LOG_IN_S))

    async def log_out(self, stay: Insertion) -> None:
        """Close a card's session."""
        await self._values("cps_logout", {"insertion": stay}, allowed_s=_SIGN_S)

    async def sign(self, key: str, purpose: SignaturePurpose, data: bytes, algorithm: SignatureAlgorithm) -> bytes:
        """Sign with an open card. Raises CardTrouble, CpsError, InvalidInput."""
        asked = {"key": key, "purpose": purpose.value, "algorithm": algorithm.value}
        return (await self._supervised.ask("cps_sign", asked, data, allowed_s=_SIGN_S)).content

    async def open_tls(self, key: str, host: str, port: int, within_s: float) -> str:
        """Open a stream with an open card's key. Raises CardTrouble, CpsError, InvalidInput, ServiceError."""
        asked = {"key": key, "host": host, "port": port, "within_s": within_s}
        # Name, connection and handshake are bounded one by one: the process is not to be killed for a slow service.
        values = await self._values("cps_tls", asked, allowed_s=3 * within_s + _SIGN_S)
        return str(values.get("address", ""))

    async def _values(
        self, verb: str, arguments: Mapping[str, object], content: bytes = b"", *, allowed_s: float
    ) -> Mapping[str, object]:
        values = (await self._supervised.ask(verb, arguments, content, allowed_s=allowed_s)).header.get("values")
        return values if isinstance(values, dict) else {}

    def _take(self, life: int, name: str, frame: Frame) -> None:
        if name == "ready":
            self._show(
                ReadersPicture(state=ProcessState.RUNNING, life=life, trouble=self._trouble, scanners=self._scanners)
            )
        elif name == "cards":
            try:
                self._hold(all_opened(frame.header.get("open")))
            except _MALFORMED:
                _LOGGER.warning("readers.event_unreadable")
                self._hold(())
        elif name == "down":
            self._hold(())
            self._show(ReadersPicture(state=ProcessState.DOWN, life=life, scanners=self._scanners))
        else:
            try:
                self._take_news(life, name, frame)
            except _MALFORMED:
                _LOGGER.warning("readers.event_unreadable")

    def _take_news(self, life: int, name: str, frame: Frame) -> None:
        seen = self._picture
        if name == "readers":
            self._show(replace(_picture(life, frame.header), scanners=seen.scanners))
        elif name == "scanner":
            self._show(replace(seen, scanners=scanners_after(seen.scanners, frame.header)))
        elif name == "scanned":
            code = scanned_code(frame)
            for listener in tuple(self._scan_listeners):
                listener(code)

    def _hold(self, opened: tuple[OpenedCard, ...]) -> None:
        if opened != self._opened:
            self._opened = opened
            self._tell()

    def _show(self, picture: ReadersPicture) -> None:
        if picture == self._picture:
            return
        self._picture = picture
        self._tell()

    def _tell(self) -> None:
        for listener in tuple(self._listeners):
            listener(self._picture)


def _parsed(parse: Callable[[Mapping[str, object]], T], values: Mapping[str, object]) -> T:
    """Return what an answer says; a malformed one is a bug of ours. Raises UnexpectedError READERS_BUG."""
    try:
        return parse(values)
    except _MALFORMED:
        raise UnexpectedError("READERS_BUG", error="answer") from None


def _picture(life: int, header: Mapping[str, object]) -> ReadersPicture:
    trouble, readers = header.get("trouble"), header["readers"]
    if not isinstance(readers, list) or not (trouble is None or isinstance(trouble, str)):
        raise TypeError
    found = tuple(sorted((_reader(item) for item in readers), key=lambda reader: reader.name))
    return ReadersPicture(state=ProcessState.RUNNING, life=life, trouble=trouble, readers=found)


def _reader(item: Mapping[str, object]) -> CardReader:
    card, insertion = item["card"], item["insertion"]
    return CardReader(
        name=str(item["name"]),
        state=ReaderState(str(item["state"])),
        card=None if card is None else CardKind(str(card)),
        insertion=Insertion(insertion) if isinstance(insertion, int) else None,
        is_shared=item["is_shared"] is True,
    )


def _persons(values: Mapping[str, object]) -> CardPersons:
    listed = values.get("beneficiaries")
    people = tuple(_person(item) for item in listed) if isinstance(listed, list) else ()
    return CardPersons(reading=str(values["reading"]), people=people)


def _person(item: Mapping[str, object]) -> CardPerson:
    position, rank = item["position"], item["birth_rank"]
    if not isinstance(position, int):
        raise TypeError
    return CardPerson(
        position=position,
        usual_name=str(item["usual_name"]),
        given_name=str(item["given_name"]),
        birth_name=text_or_none(item["birth_name"]),
        birth_date=text_or_none(item["birth_date"]),
        is_lunar=item["is_lunar"] is True,
        birth_rank=rank if isinstance(rank, int) else None,
        nir=text_or_none(item["nir"]),
        nir_key=str(item["nir_key"]),
        is_certified=item["is_certified"] is True,
    )


def _codes(values: Mapping[str, object]) -> ReadCodes:
    listed, read, left = values["codes"], values["pages_read"], values["pages_left"]
    if not isinstance(listed, list) or not isinstance(read, int) or not isinstance(left, int):
        raise TypeError
    codes = []
    for item in listed:
        page, symbology = item["page"], item["symbology"]
        raw = RawScan(
            content=SecretBytes(base64.b64decode(item["content"])),
            source=ScanSource(item["source"]),
            symbology=symbology,
        )
        codes.append((int(page), raw))
    return ReadCodes(codes=tuple(codes), pages_read=read, pages_left=left)
