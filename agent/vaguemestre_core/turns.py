"""Whose turn it is: each professional with something due is served in turn, and what a person asked goes first.

Pure values and one counter in memory: forgetting it at a restart only changes who is served first. Never decides
whether an order may leave. Source: docs/sending.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from vaguemestre_core.orders import ClientId, OrderKind

ALL_KINDS: Final = frozenset(OrderKind)
# Of this many departures of one professional, one is of the automatic orders first: nothing asked can starve them.
ASKED_THEN_AUTOMATIC: Final = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class SendingRight:
    """One professional for whom orders may leave from here now.

    Attributes:
        professional: national identifier (PS_IdNat).
        clients: the clients whose own session is open for that professional: an order of another client must not
            leave in it.
        asked_first: what a person asked to send goes before what leaves by itself.
        kinds: the orders that the means may send (``vaguemestre_core.authority``).
    """

    professional: str
    clients: frozenset[ClientId]
    asked_first: bool = True
    kinds: frozenset[OrderKind] = ALL_KINDS


class Turns:
    """The last turn of each professional."""

    def __init__(self) -> None:
        self._turn = 0
        self._last: dict[str, int] = {}
        self._served: dict[str, int] = {}

    def in_turn(self, rights: Iterable[SendingRight]) -> Sequence[SendingRight]:
        """Return the rights, least recently served first, each saying whether asked orders go first this time."""
        ordered = sorted(rights, key=lambda right: (self._last.get(right.professional, 0), right.professional))
        return [
            replace(
                right,
                asked_first=self._served.get(right.professional, 0) % ASKED_THEN_AUTOMATIC < ASKED_THEN_AUTOMATIC - 1,
            )
            for right in ordered
        ]

    def served(self, professional: str) -> None:
        """Note that an order of this professional left."""
        self._turn += 1
        self._last[professional] = self._turn
        self._served[professional] = self._served.get(professional, 0) + 1
