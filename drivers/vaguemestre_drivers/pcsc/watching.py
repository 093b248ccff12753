"""Our own status loop: what happens to readers and cards, as events, for as long as the program lives.

Owns the present picture of the readers and the number of each card's stay. Survives a PC/SC service that is absent,
stopped, killed or started again, and readers plugged and unplugged. One thread runs it; it never talks to a card.
Logs: `pcsc.service_up`, `pcsc.service_down` (result), `pcsc.started_again`.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from vaguemestre_core.cards import (
    CardEvent,
    CardEventKind,
    CardKind,
    CardReader,
    CardTrouble,
    Insertion,
    ReaderState,
)
from vaguemestre_drivers.pcsc.atr import kind_of
from vaguemestre_drivers.pcsc.port import PcscPort, ReaderStatus, StatusFeed

WAIT_S: Final = 1.0
"""Longest wait in the service, so that a sign of life is given each second and a lost cancellation costs little."""
RETRY_S: Final = 0.5
"""Pause before the service is tried again."""
SHORTEST_TURN_S: Final = 0.02
"""Pause after a wait that ended at once with nothing to say: a service that repeats itself costs no core."""

_LOG: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stay:
    """One card's stay in one reader, as a connection can check it: same run of the service, same count."""

    insertion: Insertion
    reader: str
    card: CardKind | None
    epoch: int
    count: int


class CardWatch:
    """The loop and what it knows. `run` belongs to one thread; everything else may be called from any.

    Args:
        on_event: told each event, in order, in the thread of `run`; must return soon and not raise.
        first_insertion: number of the first stay; by default the wall clock's microseconds, so that a program started
            again gives none that it gave before: a stay chosen before is then refused, never taken for another card.
        wait_s, retry_s: longest wait in the service, and pause before it is tried again.
        clock: monotonic seconds.
        alive: called at least every `WAIT_S` while the loop turns: a watchdog's sign of life.
    """

    def __init__(
        self,
        port: PcscPort,
        on_event: Callable[[CardEvent], None],
        *,
        first_insertion: int | None = None,
        alive: Callable[[], None] | None = None,
        wait_s: float = WAIT_S,
        retry_s: float = RETRY_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._port = port
        self._on_event = on_event
        self._alive = alive
        self._wait_s = wait_s
        self._retry_s = retry_s
        self._clock = clock
        self._next = time.time_ns() // 1_000 if first_insertion is None else first_insertion
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._feed: StatusFeed | None = None
        self._readers: dict[str, CardReader] = {}
        self._stays: dict[str, Stay] = {}
        self._trouble: CardTrouble | None = None
        self._is_up: bool | None = None

    def readers(self) -> tuple[CardReader, ...]:
        """Return every reader as last seen, by name."""
        with self._lock:
            return tuple(self._readers[name] for name in sorted(self._readers))

    def trouble(self) -> CardTrouble | None:
        """Return why the service does not serve, or None while it does."""
        with self._lock:
            return self._trouble

    def stay(self, insertion: Insertion) -> Stay | None:
        """Return a card's stay while it lasts, None once it is over."""
        with self._lock:
            return next((stay for stay in self._stays.values() if stay.insertion == insertion), None)

    def stop(self) -> None:
        """End `run` soon, from any thread."""
        self._stop.set()
        with self._lock:
            feed = self._feed
        if feed is not None:
            feed.cancel()

    def run(self) -> None:
        """Watch until `stop`; leaves no reader and no card behind in the picture."""
        while not self._stop.is_set():
            self._sign()
            try:
                self._serve()
            except CardTrouble as trouble:
                self._down(trouble)
                self._stop.wait(self._retry_s)
        self._forget_all()

    def _serve(self) -> None:
        """Follow one run of the service until it ends (CardTrouble) or `stop`."""
        epoch = self._port.epoch()
        feed = self._port.open_feed()
        try:
            with self._lock:
                self._feed = feed
            names = feed.readers()
            self._up()
            marks: dict[str, int] = {}
            while not self._stop.is_set():
                self._sign()
                for gone in marks.keys() - set(names):
                    del marks[gone]
                    self._reader_gone(gone)
                began = self._clock()
                changes = feed.wait({name: marks.get(name, 0) for name in names}, self._wait_s)
                if (changes or set(names) != marks.keys()) and self._port.epoch() != epoch:
                    # Counts of another run of the service mean nothing here: begin again.
                    _LOG.info("pcsc.started_again")
                    self._forget_all()
                    return
                for status in changes:
                    marks[status.name] = status.mark
                    self._seen(status, epoch)
                names = feed.readers()
                if not changes and self._clock() - began < SHORTEST_TURN_S:
                    self._stop.wait(SHORTEST_TURN_S)
        finally:
            with self._lock:
                self._feed = None
            feed.close()

    # events

    def _sign(self) -> None:
        if self._alive is not None:
            self._alive()

    def _up(self) -> None:
        with self._lock:
            self._trouble = None
        if self._is_up is not True:
            self._is_up = True
            _LOG.info("pcsc.service_up")
            self._on_event(CardEvent(kind=CardEventKind.SERVICE_UP))

    def _down(self, trouble: CardTrouble) -> None:
        with self._lock:
            self._trouble = trouble
        self._forget_all()
        if self._is_up is not False:
            self._is_up = False
            _LOG.warning("pcsc.service_down", extra={"code": trouble.code})
            self._on_event(CardEvent(kind=CardEventKind.SERVICE_DOWN))

    def _forget_all(self) -> None:
        for reader in self.readers():
            self._reader_gone(reader.name)

    def _reader_gone(self, name: str) -> None:
        with self._lock:
            reader = self._readers.pop(name, None)
            stay = self._stays.pop(name, None)
        if reader is None:
            return
        empty = CardReader(name=name, state=ReaderState.EMPTY)
        if stay is not None:
            self._tell(CardEventKind.CARD_REMOVED, empty, stay)
        self._tell(CardEventKind.READER_REMOVED, empty, None)

    def _seen(self, status: ReaderStatus, epoch: int) -> None:
        with self._lock:
            before = self._readers.get(status.name)
            stay = self._stays.get(status.name)
            ended = stay if stay is not None and (not status.is_present or stay.count != status.count) else None
            if ended is not None:
                stay = None
            begun = None
            if status.is_present and stay is None:
                begun = stay = Stay(
                    insertion=Insertion(self._next),
                    reader=status.name,
                    card=kind_of(status.atr) if status.atr else None,
                    epoch=epoch,
                    count=status.count,
                )
                self._next += 1
            elif stay is not None and stay.card is None and status.atr:
                stay = replace(stay, card=kind_of(status.atr))  # it answers after all
            if stay is None:
                self._stays.pop(status.name, None)
            else:
                self._stays[status.name] = stay
            after = _reader(status, stay)
            self._readers[status.name] = after
        if before is None:
            self._tell(CardEventKind.READER_ADDED, after, None)
        if ended is not None:
            empty = CardReader(name=status.name, state=ReaderState.EMPTY)
            self._tell(CardEventKind.CARD_REMOVED, empty, ended)
        if begun is not None:
            self._tell(CardEventKind.CARD_INSERTED, after, begun)
        elif before is not None and ended is None and (before.state, before.card) != (after.state, after.card):
            self._tell(CardEventKind.READER_CHANGED, after, stay)

    def _tell(self, kind: CardEventKind, reader: CardReader, stay: Stay | None) -> None:
        self._on_event(
            CardEvent(
                kind=kind,
                reader=reader,
                card=stay.card if stay else reader.card,
                insertion=stay.insertion if stay else reader.insertion,
            )
        )


def _reader(status: ReaderStatus, stay: Stay | None) -> CardReader:
    if stay is None:
        return CardReader(name=status.name, state=state_of(status))
    return CardReader(
        name=status.name,
        state=state_of(status),
        card=stay.card,
        insertion=stay.insertion,
        is_shared=status.is_in_use,
    )


def state_of(status: ReaderStatus) -> ReaderState:
    """Return what a reader shows."""
    if not status.is_present:
        return ReaderState.FAILING if status.is_unavailable else ReaderState.EMPTY
    return _STATES[status.is_mute, status.is_exclusive]


_STATES: Final[Mapping[tuple[bool, bool], ReaderState]] = {
    (False, False): ReaderState.CARD,
    (False, True): ReaderState.HELD,
    (True, False): ReaderState.MUTE,
    (True, True): ReaderState.MUTE,
}
"""What a reader with a card shows, by (mute, exclusive)."""
