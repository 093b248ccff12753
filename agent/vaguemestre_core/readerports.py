"""What the agent knows of its readers process: settings, the picture of readers and cards, and the port to ask it.

Owns the shapes; starts nothing. Nothing here carries what a card says of a person.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum, unique
from typing import Final, Protocol

from vaguemestre_core.cardholders import HolderCard, OpenedCard
from vaguemestre_core.cards import CardReader, Insertion, Situation
from vaguemestre_core.errors import InvalidInput
from vaguemestre_core.redaction import REDACTED
from vaguemestre_core.scannersettings import ScannerKind
from vaguemestre_core.scans import RawScan

READERS_OFF: Final = "READERS_OFF"
"""Code of the catalogue: no card readers are wanted on this workstation."""
_PORTS_MAX = 16
_PORT_LARGEST = 65_535


@unique
class ReadersSource(StrEnum):
    """Where the readers are."""

    OFF = "off"  # no readers process
    PCSC = "pcsc"  # the system's PC/SC service
    VIRTUAL = "virtual"  # loopback ports on which virtual cards connect: development only


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadersSettings:
    """The readers process (docs/cards.md).

    Attributes:
        source: where the readers are.
        virtual_ports: loopback ports of the virtual readers, separated by spaces.
        pkcs11_module: path of the CPS middleware; empty: where its installer puts it.
        vitale_library: path of the GIE SESAM-Vitale's library; empty: where its installer puts it, if anywhere.
        vitale_folder: folder of that library's own settings, when its path is given.
        silent_s: it is started anew when nothing is heard of it for so long, seconds.
        memory_mib: it is started anew above, MiB.
    """

    source: ReadersSource = ReadersSource.OFF
    virtual_ports: str = "35963 35964"
    pkcs11_module: str = ""
    vitale_library: str = ""
    vitale_folder: str = ""
    silent_s: float = 1.0
    memory_mib: int = 400

    def __post_init__(self) -> None:
        if self.silent_s < 0.5 or self.memory_mib < 64:
            raise InvalidInput("READERS_LIMITS_INVALID")
        texts = self.virtual_ports.split()
        if len(texts) > _PORTS_MAX or not all(text.isdecimal() and int(text) <= _PORT_LARGEST for text in texts):
            raise InvalidInput("READERS_PORTS_INVALID")

    @property
    def ports(self) -> tuple[int, ...]:
        """The loopback ports."""
        return tuple(int(text) for text in self.virtual_ports.split())


@unique
class ProcessState(StrEnum):
    """What the readers process is doing."""

    OFF = "off"
    STARTING = "starting"
    RUNNING = "running"
    DOWN = "down"  # it ended and comes back by itself


@dataclass(frozen=True, slots=True, kw_only=True)
class Scanner:
    """One scanner of the settings as last seen.

    Attributes:
        name: see ``ScannerDevice``.
        is_ready: it is there and held; without it and without a situation, nothing is known yet.
        situation: why it is not ready, what a person can repair.
    """

    name: str
    kind: ScannerKind
    is_ready: bool = False
    situation: Situation | None = None

    def __post_init__(self) -> None:
        if self.is_ready and self.situation is not None:
            raise ValueError("a scanner that is ready has nothing to repair")


@dataclass(frozen=True, slots=True, kw_only=True)
class ScannedCode:
    """A code that a scanner of the settings has just read."""

    scanner: str
    raw: RawScan = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadersPicture:
    """Everything seen at one moment; a picture replaces the one before.

    Attributes:
        state: of the process.
        life: number of its present life: a stay of a card is named by both.
        trouble: code of what prevents seeing readers, or None.
        readers: in the order of their names.
        scanners: in the order of the settings.
    """

    state: ProcessState
    life: int = 0
    trouble: str | None = None
    readers: tuple[CardReader, ...] = ()
    scanners: tuple[Scanner, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadCodes:
    """The codes of an image or a PDF.

    Attributes:
        codes: with the page of each, from 0.
        pages_read, pages_left: pages looked at, and those for which no time was left.
    """

    codes: tuple[tuple[int, RawScan], ...] = field(repr=False)
    pages_read: int
    pages_left: int


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class CardPerson:
    """One beneficiary of a carte Vitale, as the readers process read it.

    Attributes:
        position: from 0, the order of the card.
        usual_name: never used as a birth name.
        birth_date: AAAAMMJJ as written; ``is_lunar``: the calendar does not have it.
        nir: 15 characters when its key is right, else None (``nir_key`` says: valid, wrong, absent).
        is_certified: the NIR is the certified one of the GIE's library.
    """

    position: int
    usual_name: str
    given_name: str
    birth_name: str | None
    birth_date: str | None
    is_lunar: bool
    birth_rank: int | None
    nir: str | None
    nir_key: str
    is_certified: bool

    def __repr__(self) -> str:
        return f"CardPerson({REDACTED}, position={self.position})"

    __str__ = __repr__


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadersPlaces:
    """Where the readers process keeps its own things, and where cards may go.

    Attributes:
        tries: folder of the count of PIN tries; empty: it lives in memory.
        streams: private folder of the streams of card TLS.
        direct_host, direct_port: the only service that a card's TLS reaches; empty: none.
        authorities: PEM of whom it believes; empty: the system's.
    """

    tries: str = ""
    streams: str = ""
    direct_host: str = ""
    direct_port: int = 443
    authorities: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class CardPersons:
    """The persons of one reading of a carte Vitale.

    Attributes:
        reading: names this reading while the readers process lives, to confirm a choice made on it.
    """

    reading: str
    people: tuple[CardPerson, ...] = field(repr=False)


class ReadersPort(Protocol):
    """The readers process. Every call fails at once with CardTrouble READERS_PROCESS_DOWN while it is away."""

    @property
    def picture(self) -> ReadersPicture:
        """What is seen now."""

    def listen(self, listener: Callable[[ReadersPicture], None]) -> Callable[[], None]:
        """Call the listener on the loop after each change; return the function that stops it."""

    def listen_scans(self, listener: Callable[[ScannedCode], None]) -> Callable[[], None]:
        """Call the listener on the loop with each code that a scanner reads; return the function that stops it."""

    async def read_vitale(self, stay: Insertion) -> CardPersons:
        """Read the persons of a carte Vitale. Raises CardTrouble: CARD_CHANGED when that stay is over, and others."""

    async def confirm_vitale(self, stay: Insertion, reading: str, position: int) -> CardPerson:
        """Read the card again and return the person chosen. Raises CardTrouble: CARD_CHANGED for another card."""

    async def read_codes(self, content: bytes, media_type: str) -> ReadCodes:
        """Read the codes of an image or a PDF. Raises CardTrouble, InvalidInput, UnexpectedError."""

    def opened(self) -> Sequence[OpenedCard]:
        """Return the professionals' cards whose PIN was accepted and that are still there."""

    async def read_holder(self, stay: Insertion) -> HolderCard:
        """Read whose card it is, without PIN. Raises CardTrouble, CpsError."""

    async def log_in(self, stay: Insertion, asker: str) -> OpenedCard:
        """Have a person asked for the PIN, in a window of the workstation. Raises CardTrouble, CpsError.

        Cancellation: safe; the window stays, and what the person answers counts.
        """

    async def log_out(self, stay: Insertion) -> None:
        """Close a card's session, when there is one. Raises CardTrouble."""


class ReadersOff:
    """A workstation without a readers process."""

    @property
    def picture(self) -> ReadersPicture:
        """What is seen: nothing."""
        return ReadersPicture(state=ProcessState.OFF)

    def listen(self, listener: Callable[[ReadersPicture], None]) -> Callable[[], None]:
        """Never call."""
        return lambda: None

    def listen_scans(self, listener: Callable[[ScannedCode], None]) -> Callable[[], None]:
        """Never call."""
        return lambda: None

    async def read_vitale(self, stay: Insertion) -> CardPersons:
        """Refuse: READERS_OFF."""
        raise InvalidInput(READERS_OFF)

    async def confirm_vitale(self, stay: Insertion, reading: str, position: int) -> CardPerson:
        """Refuse: READERS_OFF."""
        raise InvalidInput(READERS_OFF)

    async def read_codes(self, content: bytes, media_type: str) -> ReadCodes:
        """Refuse: READERS_OFF."""
        raise InvalidInput(READERS_OFF)

    def opened(self) -> Sequence[OpenedCard]:
        """Return none."""
        return ()

    async def read_holder(self, stay: Insertion) -> HolderCard:
        """Refuse: READERS_OFF."""
        raise InvalidInput(READERS_OFF)

    async def log_in(self, stay: Insertion, asker: str) -> OpenedCard:
        """Refuse: READERS_OFF."""
        raise InvalidInput(READERS_OFF)

    async def log_out(self, stay: Insertion) -> None:
        """Refuse: READERS_OFF."""
        raise InvalidInput(READERS_OFF)
