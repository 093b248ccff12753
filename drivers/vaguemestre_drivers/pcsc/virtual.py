"""Readers without any PC/SC service: they listen on loopback ports as vpcd does, and virtual cards connect to them.

For development and tests only, by setting: what connects is believed to be a card. Keeps the same port as the real
service, transactions and counts included, so that everything above runs unchanged where PC/SC cannot be installed.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self

from vaguemestre_core.cards import CardTrouble, Situation
from vaguemestre_drivers.pcsc.port import SHORTEST_APDU_BYTES, CardLink, Leaving, ReaderStatus, StatusFeed
from vaguemestre_drivers.pcsc.virtualslot import LineBroken, LineSilent, VirtualSlot

BEGIN_S: Final = 2.0
TRANSMIT_S: Final = 10.0


@dataclass(slots=True)
class _Sharing:
    """Who uses one slot: the links open, and the one in a transaction."""

    links: int = 0
    owner: VirtualLink | None = None


class VirtualReaders:
    """A `PcscPort` of virtual readers.

    Args:
        ports: a loopback port per reader; 0 lets the system choose (`ports` tells).
        names: of the readers, as many as ports.
    """

    def __init__(
        self,
        ports: Sequence[int],
        names: Sequence[str] | None = None,
        *,
        begin_s: float = BEGIN_S,
        transmit_s: float = TRANSMIT_S,
    ) -> None:
        called = list(names) if names is not None else [f"Virtual Reader {n:02}" for n in range(len(ports))]
        if len(called) != len(ports) or len(set(called)) != len(called):
            raise ValueError("one name for each port")
        self.changed = threading.Condition()
        self.begin_s = begin_s
        self.transmit_s = transmit_s
        self._closed = False
        self._sharing = {name: _Sharing() for name in called}
        self._slots: dict[str, VirtualSlot] = {}
        try:
            for name, port in zip(called, ports, strict=True):
                self._slots[name] = VirtualSlot(port, self._slot_changed)
        except OSError:
            self.close()
            raise

    @property
    def ports(self) -> tuple[int, ...]:
        """The loopback port of each reader."""
        return tuple(slot.port for slot in self._slots.values())

    @property
    def names(self) -> tuple[str, ...]:
        """The readers' names."""
        return tuple(self._slots)

    @property
    def is_closed(self) -> bool:
        """Whether `close` was called."""
        return self._closed

    def open_feed(self) -> StatusFeed:
        """Return a feed of these readers."""
        self._check_open()
        return VirtualFeed(self)

    def epoch(self) -> int:
        """Return 1: there is no service that could start again."""
        self._check_open()
        return 1

    def connect(self, reader: str) -> CardLink:
        """Return a link to the card in this reader."""
        self._check_open()
        slot = self._slots.get(reader)
        if slot is None:
            raise CardTrouble(Situation.READER_UNKNOWN, reader=reader)
        stay = slot.stay()
        if stay is None:
            raise CardTrouble(Situation.CARD_ABSENT, reader=reader)
        if not stay.atr:
            raise CardTrouble(Situation.CARD_MUTE, reader=reader)
        return VirtualLink(self, reader, slot, stay.count, stay.atr)

    def close(self) -> None:
        """Drop every card and stop listening."""
        with self.changed:
            self._closed = True
            self.changed.notify_all()
        for slot in self._slots.values():
            slot.close()

    # for feeds and links

    def status(self, name: str) -> ReaderStatus:
        """Return one reader's status; its mark tells any two different ones apart."""
        slot = self._slots[name]
        stay = slot.stay()
        count = slot.count
        in_use = self._sharing[name].links > 0
        mark = count << 3 | (stay is not None) << 2 | in_use << 1 | 1
        return ReaderStatus(
            name=name,
            is_present=stay is not None,
            is_mute=stay is not None and not stay.atr,
            is_in_use=in_use,
            count=count & 0xFFFF,
            atr=stay.atr if stay is not None else b"",
            mark=mark,
        )

    def opened(self, link: VirtualLink) -> None:
        """Count a link."""
        with self.changed:
            self._sharing[link.reader].links += 1
            self.changed.notify_all()

    def closed(self, link: VirtualLink) -> None:
        """Forget a link and its transaction."""
        with self.changed:
            sharing = self._sharing[link.reader]
            sharing.links -= 1
            if sharing.owner is link:
                sharing.owner = None
            self.changed.notify_all()

    def owns(self, link: VirtualLink) -> bool:
        """Whether the link has its reader's transaction."""
        return self._sharing[link.reader].owner is link

    def take(self, link: VirtualLink, timeout_s: float) -> bool:
        """Give the link the transaction of its reader; False when another keeps it all that time."""
        with self.changed:
            sharing = self._sharing[link.reader]
            if not self.changed.wait_for(lambda: sharing.owner in (None, link), timeout_s):
                return False
            sharing.owner = link
            return True

    def release(self, link: VirtualLink) -> None:
        """Take the transaction back."""
        with self.changed:
            if self._sharing[link.reader].owner is link:
                self._sharing[link.reader].owner = None
                self.changed.notify_all()

    def _slot_changed(self) -> None:
        with self.changed:
            self.changed.notify_all()

    def _check_open(self) -> None:
        if self._closed:
            raise CardTrouble(Situation.PCSC_STOPPED)


class VirtualFeed:
    """A watcher's link to virtual readers."""

    def __init__(self, readers: VirtualReaders) -> None:
        self._readers = readers
        self._cancelled = False
        self._ended = False

    def readers(self) -> tuple[str, ...]:
        """Return the readers' names."""
        self._check_live()
        return self._readers.names

    def wait(self, known: Mapping[str, int], timeout_s: float) -> tuple[ReaderStatus, ...]:
        """Return the readers whose status changed."""
        with self._readers.changed:
            self._readers.changed.wait_for(
                lambda: self._cancelled or self._readers.is_closed or bool(self._changed(known)), timeout_s
            )
            self._cancelled = False
            self._check_live()
            return self._changed(known)

    def cancel(self) -> None:
        """End the wait in progress."""
        with self._readers.changed:
            self._cancelled = True
            self._readers.changed.notify_all()

    def close(self) -> None:
        """End the feed."""
        self._ended = True

    def _changed(self, known: Mapping[str, int]) -> tuple[ReaderStatus, ...]:
        statuses = (self._readers.status(name) for name in known if name in self._readers.names)
        return tuple(status for status in statuses if status.mark != known[status.name])

    def _check_live(self) -> None:
        if self._ended or self._readers.is_closed:
            raise CardTrouble(Situation.PCSC_STOPPED)


class VirtualLink:
    """A link to one card's stay in a virtual reader; dies with it."""

    def __init__(self, readers: VirtualReaders, reader: str, slot: VirtualSlot, count: int, atr: bytes) -> None:
        self.reader = reader
        self._readers = readers
        self._slot = slot
        self._count = count
        self._atr = atr
        self._open = True
        readers.opened(self)

    @property
    def atr(self) -> bytes:
        """The card's answer to reset."""
        return self._atr

    def begin(self) -> None:
        """Start a transaction."""
        self._check_live()
        if not self._readers.take(self, self._readers.begin_s):
            raise CardTrouble(Situation.READER_HELD, reader=self.reader)

    def end(self, leaving: Leaving) -> None:
        """End the transaction."""
        if leaving is Leaving.RESET:
            with contextlib.suppress(LineBroken):
                self._slot.reset(self._count)
        self._readers.release(self)

    def reset(self) -> None:
        """Reset the card."""
        self._check_live()
        try:
            self._slot.reset(self._count)
        except LineBroken as error:
            raise CardTrouble(Situation.CARD_REMOVED, reader=self.reader) from error

    def transmit(self, apdu: bytes) -> tuple[bytes, int]:
        """Send one command."""
        if len(apdu) < SHORTEST_APDU_BYTES:
            raise ValueError("a command has at least 4 bytes")
        self._check_live()
        was_ours = self._readers.owns(self)
        if not self._readers.take(self, self._readers.transmit_s):
            raise CardTrouble(Situation.READER_HELD, reader=self.reader)
        try:
            answer = self._slot.ask(self._count, apdu, self._readers.transmit_s)
        except LineSilent as error:
            raise CardTrouble(Situation.CARD_SLOW, reader=self.reader) from error
        except LineBroken as error:
            raise CardTrouble(Situation.CARD_REMOVED, reader=self.reader) from error
        finally:
            if not was_ours:
                self._readers.release(self)
        if len(answer) < 2:
            raise CardTrouble(Situation.CARD_UNREADABLE, reader=self.reader, length=len(answer))
        return answer[:-2], answer[-2] << 8 | answer[-1]

    def status(self) -> ReaderStatus:
        """Return the reader's status."""
        return self._readers.status(self.reader)

    def close(self, leaving: Leaving) -> None:
        """End the link."""
        if self._open:
            self._open = False
            if leaving is Leaving.RESET:
                with contextlib.suppress(LineBroken):
                    self._slot.reset(self._count)
            self._readers.closed(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close(Leaving.LEAVE)

    def _check_live(self) -> None:
        if not self._open or self._slot.count != self._count or self._slot.stay() is None:
            raise CardTrouble(Situation.CARD_REMOVED, reader=self.reader)
