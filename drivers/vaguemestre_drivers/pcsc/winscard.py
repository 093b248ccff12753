"""The system's PC/SC service (WinSCard on Windows, pcsc-lite elsewhere) behind `PcscPort`.

A watcher's feed is called from its own thread. Each link to a card has a context and a thread of its own, so that a
call that hangs in a driver is given up at its deadline without touching anything else; it gives card and context back
when it returns. A sentinel context, asked one question each time, tells whether the service is still the same run.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Final, Self, TypeVar

from vaguemestre_core.cards import CardTrouble, Situation
from vaguemestre_drivers.pcsc import scardapi as api
from vaguemestre_drivers.pcsc.port import SHORTEST_APDU_BYTES, CardLink, Leaving, ReaderStatus, StatusFeed
from vaguemestre_drivers.pcsc.worker import BlockingWorker, Overdue

T = TypeVar("T")

PLUG_AND_PLAY: Final = r"\\?PnP?\Notification"
"""The reader that is none: its count is the number of readers, so that plugging one ends a wait."""
CONNECT_S: Final = 10.0
"""Powering a card up: an answer to reset lasts under 1 s, a reader may try several voltages."""
BEGIN_S: Final = 2.0
"""Longest wait for another program's transaction; `connection` tries again later."""
TRANSMIT_S: Final = 10.0
"""One command; a card asks for more time by itself, a driver gives up within a few seconds."""
CLOSE_S: Final = 2.0
MOST_RESETS: Final = 3
"""Times that other programs may reset the card under us before we say so."""
_DISPOSITIONS: Final[Mapping[Leaving, int]] = {Leaving.LEAVE: api.LEAVE_CARD, Leaving.RESET: api.RESET_CARD}


class WinscardPort:
    """Readers of the system's PC/SC service.

    Args:
        native: the native functions; loaded from `smartcard.scard` when first needed.
    """

    def __init__(
        self,
        native: api.Scard | None = None,
        *,
        connect_s: float = CONNECT_S,
        begin_s: float = BEGIN_S,
        transmit_s: float = TRANSMIT_S,
    ) -> None:
        self._native = native
        self._limits = (connect_s, begin_s, transmit_s)
        self._lock = threading.Lock()
        self._sentinel: int | None = None
        self._epoch = 0
        self._links: list[WinscardLink] = []

    def open_feed(self) -> StatusFeed:
        """Return a link to watch readers with."""
        native = self._functions()
        return WinscardFeed(native, _established(native))

    def epoch(self) -> int:
        """Return the number of runs of the service seen by this port."""
        native = self._functions()
        with self._lock:
            if self._sentinel is not None:
                result, _ = native.SCardListReaders(self._sentinel, [])
                if api.unsigned(result) in (api.SUCCESS, api.E_NO_READERS_AVAILABLE):
                    return self._epoch
                native.SCardReleaseContext(self._sentinel)
                self._sentinel = None
            self._sentinel = _established(native)
            self._epoch += 1
            return self._epoch

    def connect(self, reader: str) -> CardLink:
        """Return a shared link to the card in this reader."""
        native = self._functions()
        with self._lock:
            self._links = [link for link in self._links if not link.has_ended]
            for link in self._links:
                if link.reader == reader and link.overdue is not None:
                    # A call of ours still hangs there, and one more thread would hang too.
                    raise CardTrouble(link.overdue, reader=reader)
        link = WinscardLink(native, reader, self._limits)
        with self._lock:
            self._links.append(link)
        link.open()
        return link

    def close(self) -> None:
        """Give the sentinel and every link back."""
        with self._lock:
            links, self._links = self._links, []
            sentinel, self._sentinel = self._sentinel, None
        for link in links:
            link.close(Leaving.LEAVE)
        if sentinel is not None and self._native is not None:
            self._native.SCardReleaseContext(sentinel)

    def _functions(self) -> api.Scard:
        if self._native is None:
            self._native = api.load()
        return self._native


def _established(native: api.Scard) -> int:
    result, context = native.SCardEstablishContext(api.SCOPE_USER)
    if result != api.SUCCESS:
        raise CardTrouble(Situation.PCSC_STOPPED, result=f"0x{api.unsigned(result):08X}")
    return context


class WinscardFeed:
    """A watcher's own context."""

    def __init__(self, native: api.Scard, context: int) -> None:
        self._native = native
        self._context: int | None = context

    def readers(self) -> tuple[str, ...]:
        """Return the readers' names."""
        result, names = self._native.SCardListReaders(self._live(), [])
        result = api.unsigned(result)
        if result == api.E_NO_READERS_AVAILABLE:
            return ()
        if result != api.SUCCESS:
            raise CardTrouble(Situation.PCSC_STOPPED, result=f"0x{result:08X}")
        return tuple(names)

    def wait(self, known: Mapping[str, int], timeout_s: float) -> tuple[ReaderStatus, ...]:
        """Return the readers whose status changed."""
        asked = [(name, mark) for name, mark in known.items()]
        asked.append((PLUG_AND_PLAY, len(known) << 16))
        result, states = self._native.SCardGetStatusChange(self._live(), round(timeout_s * 1000), asked)
        result = api.unsigned(result)
        if result in (api.E_TIMEOUT, api.E_CANCELLED, api.E_UNKNOWN_READER, api.E_READER_UNAVAILABLE):
            return ()
        if result != api.SUCCESS:
            raise CardTrouble(Situation.PCSC_STOPPED, result=f"0x{result:08X}")
        return tuple(
            _status(name, state, bytes(atr))
            for name, state, atr in states
            if name != PLUG_AND_PLAY and state & api.STATE_CHANGED
        )

    def cancel(self) -> None:
        """End the wait in progress."""
        context = self._context
        if context is not None:
            self._native.SCardCancel(context)

    def close(self) -> None:
        """Release the context."""
        context, self._context = self._context, None
        if context is not None:
            self._native.SCardReleaseContext(context)

    def _live(self) -> int:
        if self._context is None:
            raise CardTrouble(Situation.PCSC_STOPPED)
        return self._context


def _status(name: str, state: int, atr: bytes) -> ReaderStatus:
    is_present = bool(state & api.STATE_PRESENT)
    is_mute = is_present and bool(state & api.STATE_MUTE)
    return ReaderStatus(
        name=name,
        is_present=is_present,
        is_mute=is_mute,
        is_exclusive=bool(state & api.STATE_EXCLUSIVE),
        is_in_use=bool(state & api.STATE_INUSE),
        is_unavailable=bool(state & (api.STATE_UNAVAILABLE | api.STATE_UNKNOWN | api.STATE_IGNORE)),
        count=state >> 16 & 0xFFFF,
        atr=atr if is_present and not is_mute else b"",
        mark=state & ~api.STATE_CHANGED,
    )


class WinscardLink:
    """A context, a thread and a card handle of their own; every native call runs in the thread, with a deadline."""

    def __init__(self, native: api.Scard, reader: str, limits: tuple[float, float, float]) -> None:
        self.reader = reader
        self._native = native
        self._connect_s, self._begin_s, self._transmit_s = limits
        self._context: int | None = None
        self._card: int | None = None
        self._protocol = 0
        self._atr = b""
        self._in_transaction = False
        self._leaving = Leaving.LEAVE
        self._overdue: Situation | None = None
        self._worker = BlockingWorker("card-link", self._give_back)

    @property
    def atr(self) -> bytes:
        """The card's answer to reset."""
        return self._atr

    @property
    def has_ended(self) -> bool:
        """Whether card and context are given back."""
        return self._worker.has_ended

    @property
    def overdue(self) -> Situation | None:
        """What a call that went past its deadline was told as, until it returns: READER_HELD, or READER_FAILING."""
        return None if self._worker.has_ended else self._overdue

    def open(self) -> None:
        """Establish the context and connect; the link is closed when this raises."""
        try:
            self._worker.call(self._connect, self._begin_s, self._more_to_connect)
        except Overdue as error:
            is_held = self._is_in_use()
            self._overdue = Situation.READER_HELD if is_held else Situation.READER_FAILING
            self.close(Leaving.LEAVE)
            raise CardTrouble(self._overdue, reader=self.reader) from error
        except CardTrouble:
            self.close(Leaving.LEAVE)
            raise

    def begin(self) -> None:
        """Start a transaction, connecting again when another program had reset the card."""
        self._call(self._begin, self._begin_s, Situation.READER_HELD)

    def end(self, leaving: Leaving) -> None:
        """End the transaction."""
        self._call(lambda: self._end(leaving), self._transmit_s, Situation.CARD_SLOW)

    def reset(self) -> None:
        """Reset the card."""
        self._call(lambda: self._reconnect(api.RESET_CARD), self._connect_s, Situation.CARD_SLOW)

    def transmit(self, apdu: bytes) -> tuple[bytes, int]:
        """Send one command."""
        if len(apdu) < SHORTEST_APDU_BYTES:
            raise ValueError("a command has at least 4 bytes")
        return self._call(lambda: self._transmit(apdu), self._transmit_s, Situation.CARD_SLOW)

    def status(self) -> ReaderStatus:
        """Return the reader's status, read through this link's context."""
        return self._call(self._status, self._transmit_s, Situation.READER_FAILING)

    def close(self, leaving: Leaving) -> None:
        """End the link; what hangs ends later by itself."""
        self._leaving = leaving
        self._worker.finish(CLOSE_S if self._overdue is None else 0.0)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close(Leaving.LEAVE)

    def _call(self, work: Callable[[], T], timeout_s: float, when_overdue: Situation) -> T:
        try:
            return self._worker.call(work, timeout_s)
        except Overdue as error:
            is_held = when_overdue is Situation.READER_HELD
            self._overdue = when_overdue if is_held else Situation.READER_FAILING
            raise CardTrouble(when_overdue, reader=self.reader) from error

    def _more_to_connect(self) -> float:
        """Return how much longer to wait: pcsc-lite lets a connection wait for the end of another's transaction."""
        return 0.0 if self._is_in_use() else self._connect_s - self._begin_s

    def _is_in_use(self) -> bool:
        """Whether a program has a link to the card; the service answers this without touching the reader."""
        feed = WinscardFeed(self._native, _established(self._native))
        try:
            return any(status.is_in_use for status in feed.wait({self.reader: api.STATE_UNAWARE}, 0.0))
        finally:
            feed.close()

    # in the link's thread

    def _connect(self) -> None:
        self._context = _established(self._native)
        protocols = api.PROTOCOL_T0 | api.PROTOCOL_T1
        result, card, self._protocol = self._native.SCardConnect(
            self._context, self.reader, api.SHARE_SHARED, protocols
        )
        self._check(result)
        self._card = card
        result, _, _, _, atr = self._native.SCardStatus(card)
        self._check(result)
        self._atr = bytes(atr)

    def _begin(self) -> None:
        for _ in range(MOST_RESETS):
            result = api.unsigned(self._native.SCardBeginTransaction(self._handle()))
            if result != api.W_RESET_CARD:
                self._check(result)
                self._in_transaction = True
                return
            self._reconnect(api.LEAVE_CARD)
        raise CardTrouble(Situation.READER_HELD, reader=self.reader)

    def _end(self, leaving: Leaving) -> None:
        if not self._in_transaction:
            return
        self._in_transaction = False
        result = api.unsigned(self._native.SCardEndTransaction(self._handle(), _DISPOSITIONS[leaving]))
        if result not in api.GONE | {api.W_REMOVED_CARD, api.E_READER_UNAVAILABLE, api.W_RESET_CARD}:
            self._check(result)

    def _reconnect(self, initialization: int) -> None:
        result, self._protocol = self._native.SCardReconnect(
            self._handle(), api.SHARE_SHARED, api.PROTOCOL_T0 | api.PROTOCOL_T1, initialization
        )
        self._check(result)

    def _transmit(self, apdu: bytes) -> tuple[bytes, int]:
        command = without_expected_length(apdu) if self._protocol == api.PROTOCOL_T0 else apdu
        result, answer = self._native.SCardTransmit(self._handle(), self._protocol, list(command))
        self._check(result)
        if len(answer) < 2:
            raise CardTrouble(Situation.CARD_UNREADABLE, reader=self.reader, length=len(answer))
        return bytes(answer[:-2]), answer[-2] << 8 | answer[-1]

    def _status(self) -> ReaderStatus:
        self._handle()
        assert self._context is not None
        result, states = self._native.SCardGetStatusChange(self._context, 0, [(self.reader, api.STATE_UNAWARE)])
        self._check(result)
        name, state, atr = states[0]
        return _status(name, state, bytes(atr))

    def _give_back(self) -> None:
        if self._card is not None:
            if self._in_transaction:
                self._native.SCardEndTransaction(self._card, _DISPOSITIONS[self._leaving])
            self._native.SCardDisconnect(self._card, _DISPOSITIONS[self._leaving])
            self._card = None
        if self._context is not None:
            self._native.SCardReleaseContext(self._context)
            self._context = None

    def _handle(self) -> int:
        if self._card is None:
            raise CardTrouble(Situation.CARD_REMOVED, reader=self.reader)
        return self._card

    def _check(self, result: int) -> None:
        if api.unsigned(result) != api.SUCCESS:
            raise api.trouble(result, self.reader)


def without_expected_length(apdu: bytes) -> bytes:
    """Return a command as T=0 carries it: one with data goes without the expected length, which GET RESPONSE gives."""
    if len(apdu) > SHORTEST_APDU_BYTES + 1 and len(apdu) == SHORTEST_APDU_BYTES + 2 + apdu[4] and apdu[4] != 0:
        return apdu[:-1]
    return apdu
