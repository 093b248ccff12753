"""``ReadersPort`` over the supervised readers process: its events become pictures, its answers become values.

Owns the reading of what the process says; a malformed word of it is a bug of ours and changes nothing.
"""

from __future__ import annotations

import base64
import logging
from collections.abc import Callable, Mapping
from typing import Final

from vaguemestre_agent.adapters.readers.life import Limits
from vaguemestre_agent.adapters.readers.supervision import Supervised
from vaguemestre_core.cards import CardKind, CardReader, Insertion, ReaderState
from vaguemestre_core.errors import InvalidInput, UnexpectedError
from vaguemestre_core.frames import Frame
from vaguemestre_core.ports import ClockPort
from vaguemestre_core.readerports import CardPerson, ProcessState, ReadCodes, ReadersPicture, ReadersSettings
from vaguemestre_core.redaction import SecretBytes
from vaguemestre_core.scans import RawScan, ScanSource

_LOGGER = logging.getLogger(__name__)
_READ_CODES_S: Final = 8.0
# Longer than the patience of the driver with a held reader and four tries of a flaky one.
_READ_VITALE_S: Final = 25.0
_MIB: Final = 1024 * 1024


class SupervisedReaders:
    """The readers process of this agent.

    Args:
        settings: the section ``readers``.
        clock: for its supervision.
        command: how it is started; None: this interpreter and its module.
    """

    def __init__(self, settings: ReadersSettings, clock: ClockPort, command: tuple[str, ...] | None = None) -> None:
        told: Mapping[str, object] = {
            "source": settings.source.value,
            "virtual_ports": list(settings.ports),
            "pkcs11_module": settings.pkcs11_module,
        }
        limits = Limits(silent_s=settings.silent_s, memory_bytes=settings.memory_mib * _MIB)
        self._supervised = Supervised(told, clock, limits, self._take, command)
        self._picture = ReadersPicture(state=ProcessState.STARTING)
        self._listeners: list[Callable[[ReadersPicture], None]] = []

    @property
    def picture(self) -> ReadersPicture:
        """What is seen now."""
        return self._picture

    @property
    def pid(self) -> int | None:
        """Number of the process now alive, if any."""
        return self._supervised.pid

    def listen(self, listener: Callable[[ReadersPicture], None]) -> Callable[[], None]:
        """Call the listener after each change; return the function that stops it."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    async def run(self) -> None:
        """Keep the process alive for ever. Cancellation: safe, the process ends."""
        await self._supervised.run()

    async def read_vitale(self, stay: Insertion) -> tuple[CardPerson, ...]:
        """Read the persons of a carte Vitale."""
        answer = await self._supervised.ask("read_vitale", {"insertion": stay}, allowed_s=_READ_VITALE_S)
        values = answer.header.get("values")
        listed = values.get("beneficiaries") if isinstance(values, dict) else None
        try:
            return tuple(_person(item) for item in listed) if isinstance(listed, list) else ()
        except (KeyError, TypeError, ValueError):
            raise UnexpectedError("READERS_BUG", error="answer") from None

    async def read_codes(self, content: bytes, media_type: str) -> ReadCodes:
        """Read the codes of an image or a PDF."""
        answer = await self._supervised.ask("read_codes", {"media_type": media_type}, content, allowed_s=_READ_CODES_S)
        values = answer.header.get("values")
        try:
            return _codes(values if isinstance(values, dict) else {})
        except (InvalidInput, KeyError, TypeError, ValueError):
            raise UnexpectedError("READERS_BUG", error="answer") from None

    def _take(self, life: int, name: str, frame: Frame) -> None:
        if name == "ready":
            self._show(ReadersPicture(state=ProcessState.RUNNING, life=life))
        elif name == "down":
            self._show(ReadersPicture(state=ProcessState.DOWN, life=life))
        elif name == "readers":
            try:
                self._show(_picture(life, frame.header))
            except (KeyError, TypeError, ValueError):
                _LOGGER.warning("readers.event_unreadable")

    def _show(self, picture: ReadersPicture) -> None:
        if picture == self._picture:
            return
        self._picture = picture
        for listener in tuple(self._listeners):
            listener(picture)


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


def _person(item: Mapping[str, object]) -> CardPerson:
    position, rank = item["position"], item["birth_rank"]
    if not isinstance(position, int):
        raise TypeError
    return CardPerson(
        position=position,
        usual_name=str(item["usual_name"]),
        given_name=str(item["given_name"]),
        birth_name=_text_or_none(item["birth_name"]),
        birth_date=_text_or_none(item["birth_date"]),
        is_lunar=item["is_lunar"] is True,
        birth_rank=rank if isinstance(rank, int) else None,
        nir=_text_or_none(item["nir"]),
        nir_key=str(item["nir_key"]),
        is_certified=item["is_certified"] is True,
    )


def _text_or_none(value: object) -> str | None:
    return None if value is None else str(value)


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
