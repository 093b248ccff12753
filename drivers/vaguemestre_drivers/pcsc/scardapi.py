"""The native PC/SC calls as typed functions, the constants we read, and the table from their results to situations.

Loads `smartcard.scard` when first asked, never at import: a workstation without PC/SC is a situation, not an
ImportError. Constants are those of the PC/SC specification: the same on Windows, pcsc-lite and macOS, as unsigned.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from typing import Final, Protocol, cast

from vaguemestre_core.cards import CardTrouble, Situation

SCOPE_USER: Final = 0
SHARE_SHARED: Final = 2
PROTOCOL_T0: Final = 1
PROTOCOL_T1: Final = 2
LEAVE_CARD: Final = 0
RESET_CARD: Final = 1

STATE_UNAWARE: Final = 0x0000
STATE_IGNORE: Final = 0x0001
STATE_CHANGED: Final = 0x0002
STATE_UNKNOWN: Final = 0x0004
STATE_UNAVAILABLE: Final = 0x0008
STATE_PRESENT: Final = 0x0020
STATE_EXCLUSIVE: Final = 0x0080
STATE_INUSE: Final = 0x0100
STATE_MUTE: Final = 0x0200

SUCCESS: Final = 0
F_INTERNAL_ERROR: Final = 0x80100001
E_CANCELLED: Final = 0x80100002
E_INVALID_HANDLE: Final = 0x80100003
E_NO_MEMORY: Final = 0x80100006
E_UNKNOWN_READER: Final = 0x80100009
E_TIMEOUT: Final = 0x8010000A
E_SHARING_VIOLATION: Final = 0x8010000B
E_NO_SMARTCARD: Final = 0x8010000C
E_UNKNOWN_CARD: Final = 0x8010000D
E_PROTO_MISMATCH: Final = 0x8010000F
E_NOT_READY: Final = 0x80100010
E_SYSTEM_CANCELLED: Final = 0x80100012
F_COMM_ERROR: Final = 0x80100013
E_INVALID_ATR: Final = 0x80100015
E_NOT_TRANSACTED: Final = 0x80100016
E_READER_UNAVAILABLE: Final = 0x80100017
P_SHUTDOWN: Final = 0x80100018
E_NO_SERVICE: Final = 0x8010001D
E_SERVICE_STOPPED: Final = 0x8010001E
E_NO_READERS_AVAILABLE: Final = 0x8010002E
E_SERVER_TOO_BUSY: Final = 0x80100031
W_UNSUPPORTED_CARD: Final = 0x80100065
W_UNRESPONSIVE_CARD: Final = 0x80100066
W_UNPOWERED_CARD: Final = 0x80100067
W_RESET_CARD: Final = 0x80100068
W_REMOVED_CARD: Final = 0x80100069

# What Windows gives when the service went away under a handle (RPC results, not PC/SC ones).
_WINDOWS_INVALID_HANDLE: Final = 0x00000006
_WINDOWS_BROKEN_PIPE: Final = 0x0000006D
_RPC_SERVER_UNAVAILABLE: Final = 0x000006BA
_RPC_CALL_FAILED: Final = 0x000006BE

GONE: Final = frozenset(
    {
        E_INVALID_HANDLE,
        E_NO_SERVICE,
        E_SERVICE_STOPPED,
        E_SYSTEM_CANCELLED,
        P_SHUTDOWN,
        F_INTERNAL_ERROR,
        _WINDOWS_INVALID_HANDLE,
        _WINDOWS_BROKEN_PIPE,
        _RPC_SERVER_UNAVAILABLE,
        _RPC_CALL_FAILED,
    }
)
"""Results after which a context is of no use: the service stopped, was killed, or started again."""

SITUATIONS: Final[Mapping[int, Situation]] = {
    **dict.fromkeys(GONE, Situation.PCSC_STOPPED),
    E_NO_READERS_AVAILABLE: Situation.READERS_NONE,
    E_UNKNOWN_READER: Situation.READER_UNKNOWN,
    E_READER_UNAVAILABLE: Situation.READER_UNKNOWN,
    E_SHARING_VIOLATION: Situation.READER_HELD,
    E_NO_SMARTCARD: Situation.CARD_ABSENT,
    W_REMOVED_CARD: Situation.CARD_REMOVED,
    W_UNRESPONSIVE_CARD: Situation.CARD_MUTE,
    W_UNPOWERED_CARD: Situation.CARD_MUTE,
    W_UNSUPPORTED_CARD: Situation.CARD_MUTE,
    E_INVALID_ATR: Situation.CARD_MUTE,
    E_NOT_READY: Situation.READER_FAILING,
    E_TIMEOUT: Situation.CARD_SLOW,
    E_SERVER_TOO_BUSY: Situation.READER_FAILING,
    E_NO_MEMORY: Situation.READER_FAILING,
    F_COMM_ERROR: Situation.CARD_UNREADABLE,
    E_NOT_TRANSACTED: Situation.CARD_UNREADABLE,
    E_PROTO_MISMATCH: Situation.CARD_UNREADABLE,
    E_UNKNOWN_CARD: Situation.CARD_UNREADABLE,
    W_RESET_CARD: Situation.CARD_UNREADABLE,
}
"""What each result means to a person; a result that is not here is told as READER_FAILING with its number."""

ReaderStateIn = tuple[str, int]
ReaderStateOut = tuple[str, int, Sequence[int]]


class Scard(Protocol):
    """The functions of `smartcard.scard` that we call, with the types they have."""

    def SCardEstablishContext(self, scope: int, /) -> tuple[int, int]: ...  # noqa: D102, N802 - the names of PC/SC

    def SCardReleaseContext(self, context: int, /) -> int: ...  # noqa: D102, N802

    def SCardListReaders(self, context: int, groups: list[str], /) -> tuple[int, list[str]]: ...  # noqa: D102, N802

    def SCardGetStatusChange(  # noqa: D102, N802
        self, context: int, timeout_ms: int, states: list[ReaderStateIn], /
    ) -> tuple[int, list[ReaderStateOut]]: ...

    def SCardCancel(self, context: int, /) -> int: ...  # noqa: D102, N802

    def SCardConnect(  # noqa: D102, N802
        self, context: int, reader: str, share: int, protocols: int, /
    ) -> tuple[int, int, int]: ...

    def SCardReconnect(  # noqa: D102, N802
        self, card: int, share: int, protocols: int, initialization: int, /
    ) -> tuple[int, int]: ...

    def SCardDisconnect(self, card: int, disposition: int, /) -> int: ...  # noqa: D102, N802

    def SCardBeginTransaction(self, card: int, /) -> int: ...  # noqa: D102, N802

    def SCardEndTransaction(self, card: int, disposition: int, /) -> int: ...  # noqa: D102, N802

    def SCardTransmit(  # noqa: D102, N802
        self, card: int, protocol: int, command: list[int], /
    ) -> tuple[int, list[int]]: ...

    def SCardStatus(self, card: int, /) -> tuple[int, str, int, int, Sequence[int]]: ...  # noqa: D102, N802


def load() -> Scard:
    """Return the native functions. Raises CardTrouble PCSC_ABSENT where there are none."""
    try:
        module = importlib.import_module("smartcard.scard")
    except (ImportError, OSError) as error:
        raise CardTrouble(Situation.PCSC_ABSENT) from error
    return cast(Scard, module)


def unsigned(result: int) -> int:
    """Return a result as PC/SC writes it: some builds give it signed."""
    return result & 0xFFFFFFFF


def trouble(result: int, reader: str | None = None) -> CardTrouble:
    """Return the situation that a result of a native call means."""
    result = unsigned(result)
    situation = SITUATIONS.get(result, Situation.READER_FAILING)
    facts: dict[str, str] = {"result": f"0x{result:08X}"}
    if reader is not None:
        facts["reader"] = reader
    return CardTrouble(situation, **facts)
