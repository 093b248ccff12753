"""CardPresencePort in memory: cards that a test puts in and pulls out."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence

from vaguemestre_core.cardports import KeyId, OpenCard
from vaguemestre_core.records import AuthorityMeans

FAR = dt.datetime(2040, 1, 1, tzinfo=dt.UTC)


class ScriptedCards:
    """The cards of a workstation.

    Attributes:
        listeners: who is told of each change.
    """

    def __init__(self) -> None:
        self.listeners: list[Callable[[], None]] = []
        self._cards: dict[KeyId, OpenCard] = {}
        self._openings = 0

    def open_cards(self) -> Sequence[OpenCard]:
        """Return the cards that are in, PIN session open."""
        return tuple(self._cards.values())

    def listen(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Call the listener after each change."""
        self.listeners.append(listener)
        return lambda: self.listeners.remove(listener)

    def insert(
        self,
        holder: str,
        means: AuthorityMeans = AuthorityMeans.CPS,
        structure: str | None = None,
        until: dt.datetime = FAR,
    ) -> KeyId:
        """Put a card in, its PIN given; return its key."""
        self._openings += 1
        key = KeyId(f"key-{self._openings}")
        self._cards[key] = OpenCard(key=key, means=means, holder=holder, structure=structure, until=until)
        self._tell()
        return key

    def pull(self, key: KeyId) -> None:
        """Pull a card out."""
        del self._cards[key]
        self._tell()

    def _tell(self) -> None:
        for listener in tuple(self.listeners):
            listener()
