"""What the doctor knows of a workstation before it judges: values without anything personal.

Owns the shapes. ``None`` means that the system does not tell; facts may come from another machine. Asks nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum, unique

from vaguemestre_core.cards import CardKind, ReaderState
from vaguemestre_core.readerports import ReadersSource
from vaguemestre_drivers.cps.middleware import HostSystem
from vaguemestre_drivers.cps.probing import MiddlewareExplanation


@unique
class PcscAnswer(StrEnum):
    """What the PC/SC service answered to one question, asked in a child process."""

    WORKS = "works"
    LIBRARY_ABSENT = "library_absent"  # the agent's own binding is not installed
    NO_SERVICE = "no_service"  # no context is given
    DENIED = "denied"  # the service said that this user may not
    FAILED = "failed"  # another refusal
    CRASHED = "crashed"
    SILENT = "silent"
    NOT_ASKED = "not_asked"  # the child could not be started


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenReader:
    """One reader as PC/SC shows it."""

    name: str
    state: ReaderState
    card: CardKind | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PcscFacts:
    """What PC/SC says.

    Attributes:
        result: return code of the refusal, ``0x…``, or the step of a crash or a silence; empty else.
        holders: programs that use PC/SC now, where the system tells.
    """

    answer: PcscAnswer = PcscAnswer.NOT_ASKED
    result: str = ""
    readers: tuple[SeenReader, ...] = ()
    holders: tuple[str, ...] = ()


@unique
class ServiceState(StrEnum):
    """What the system says of the PC/SC service."""

    UNKNOWN = "unknown"
    ABSENT = "absent"
    DISABLED = "disabled"
    STOPPED = "stopped"
    RUNNING = "running"


@unique
class SocketState(StrEnum):
    """What a local socket is to this user."""

    UNKNOWN = "unknown"
    ABSENT = "absent"
    DENIED = "denied"
    DEAF = "deaf"  # there, and nobody listens
    OPEN = "open"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceFacts:
    """The PC/SC service as the system sees it; ``socket`` is pcsc-lite's (Linux)."""

    name: str
    state: ServiceState = ServiceState.UNKNOWN
    socket: SocketState = SocketState.UNKNOWN


@unique
class GalssFile(StrEnum):
    """What ``galss.ini`` is."""

    ABSENT = "absent"
    EMPTY = "empty"
    SERIAL = "serial"  # it names a serial port
    PLAIN = "plain"


@dataclass(frozen=True, slots=True, kw_only=True)
class GalssFacts:
    """What is left of GALSS, the reader manager before PC/SC (Source: GIE SESAM-Vitale, end of life)."""

    ini: GalssFile = GalssFile.ABSENT
    programs: tuple[str, ...] = ()  # file names only

    @property
    def is_there(self) -> bool:
        """Whether anything is left."""
        return self.ini is not GalssFile.ABSENT or bool(self.programs)


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemFacts:
    """The workstation around the readers.

    Attributes:
        remote: how this session is shown elsewhere (``rdp``, ``ica``, ``ssh``…); empty for a session at the desk.
        plugged: smart-card readers the system sees plugged, whatever their driver.
        faulty: among them, those whose driver does not work, as the system says.
        has_driver: whether the generic driver of readers (CCID) is installed, where it is apart (Linux).
        card_tokens: macOS: drivers through which CryptoTokenKit has a card, without the card's number.
        proxies: names (never values) of the environment variables that send local calls to a proxy.
        is_clock_kept: whether the system keeps its clock by the network.
    """

    system: HostSystem
    remote: str = ""
    plugged: int | None = None
    faulty: int | None = None
    has_driver: bool | None = None
    card_tokens: tuple[str, ...] = ()
    galss: GalssFacts = field(default_factory=GalssFacts)
    proxies: tuple[str, ...] = ()
    is_clock_kept: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MiddlewareFacts:
    """The card's middleware: what its search and its trial say, and every library found, once each."""

    explanation: MiddlewareExplanation
    libraries: tuple[str, ...] = ()


@unique
class AgentAnswer(StrEnum):
    """What the agent of this user answered."""

    ANSWERS = "answers"
    STOPPED = "stopped"
    DENIED = "denied"  # its socket is not for this user
    SILENT = "silent"
    UNREADABLE = "unreadable"  # another version, or another program


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """A sentence of the agent's own catalogue, as it was answered."""

    code: str
    title: str
    action: str
    minutes: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentFacts:
    """What the running agent says.

    Attributes:
        is_ready: it can accept documents.
        ailments: its health items that are not well.
        is_paired: this command may ask it about readers.
        readers_state: of its readers process (off, starting, running, down); empty when not asked.
        trouble: what prevents it from seeing readers.
        readers: names of those it sees.
        settings_error: code of the error when its settings cannot be read.
        source: where its settings say that the readers are.
    """

    answer: AgentAnswer = AgentAnswer.STOPPED
    is_ready: bool = False
    ailments: tuple[Told, ...] = ()
    is_paired: bool = False
    readers_state: str = ""
    trouble: Told | None = None
    readers: tuple[str, ...] = ()
    settings_error: str = ""
    source: ReadersSource = ReadersSource.OFF


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """Everything the doctor found out, before judging."""

    system: SystemFacts
    service: ServiceFacts
    pcsc: PcscFacts
    middleware: MiddlewareFacts
    agent: AgentFacts

    @property
    def sees_readers(self) -> bool:
        """Whether PC/SC shows at least one reader."""
        return bool(self.pcsc.readers)

    @property
    def sees_cps(self) -> bool:
        """Whether PC/SC shows a professional's card that its middleware can serve."""
        kinds = [one.card for one in self.pcsc.readers if one.card is not None]
        return any(kind.is_cps for kind in kinds)
