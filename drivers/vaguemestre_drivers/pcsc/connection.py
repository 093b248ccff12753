"""The one way to talk to a card: a short transaction that yields to other programs, tries again, and never holds.

`using_card` connects, checks that the card is still the one that was chosen, lends a bounded session to the work, and
gives the card back whatever happened. Billing software shares the readers: nothing here keeps a card between two works.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeVar

from vaguemestre_core.cards import CardTrouble, Insertion, Situation
from vaguemestre_drivers.pcsc.port import CardLink, CardTransport, Leaving, PcscPort
from vaguemestre_drivers.pcsc.watching import Stay

T = TypeVar("T")

Work = Callable[[CardTransport], T]
"""What is done with a card, in one transaction; must not keep the session."""

PASSING: Final = frozenset({Situation.READER_HELD})
"""Nothing was sent to the card: the same work is tried again."""
FLAKY: Final = frozenset({Situation.CARD_UNREADABLE, Situation.READER_FAILING})
"""An exchange failed: work that may be repeated is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long a work waits, tries and holds.

    Attributes:
        held_s: longest wait for another program to give the reader back.
        pause_s: between two tries.
        tries: of a work that may be repeated, when exchanges fail (worn contacts, keyboard readers).
        longest_s: longest transaction; checked before each command.
        most_commands: commands in one transaction, so that no card keeps us by answering.
    """

    held_s: float = 5.0
    pause_s: float = 0.15
    tries: int = 4
    longest_s: float = 10.0
    most_commands: int = 2000

    def __post_init__(self) -> None:
        if min(self.held_s, self.pause_s, self.longest_s) < 0 or self.tries < 1 or self.most_commands < 1:
            raise ValueError("patience counts in positive seconds and at least one try")


class CardSession:
    """What the work sees of a link: a transport with a budget of time and commands, dead after the transaction."""

    def __init__(self, link: CardLink, patience: Patience, clock: Callable[[], float]) -> None:
        self._link: CardLink | None = link
        self._clock = clock
        self._atr = link.atr
        self._until = clock() + patience.longest_s
        self._left = patience.most_commands

    @property
    def atr(self) -> bytes:
        """The card's answer to reset."""
        return self._atr

    def transmit(self, apdu: bytes) -> tuple[bytes, int]:
        """Send one command. Raises CardTrouble CARD_SLOW past the time, CARD_UNREADABLE past the commands."""
        if self._link is None:
            raise CardTrouble(Situation.CARD_REMOVED)
        if self._clock() > self._until:
            raise CardTrouble(Situation.CARD_SLOW)
        if self._left <= 0:
            raise CardTrouble(Situation.CARD_UNREADABLE, reason="too_many_commands")
        self._left -= 1
        return self._link.transmit(apdu)

    def end(self) -> None:
        """Refuse any further command."""
        self._link = None


class CardAccess:
    """Gives cards to works, one transaction at a time.

    Args:
        stay_of: tells a stay while it lasts (`CardWatch.stay`).
        holders: names the programs that may hold a reader (`holding.holders`); asked only when one is held.
        clock, pause: monotonic seconds, and a wait.
    """

    def __init__(
        self,
        port: PcscPort,
        stay_of: Callable[[Insertion], Stay | None],
        *,
        holders: Callable[[], tuple[str, ...]] = tuple,
        clock: Callable[[], float] = time.monotonic,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._port = port
        self._stay_of = stay_of
        self._holders = holders
        self._clock = clock
        self._pause = pause

    def using_card(
        self,
        reader: str,
        work: Work[T],
        *,
        is_repeatable: bool,
        insertion: Insertion | None = None,
        leaving: Leaving = Leaving.LEAVE,
        patience: Patience = Patience(),
    ) -> T:
        """Do a work in one transaction with the card in this reader and return its result.

        Args:
            reader: its name.
            work: what is done with the session; the session dies with the transaction.
            is_repeatable: whether doing the work twice does no harm (a read: yes; a PIN: never).
            insertion: the stay that was chosen; another card, or the same one put in again, is refused.
            leaving: RESET to have the card forget what the work selected or verified.
            patience: limits of the waits, the tries and the transaction.

        Raises CardTrouble: CARD_CHANGED, READER_HELD (with `holder` when the system tells, after `patience.held_s`),
        CARD_ABSENT, CARD_MUTE, CARD_REMOVED, CARD_UNREADABLE, CARD_SLOW, READER_UNKNOWN, READER_FAILING, PCSC_*.
        """
        give_up_at = self._clock() + patience.held_s
        tries = patience.tries if is_repeatable else 1
        while True:
            try:
                return self._once(reader, work, insertion, leaving, patience)
            except CardTrouble as trouble:
                if trouble.situation in PASSING:
                    if self._clock() >= give_up_at:
                        raise self._held(reader) from trouble
                elif trouble.situation in FLAKY and tries > 1:
                    tries -= 1
                else:
                    raise
            self._pause(patience.pause_s)

    def _once(self, reader: str, work: Work[T], insertion: Insertion | None, leaving: Leaving, patience: Patience) -> T:
        with self._port.connect(reader) as link:
            link.begin()
            session = CardSession(link, patience, self._clock)
            try:
                self._check_same_card(link, reader, insertion)
                result = work(session)
            finally:
                session.end()
                link.end(leaving)
            return result

    def _check_same_card(self, link: CardLink, reader: str, insertion: Insertion | None) -> None:
        """Raise CARD_CHANGED unless the card under the link is the one of the stay.

        A link dies with its card, so what is true here stays true for every command sent through it.
        """
        if insertion is None:
            return
        stay = self._stay_of(insertion)
        if stay is None or stay.reader != reader:
            raise CardTrouble(Situation.CARD_CHANGED, reader=reader)
        if link.status().count != stay.count or self._port.epoch() != stay.epoch:
            raise CardTrouble(Situation.CARD_CHANGED, reader=reader)

    def _held(self, reader: str) -> CardTrouble:
        names = self._holders()
        if not names:
            return CardTrouble(Situation.READER_HELD, reader=reader)
        return CardTrouble(Situation.READER_HELD, reader=reader, holder=", ".join(names), certain=len(names) == 1)
