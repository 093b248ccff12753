"""A rig for tests with readers: virtual ones everywhere, pcscd with vpcd inside the lab (`pcsclab`)."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

from vaguemestre_core.cards import CardEvent, CardEventKind
from vaguemestre_drivers.pcsc.connection import CardAccess
from vaguemestre_drivers.pcsc.port import PcscPort
from vaguemestre_drivers.pcsc.virtual import VirtualReaders
from vaguemestre_drivers.pcsc.watching import CardWatch
from vaguemestre_drivers.pcsc.winscard import WinscardPort
from vaguemestre_sandbox.cards.card import VirtualCard
from vaguemestre_sandbox.cards.vpcd import InsertedCard
from vaguemestre_testkit import pcsclab

EVENT_S = 15.0


class Events:
    """The events of a watch, waited for without sleeping."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self.seen: list[CardEvent] = []

    def __call__(self, event: CardEvent) -> None:
        with self._changed:
            self.seen.append(event)
            self._changed.notify_all()

    def wait_for(self, holds: Callable[[CardEvent], bool], after: int = 0) -> CardEvent:
        """Return the first event from `after` on for which it holds."""
        found: list[CardEvent] = []

        def look() -> bool:
            found[:] = [event for event in self.seen[after:] if holds(event)]
            return bool(found)

        with self._changed:
            assert self._changed.wait_for(look, EVENT_S), [str(event.kind) for event in self.seen]
        return found[0]

    def wait_kind(self, kind: CardEventKind, reader: str | None = None, after: int = 0) -> CardEvent:
        """Return the first event of a kind, of a reader, from `after` on."""
        return self.wait_for(
            lambda e: e.kind is kind and (reader is None or (e.reader is not None and e.reader.name == reader)), after
        )


@dataclass
class Rig:
    """A port, its readers, and hands to put cards in."""

    port: PcscPort
    readers: tuple[str, ...]
    ports: tuple[int, ...]
    stack: ExitStack
    service: pcsclab.PcscService | None = None
    cards: list[InsertedCard] = field(default_factory=list)

    def insert(self, card: VirtualCard, slot: int = 0) -> InsertedCard:
        """Put a card in; taken out at the end of the test."""
        inserted = InsertedCard.insert(card, port=self.ports[slot])
        self.stack.callback(inserted.remove)
        return inserted

    def watch(self, first_insertion: int | None = None) -> tuple[CardWatch, Events]:
        """Start a watch in its thread; stopped at the end of the test."""
        events = Events()
        watch = CardWatch(self.port, events, first_insertion=first_insertion)
        thread = threading.Thread(target=watch.run)
        thread.start()
        self.stack.callback(thread.join)
        self.stack.callback(watch.stop)
        return watch, events

    def access(self, watch: CardWatch) -> CardAccess:
        """Return the way to the cards of a watch."""
        return CardAccess(self.port, watch.stay)


@contextmanager
def virtual_rig() -> Iterator[Rig]:
    """Lend two virtual readers."""
    with ExitStack() as stack:
        readers = VirtualReaders([0, 0], begin_s=0.3, transmit_s=1.0)
        stack.callback(readers.close)
        yield Rig(port=readers, readers=readers.names, ports=readers.ports, stack=stack)


@contextmanager
def pcscd_rig() -> Iterator[Rig]:
    """Lend a running pcscd with the two readers of vpcd; inside the lab only."""
    with ExitStack() as stack:
        service = pcsclab.PcscService()
        stack.callback(service.close)
        service.start()
        port = WinscardPort(begin_s=0.3, transmit_s=1.0)
        stack.callback(port.close)
        ports = (pcsclab.FIRST_PORT, pcsclab.FIRST_PORT + 1)
        yield Rig(port=port, readers=pcsclab.READERS, ports=ports, stack=stack, service=service)
