"""Professionals' cards as the practice sees them: whose each is, how its PIN session goes, what to say of its end.

Owns what was read of the cards now present, and the one PIN window that may be open. Keeps nothing on disk and knows
no PIN: the window belongs to the readers process. What is read is forgotten with the stay of its card.
Source: docs/cards.md, "CPS: the professional's card".
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum, unique
from typing import Final

from vaguemestre_agent.services.values import HealthItem
from vaguemestre_core.cardholders import HolderCard
from vaguemestre_core.cards import Insertion
from vaguemestre_core.cps import CpsSituation, ExpiryNotice
from vaguemestre_core.errors import Conflict, Recovery, VaguemestreError
from vaguemestre_core.ports import ClockPort
from vaguemestre_core.readerports import ReadersPort

_log = logging.getLogger(__name__)
# What passes by itself is tried again after these pauses.
READ_PAUSES_S: Final = (0.0, 2.0, 5.0, 15.0)
# A middleware that takes the readers process down as often is not asked again by itself.
LOST_MAX: Final = 3
_ENDING: Final = {
    ExpiryNotice.IN_60_DAYS: "CPS_ENDS_SOON",
    ExpiryNotice.IN_30_DAYS: "CPS_ENDS_SOON",
    ExpiryNotice.IN_7_DAYS: "CPS_ENDS_SOON",
    ExpiryNotice.EXPIRED: CpsSituation.CPS_EXPIRED.value,
    ExpiryNotice.NOT_YET: CpsSituation.CPS_NOT_YET_VALID.value,
}


@unique
class CardSession(StrEnum):
    """Where a card's PIN session is."""

    CLOSED = "closed"
    ASKING = "asking"  # a window asks for the PIN on the workstation
    OPEN = "open"


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenProfessional:
    """A professional's card as shown.

    Attributes:
        holder: whose; None while it is not read, or cannot be (``unread`` says why).
        unread: code of why it is not read, or None.
        notice, days_left: what to say of its end; None while it is not read.
        session: of its PIN.
        attempt: number of the last login asked for, 0 when none was.
        failure: code of why that login did not open it, or None.
    """

    holder: HolderCard | None
    unread: str | None
    notice: ExpiryNotice | None
    days_left: int | None
    session: CardSession
    attempt: int
    failure: str | None


@dataclass(slots=True)
class _Card:
    """What is known of one stay."""

    holder: HolderCard | None = None
    unread: str | None = None
    attempt: int = 0
    failure: str | None = None


class ProfessionalCards:
    """See the module. Everything happens on the loop."""

    def __init__(self, port: ReadersPort, clock: ClockPort) -> None:
        self._port = port
        self._clock = clock
        self._cards: dict[Insertion, _Card] = {}
        self._asking: Insertion | None = None
        self._attempts = 0
        self._lost = 0
        self._group: asyncio.TaskGroup | None = None
        self._listeners: list[Callable[[], None]] = []

    def listen(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Call the listener after each change; return the function that stops it."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    async def run(self) -> None:
        """Read the cards that come, for ever; ends by cancellation, and what was asked with it."""
        stop = self._port.listen(lambda _: self._look())
        try:
            async with asyncio.TaskGroup() as group:
                self._group = group
                self._look()
                await asyncio.Event().wait()
        finally:
            self._group = None
            stop()

    def seen(self, stay: Insertion) -> SeenProfessional | None:
        """Return what is known of a card, or None when it is no professional's."""
        card = self._cards.get(stay)
        if card is None:
            return None
        validity = None if card.holder is None else card.holder.validity
        now = self._clock.now()
        return SeenProfessional(
            holder=card.holder,
            unread=card.unread,
            notice=None if validity is None else validity.notice(now),
            days_left=None if validity is None else validity.days_left(now.date()),
            session=self._session(stay),
            attempt=card.attempt,
            failure=card.failure,
        )

    def log_in(self, stay: Insertion, asker: str) -> int:
        """Have the PIN asked for; return the number of this attempt. How it ends is told by ``seen``.

        Raises:
            Conflict: CARD_LOGIN_OPEN: a window is open already; CARD_NOT_PROFESSIONAL; READERS_PROCESS_DOWN.
        """
        card = self._cards.get(stay)
        if card is None or self._group is None:
            raise Conflict("CARD_NOT_PROFESSIONAL")
        if self._asking is not None:
            raise Conflict("CARD_LOGIN_OPEN")
        self._attempts += 1
        card.attempt, card.failure = self._attempts, None
        self._asking = stay
        self._group.create_task(self._log_in(stay, card, asker), name="card-login")
        self._tell()
        return card.attempt

    async def log_out(self, stay: Insertion) -> None:
        """Close a card's session; one that is not open is closed already. Raises CardTrouble, Conflict."""
        if stay not in self._cards:
            raise Conflict("CARD_NOT_PROFESSIONAL")
        await self._port.log_out(stay)

    def health_items(self) -> Sequence[HealthItem]:
        """Say which cards end soon or cannot be read; nothing of persons."""
        items: list[HealthItem] = []
        for stay in self._cards:
            seen = self.seen(stay)
            if seen is None:
                continue
            code = seen.unread if seen.notice is None else _ENDING.get(seen.notice)
            if code is not None:
                items.append(HealthItem(code=code, ok=False, params={"days": seen.days_left}))
        return tuple(items)

    def _session(self, stay: Insertion) -> CardSession:
        if any(card.stay == stay for card in self._port.opened()):
            return CardSession.OPEN
        return CardSession.ASKING if self._asking == stay else CardSession.CLOSED

    def _look(self) -> None:
        """Forget the cards that left and read those that came."""
        present = {
            reader.insertion
            for reader in self._port.picture.readers
            if reader.insertion is not None and reader.card is not None and reader.card.is_cps
        }
        for stay in self._cards.keys() - present:
            del self._cards[stay]
        for stay in sorted(present - self._cards.keys()):
            card = self._cards[stay] = _Card()
            if self._lost >= LOST_MAX:
                card.unread = CpsSituation.MIDDLEWARE_CRASHED.value
            elif self._group is not None:
                self._group.create_task(self._read(stay, card), name="card-holder")
        self._tell()

    async def _read(self, stay: Insertion, card: _Card) -> None:
        for pause in READ_PAUSES_S:
            await self._clock.sleep(pause)
            if self._cards.get(stay) is not card:
                return
            try:
                holder = await self._port.read_holder(stay)
            except VaguemestreError as error:
                self._lost += error.code == "READERS_PROCESS_DOWN"
                card.unread = error.code
                _log.info("card.unread", extra={"code": error.code})
                if error.recovery is not Recovery.BACKOFF:
                    break
                self._tell()
            else:
                card.holder, card.unread, self._lost = holder, None, 0
                break
        self._tell()

    async def _log_in(self, stay: Insertion, card: _Card, asker: str) -> None:
        try:
            await self._port.log_in(stay, asker)
        except VaguemestreError as error:
            card.failure = error.code
            _log.info("card.not_opened", extra={"code": error.code})
        else:
            self._lost = 0
        finally:
            self._asking = None
        self._tell()
        await self._read(stay, card)  # the tries left are not what they were

    def _tell(self) -> None:
        for listener in tuple(self._listeners):
            listener()
