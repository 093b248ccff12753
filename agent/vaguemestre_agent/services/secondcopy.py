"""The second copy at work: what is accepted goes, sealed, to a second place, and goes from there when it is destroyed.

Passes in the background only: a place that is away, full or silent is told by health and never holds up an acceptance.
Each pass compares what should be there with what is: it catches up by itself, whatever was missed.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Final

from vaguemestre_agent.services.values import HealthItem
from vaguemestre_core.errors import StoreError
from vaguemestre_core.ports import ClockPort
from vaguemestre_core.secondcopy import CopyMemory, CopySourcePort, HandsPort, Listed, PlacePort, SecondCopySettings

_log = logging.getLogger(__name__)
LOOK_S: Final = 600.0  # a place is looked at again after that, even when nothing changed
REST: Final = 4.0  # rests that many times what the last pass took: neither the workstation nor a share is worn out
_AWAY: Final = frozenset({"SECOND_COPY_AWAY", "SECOND_COPY_SILENT"})


@dataclass(slots=True, kw_only=True)
class _Seen:
    """What a pass leaves to the next one and to health.

    Attributes:
        mark: of the store at the last whole pass; -1: none, or the last one failed.
        counted: mark at which ``missing`` was counted without the place.
        there: names of the copies known to be there.
        carried: lines of copies that this store knows nothing of.
        damaged: names whose document here is not what its row vouches for.
        memory, kept: what to remember, and what the store remembers of it.
    """

    mark: int = -1
    counted: int = -1
    looked_s: float = 0.0
    there: frozenset[str] = frozenset()
    carried: dict[str, str] = field(default_factory=dict)
    damaged: frozenset[str] = frozenset()
    list_digest: bytes = b""
    memory: CopyMemory = field(default_factory=CopyMemory)
    kept: CopyMemory | None = None
    trouble: str | None = None
    missing: int = 0
    unknown: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class SecondCopyService:
    """Keeps the second place as it should be.

    Attributes:
        source: gives what is to be copied.
        place, hands: the place, and what its steps run in.
        opens_with_recovery_key: the practice printed its recovery key.
        is_unadopted_copy: this store is a copy of another that may be alive: it leaves the place alone.
    """

    source: CopySourcePort
    place: PlacePort
    hands: HandsPort
    clock: ClockPort
    settings: SecondCopySettings
    opens_with_recovery_key: bool
    is_unadopted_copy: bool
    _seen: _Seen = field(default_factory=_Seen)

    async def run(self) -> None:
        """Make passes, for ever. Without a folder there is nothing to do."""
        if not self.settings.folder or self.is_unadopted_copy:
            return
        while True:
            before = self.clock.boot_s()
            await self.make_pass()
            await self.clock.sleep(max(self.settings.every_s, REST * (self.clock.boot_s() - before)))

    async def make_pass(self) -> None:
        """Make the place a step more like it should be; what goes wrong is told by health and tried at the next one."""
        seen = self._seen
        try:
            if seen.kept is None:
                seen.memory = seen.kept = await self.source.recalled()
            await self._pass()
            seen.memory = replace(seen.memory, away_since=None)
            trouble = None
        except StoreError as error:
            trouble = error.code
            seen.mark, seen.list_digest = -1, b""
            if seen.trouble != trouble:
                _log.error("second_copy.failed", extra={"code": trouble})
        try:
            if trouble in _AWAY:
                await self._away()
            if seen.kept is not None and seen.memory != seen.kept:
                await self.source.remember(seen.memory)
                seen.kept = seen.memory
        except StoreError as error:
            trouble = error.code
        seen.trouble = trouble

    async def _pass(self) -> None:
        seen = self._seen
        mark = await self.source.mark()
        if not await self.hands.run(self.place.is_there):
            seen.list_digest = b""
        elif mark == seen.mark and not seen.missing and self.clock.boot_s() - seen.looked_s < LOOK_S:
            return
        seen.there = await self.hands.run(self.place.look)
        seen.looked_s = self.clock.boot_s()
        await self.hands.run(self.place.write_escrow)
        wanted = await self.source.wanted()
        missing = self._count(wanted)
        await self._let_go(seen.there - {item.name for item in wanted})
        await self._write_list(wanted)
        try:
            for item in missing[: self.settings.batch]:
                await self._copy(item)
        finally:
            self._count(wanted)
        seen.mark = mark

    def _count(self, wanted: Sequence[Listed]) -> list[Listed]:
        """Return what is not there, and let health know how many."""
        seen = self._seen
        seen.damaged &= {item.name for item in wanted}
        missing = [item for item in wanted if item.name not in seen.there and item.name not in seen.damaged]
        seen.missing = len(missing)
        return missing

    async def _let_go(self, others: frozenset[str]) -> None:
        """Remove the copies of what was destroyed; what this store knows nothing of is another's word: it stays."""
        seen = self._seen
        gone = await self.source.destroyed(sorted(others))
        for name in sorted(gone):
            await self.hands.run(partial(self.place.remove, name))
        seen.there -= gone
        unknown = others - gone
        seen.unknown = len(unknown)
        if not unknown <= seen.carried.keys():
            seen.carried |= await self.source.lines_of(await self.hands.run(self.place.read_lists))
        seen.carried = {name: seen.carried[name] for name in sorted(unknown & seen.carried.keys())}

    async def _write_list(self, wanted: Sequence[Listed]) -> None:
        """Write the list before the copies: a copy that is there is always named by it."""
        lines = [*self._seen.carried.values(), *(item.line for item in wanted)]
        digest = hashlib.sha256("\n".join(lines).encode()).digest()
        if digest != self._seen.list_digest:
            await self.hands.run(partial(self.place.write_list, await self.source.sealed_list(lines)))
            self._seen.list_digest = digest

    async def _copy(self, item: Listed) -> None:
        seen = self._seen
        sealed = await self.source.envelope(item.order_id)
        if sealed is None:  # damaged, or destroyed since: the next pass no longer wants it then
            seen.damaged |= {item.name}
            return
        await self.hands.run(partial(self.place.write, item.name, sealed))
        seen.there |= {item.name}
        seen.memory = replace(seen.memory, last_copied_at=self.clock.now())

    async def _away(self) -> None:
        """Remember since when, and count what is not known to be there."""
        seen = self._seen
        if seen.memory.away_since is None:
            seen.memory = replace(seen.memory, away_since=self.clock.now())
        mark = await self.source.mark()
        if mark != seen.counted:
            self._count(await self.source.wanted())
            seen.counted = mark

    def health_items(self) -> Sequence[HealthItem]:
        """Return what health says of the second copy."""
        seen = self._seen
        if not self.settings.folder:
            return (HealthItem(code="SECOND_COPY_NOT_CONFIGURED", ok=True),)
        if self.is_unadopted_copy:
            return (HealthItem(code="SECOND_COPY_WAITS_FOR_ADOPTION", ok=False),)
        away, copied = seen.memory.away_since, seen.memory.last_copied_at
        params: dict[str, str | int | float | None] = {
            "missing": seen.missing,
            "last": "-" if copied is None else f"{copied:%Y-%m-%d %H:%M} UTC",
        }
        items: list[HealthItem] = []
        if seen.trouble in _AWAY:
            since = "-" if away is None else f"{away:%Y-%m-%d %H:%M} UTC"
            items.append(HealthItem(code="SECOND_COPY_ABSENT", ok=False, params={**params, "since": since}))
        elif seen.trouble is not None:
            items.append(HealthItem(code="SECOND_COPY_TROUBLE", ok=False, params={**params, "code": seen.trouble}))
        elif seen.mark < 0:
            items.append(HealthItem(code="SECOND_COPY_NOT_LOOKED_AT", ok=True))
        elif seen.missing:
            items.append(HealthItem(code="SECOND_COPY_CATCHING_UP", ok=True, params=params))
        else:
            items.append(HealthItem(code="SECOND_COPY_DONE", ok=True, params={**params, "there": len(seen.there)}))
        if seen.unknown:
            items.append(HealthItem(code="SECOND_COPY_OTHERS_THERE", ok=True, params={"count": seen.unknown}))
        if seen.damaged:
            items.append(HealthItem(code="SECOND_COPY_DAMAGED_HERE", ok=False, params={"count": len(seen.damaged)}))
        if not self.opens_with_recovery_key:
            items.append(HealthItem(code="SECOND_COPY_STATION_ONLY", ok=False))
        return items
