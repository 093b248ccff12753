"""The readers of a sandbox, each a loopback port that a workstation listens on, and the cards a tester has put in them.

The reader belongs to the workstation (vpcd in its PC/SC service, or the virtual readers of the agent); the rack only
holds cards. Calls block for as long as a reader takes to accept: a server calls them in a thread.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass

from vaguemestre_sandbox.cards.catalogue import make
from vaguemestre_sandbox.cards.vpcd import InsertedCard


class ReaderAbsent(Exception):
    """Nothing listens on the reader's port: no PC/SC service with vpcd, no virtual readers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReaderRow:
    """One reader: its place in the rack, its port, and the name of the card in it."""

    slot: int
    port: int
    card: str | None


class CardRack:
    """Cards in readers, by slot."""

    def __init__(self, ports: Sequence[int]) -> None:
        self.ports = tuple(ports)
        self._lock = threading.Lock()
        self._cards: dict[int, tuple[str, InsertedCard]] = {}

    def rows(self) -> tuple[ReaderRow, ...]:
        """Return every reader; a card that was dropped by its reader is no longer in it."""
        with self._lock:
            present = {slot: name for slot, (name, card) in self._cards.items() if card.is_in}
        return tuple(ReaderRow(slot=n, port=port, card=present.get(n)) for n, port in enumerate(self.ports))

    def insert(self, slot: int, name: str, *, pulled_at: int | None = None) -> None:
        """Put a fresh card in, in the place of the one that was there.

        Args:
            slot: place in the rack, from 0. Raises IndexError beyond it.
            name: of the catalogue. Raises KeyError for another.
            pulled_at: the command at which it is pulled out by itself.

        Raises ReaderAbsent when nothing listens there.
        """
        port = self.ports[slot]
        card = make(name, pulled_at=pulled_at)
        self.remove(slot)
        try:
            inserted = InsertedCard.insert(card, port=port)
        except OSError as error:
            raise ReaderAbsent(port) from error
        with self._lock:
            self._cards[slot] = (name, inserted)

    def remove(self, slot: int) -> bool:
        """Pull the card; False when there was none."""
        with self._lock:
            held = self._cards.pop(slot, None)
        if held is None:
            return False
        was_in = held[1].is_in
        held[1].remove()
        return was_in

    def clear(self) -> None:
        """Pull every card."""
        for slot in range(len(self.ports)):
            self.remove(slot)
