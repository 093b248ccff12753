"""Regular backups: one when it is time or asked for, the oldest removed, and what health says of the last good one.

The interval is counted on the boot-time clock: a wall clock that jumps makes neither a flood of backups nor a gap.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Final

from vaguemestre_agent.services.values import HealthItem
from vaguemestre_agent.services.wake import Wake
from vaguemestre_core.errors import Conflict, StoreError
from vaguemestre_core.keeping import BACKUP_SUFFIX, Anchor, BackupFacts, BackupPort, BackupSettings, KeepingPort
from vaguemestre_core.ports import ClockPort, StorePort
from vaguemestre_core.records import AGENT_ACTOR, Actor

_log = logging.getLogger(__name__)
RETRY_S: Final = 3600.0


@dataclass(slots=True, kw_only=True)
class _Seen:
    """What health tells of the backups."""

    known: tuple[BackupFacts, ...] = ()
    trouble: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupService:
    """Makes backups into the folder of the settings."""

    store: StorePort
    keeping: KeepingPort
    backups: BackupPort
    clock: ClockPort
    settings: BackupSettings
    wake: Wake = field(default_factory=Wake)
    _seen: _Seen = field(default_factory=_Seen)

    async def run(self) -> None:
        """Make a backup when it is time or asked for; for ever. Without a folder there is nothing to do."""
        if not self.settings.folder:
            return
        await self._look()
        pause = self._first_pause_s()
        while True:
            if pause > 0:
                await self.wake.wait(self.clock, pause)
            pause = self._every_s if await self.make() else min(self._every_s, RETRY_S)

    @property
    def _every_s(self) -> float:
        return self.settings.every_h * 3600.0

    def _first_pause_s(self) -> float:
        if not self._seen.known:
            return 0.0
        age_s = (self.clock.now() - self._seen.known[0].made_at).total_seconds()
        return max(0.0, self._every_s - age_s) if age_s >= 0 else 0.0

    async def _look(self) -> None:
        folder = Path(self.settings.folder)
        try:
            self._seen.known = tuple(await asyncio.to_thread(self.backups.known, folder))
        except OSError:
            self._seen.known = ()

    async def make(self) -> bool:
        """Make one now, with the head of the ledger signed in it; return whether it is there."""
        folder, now = Path(self.settings.folder), self.clock.now()
        try:
            await self.keeping.sign_head()
            await asyncio.to_thread(_require_folder, folder)
            path = folder / f"vaguemestre-{now:%Y%m%dT%H%M%SZ}{BACKUP_SUFFIX}"
            facts = await asyncio.to_thread(self.backups.make, path, now)
            detail = (("ledger_seq", str(facts.anchor.seq)), ("orders", str(facts.orders)))
            await self.store.note("backup.made", AGENT_ACTOR, detail=detail)
            await asyncio.to_thread(self.backups.remove_oldest, folder, self.settings.keep)
        except StoreError as error:
            self._seen.trouble = error.code
            _log.error("backup.failed", extra={"code": error.code})
            return False
        except OSError:
            self._seen.trouble = "BACKUP_UNWRITABLE"
            _log.error("backup.failed", extra={"code": "BACKUP_UNWRITABLE"})
            return False
        self._seen.trouble = None
        await self._look()
        return True

    async def ask(self, actor: Actor) -> None:
        """Have one made now; health and the ledger tell when it is there. Raises Conflict BACKUP_NOT_CONFIGURED."""
        if not self.settings.folder:
            raise Conflict("BACKUP_NOT_CONFIGURED")
        await self.store.note("backup.asked", actor)
        self.wake.ring()

    async def known(self) -> Sequence[BackupFacts]:
        """Return this store's backups in the folder, newest first."""
        if self.settings.folder:
            await self._look()
        return self._seen.known

    async def anchors(self) -> Sequence[Anchor]:
        """Return the ledger heads that the backups remember."""
        return [facts.anchor for facts in await self.known()]

    async def remembered(self) -> Sequence[Anchor]:
        """Return the same as last seen, without reading the folder: it may be a disk that is asleep."""
        return [facts.anchor for facts in self._seen.known]

    def health_items(self) -> Sequence[HealthItem]:
        """Return what health says of the backups."""
        seen = self._seen
        if not self.settings.folder:
            return (HealthItem(code="BACKUP_NOT_CONFIGURED", ok=True),)
        last = seen.known[0] if seen.known else None
        age_h = None if last is None else round((self.clock.now() - last.made_at) / timedelta(hours=1), 1)
        if seen.trouble is not None:
            return (HealthItem(code="BACKUP_TROUBLE", ok=False, params={"code": seen.trouble, "age_h": age_h}),)
        if last is None or age_h is None:
            return (HealthItem(code="BACKUP_NONE_YET", ok=True),)
        if age_h > 2 * self.settings.every_h:
            return (HealthItem(code="BACKUP_LATE", ok=False, params={"age_h": age_h}),)
        items = [HealthItem(code="BACKUP_DONE", ok=True, params={"age_h": age_h, "count": len(seen.known)})]
        if not last.opens_with_recovery_key:
            items.append(HealthItem(code="BACKUP_STATION_ONLY", ok=False))
        if last.faults:
            items.append(
                HealthItem(code="BACKUP_OF_A_FAULTY_STORE", ok=False, params={"faults": ", ".join(last.faults)})
            )
        return items


def _require_folder(folder: Path) -> None:
    """Refuse a folder that is not there: a removable disk that is away must not become a folder of this disk."""
    if not folder.is_dir():
        raise StoreError("BACKUP_FOLDER_AWAY")
