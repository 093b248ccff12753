"""Authorities that a key gives: a card in its reader, or the structure's certificate; begun and ended at once.

Owns who may send under which key and how fast: one departure at a time under a card, with a pause in between. Keeps
nothing on disk, knows no PIN, touches no reader. Source: docs/cards.md, "Whose authority a card is".
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from vaguemestre_core.authority import PREFERENCE, kinds_of
from vaguemestre_core.cardports import CardPresencePort, KeyId, KeySession, OpenCard
from vaguemestre_core.errors import InvalidInput, StoreError
from vaguemestre_core.orders import OrderKind
from vaguemestre_core.ports import ClockPort, StorePort
from vaguemestre_core.professionals import is_ps_idnat
from vaguemestre_core.records import AGENT_ACTOR, Authority, AuthorityMeans

_log = logging.getLogger(__name__)
SERVICE = "dmp"
STORE_RETRY_S = 5.0
STRUCTURE_KEY = KeyId("structure")


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthoritySettings:
    """What a key may do on this workstation.

    Attributes:
        pause_s: pause between two departures under one card, seconds: billing software needs the card too.
        cpe_for: PS_IdNat of the professionals whose documents leave under a CPE of their structure, separated by
            spaces; empty: a CPE sends nothing.
        structure_for: the same for the structure's certificate.
    """

    pause_s: float = 1.0
    cpe_for: str = ""
    structure_for: str = ""

    def __post_init__(self) -> None:
        if self.pause_s < 0 or not all(is_ps_idnat(who) for who in (self.cpe_for + " " + self.structure_for).split()):
            raise InvalidInput("AUTHORITY_SETTINGS_INVALID")


@dataclass(frozen=True, slots=True, kw_only=True)
class StructureCertificate:
    """The structure's own certificate in files, when the direct way has one.

    Attributes:
        structure: Struct_IdNat it was issued to.
        until: end of its validity.
    """

    structure: str
    until: datetime


@dataclass(slots=True)
class _Pace:
    """When the next order may leave under one key."""

    under_way: int = 0
    next_boot_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Line:
    """A ledger line that waits for the store."""

    kind: str
    session: KeySession = field(repr=False)


class CardAuthorities:
    """The keys under which orders may leave from this workstation now.

    Args:
        store: for the ledger's lines.
        cards: which cards are open.
        clock: time.
        station: this workstation's id.
        settings: whose orders, how fast.
        changed: told when somebody's authority begins or ends.
        structure: the structure's certificate, or None.
    """

    def __init__(
        self,
        store: StorePort,
        cards: CardPresencePort,
        clock: ClockPort,
        *,
        station: str,
        settings: AuthoritySettings,
        changed: Callable[[], None],
        structure: StructureCertificate | None = None,
    ) -> None:
        self._store = store
        self._cards = cards
        self._clock = clock
        self._station = station
        self._settings = settings
        self._changed = changed
        self._structure = structure
        self._open: dict[tuple[KeyId, str], KeySession] = {}
        self._paces: dict[KeyId, _Pace] = {}
        self._lines: deque[_Line] = deque()
        self._told = asyncio.Event()

    async def run(self) -> None:
        """Follow the cards for ever and write what began and ended; ends by cancellation."""
        stop = self._cards.listen(self._look)
        try:
            self._look()
            while True:
                await self._told.wait()
                self._told.clear()
                while self._lines:
                    await self._write(self._lines[0])
                    self._lines.popleft()
        finally:
            stop()

    async def _write(self, line: _Line) -> None:
        detail = (("means", line.session.means.value), ("national_id", line.session.national_id))
        while True:
            try:
                await self._store.note(line.kind, AGENT_ACTOR, detail=detail)
            except StoreError as error:
                if error.code == "STORE_CLOSED":
                    raise
                _log.warning("authority.untold", extra={"kind": line.kind, "code": error.code})
                await self._clock.sleep(STORE_RETRY_S)
            else:
                return

    def _look(self) -> None:
        """Compare with what the readers show now: an authority ends here, before anything else may ask for it."""
        wanted = {key: session for session in self._now() for key in [(session.key, session.national_id)]}
        ended = [self._open.pop(key) for key in sorted(set(self._open) - set(wanted))]
        begun = [wanted[key] for key in sorted(set(wanted) - set(self._open))]
        for session in begun:
            self._open[session.key, session.national_id] = session
        # What leaves under the structure's certificate takes no card from anybody: no pause.
        keys = {key for key, _ in self._open} - {STRUCTURE_KEY}
        self._paces = {key: self._paces.get(key, _Pace()) for key in keys}
        for kind, sessions in (("authority.ended", ended), ("authority.opened", begun)):
            for session in sessions:
                self._lines.append(_Line(kind=kind, session=session))
                _log.info("authority.changed", extra={"kind": kind, "means": session.means.value})
        if ended or begun:
            self._told.set()
            self._changed()

    def _now(self) -> Sequence[KeySession]:
        found: list[KeySession] = []
        for card in self._cards.open_cards():
            found += [self._session(card, who) for who in self._served_by(card)]
        if self._structure is not None:
            found += [
                KeySession(
                    key=STRUCTURE_KEY,
                    means=AuthorityMeans.STRUCTURE,
                    national_id=who,
                    holder=who,
                    structure=self._structure.structure,
                    until=self._structure.until,
                )
                for who in sorted(set(self._settings.structure_for.split()))
            ]
        return found

    def _served_by(self, card: OpenCard) -> Sequence[str]:
        """Return whose orders leave under a card: its holder's, or those of the professionals a CPE serves."""
        return [card.holder] if card.means is AuthorityMeans.CPS else sorted(set(self._settings.cpe_for.split()))

    def _session(self, card: OpenCard, who: str) -> KeySession:
        return KeySession(
            key=card.key,
            means=card.means,
            national_id=who,
            holder=card.holder,
            structure=card.structure,
            until=card.until,
        )

    def sessions(self) -> Sequence[KeySession]:
        """Return the keys that may be used now, those of persons first."""
        now = self._clock.now()
        living = [session for key, session in sorted(self._open.items()) if session.until > now]
        return sorted(living, key=lambda session: PREFERENCE.index(session.means))

    def session_for(self, national_id: str, kind: OrderKind) -> KeySession | None:
        """Return the key under which an order of this kind may leave for a professional, or None."""
        for session in self.sessions():
            if session.national_id == national_id and kind in kinds_of(session.means):
                return session
        return None

    def is_free(self, key: KeyId) -> bool:
        """Say whether an order may leave under a key now: one at a time, with a pause in between."""
        pace = self._paces.get(key)
        return pace is None or (pace.under_way == 0 and self._clock.boot_s() >= pace.next_boot_s)

    @property
    def next_departure_s(self) -> float | None:
        """Seconds until the next pause ends, or None when none runs."""
        now = self._clock.boot_s()
        left = [pace.next_boot_s - now for pace in self._paces.values() if not pace.under_way]
        return min((seconds for seconds in left if seconds > 0), default=None)

    def departs(self, session: KeySession) -> None:
        """Note that an order leaves under a key."""
        if (pace := self._paces.get(session.key)) is not None:
            pace.under_way += 1

    def arrived(self, session: KeySession) -> None:
        """Note that it is done: the pause begins."""
        if (pace := self._paces.get(session.key)) is not None:
            pace.under_way -= 1
            pace.next_boot_s = self._clock.boot_s() + self._settings.pause_s

    def authorities(self) -> Sequence[Authority]:
        """Return who may send under a key now."""
        return [
            Authority(
                professional=session.national_id,
                means=session.means,
                service=SERVICE,
                station=self._station,
                until=session.until,
                proxy_client_id="",
            )
            for session in self.sessions()
        ]
