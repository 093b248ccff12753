"""Regular backups: when, how many stay, what health says."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from vaguemestre_core.errors import Conflict, StoreError
from vaguemestre_core.keeping import BackupSettings
from vaguemestre_testkit.clocks import START, FakeClock
from vaguemestre_testkit.observed_wake import ObservedWake
from vaguemestre_testkit.orders import test_keys
from vaguemestre_testkit.practice_kit import PATIENCE_S, SECRETARY, Office, office


def codes(practice: Office) -> list[tuple[str, bool]]:
    return [(item.code, item.ok) for item in practice.backend.backups.health_items()]


async def test_backups_are_made_kept_and_told(tmp_path: Path) -> None:
    folder = tmp_path / "usb"
    folder.mkdir()
    async with office(tmp_path / "state", backup=BackupSettings(folder=str(folder), every_h=24, keep=2)) as practice:
        service = practice.backend.backups
        assert codes(practice) == [("BACKUP_NONE_YET", True)]
        for _ in range(3):
            assert await service.make()
            practice.clock.advance(3600)
        assert len(list(folder.iterdir())) == 2
        assert codes(practice) == [("BACKUP_DONE", True), ("BACKUP_STATION_ONLY", False)]
        assert service.health_items()[0].params == {"age_h": 1.0, "count": 2}
        practice.clock.advance(49 * 3600)
        assert codes(practice) == [("BACKUP_LATE", False)]
        kinds = [entry.kind for entry in await practice.store.ledger(0)]
        assert kinds.count("backup.made") == 3
        # The heads in the backups are anchors of the ledger.
        await practice.backend.verify_ledger()
        assert [anchor.where for anchor in await service.anchors()] == ["backup", "backup"]


async def test_a_disk_that_is_away_is_told_and_not_replaced_by_a_folder(tmp_path: Path) -> None:
    folder = tmp_path / "usb"
    async with office(tmp_path / "state", backup=BackupSettings(folder=str(folder))) as practice:
        assert not await practice.backend.backups.make()
        assert codes(practice) == [("BACKUP_TROUBLE", False)]
        assert practice.backend.backups.health_items()[0].params["code"] == "BACKUP_FOLDER_AWAY"
        assert not folder.exists()
        folder.mkdir()
        assert await practice.backend.backups.make()
        assert codes(practice)[0] == ("BACKUP_DONE", True)


async def test_without_a_folder_health_says_that_none_is_made(tmp_path: Path) -> None:
    async with office(tmp_path) as practice:
        await practice.backend.backups.run()  # ends at once
        assert codes(practice) == [("BACKUP_NOT_CONFIGURED", True)]
        with pytest.raises(Conflict, match="BACKUP_NOT_CONFIGURED"):
            await practice.backend.backups.ask(SECRETARY)


async def test_a_folder_emptied_and_begun_anew_is_told_by_the_backup(tmp_path: Path) -> None:
    folder, state, keys = tmp_path / "usb", tmp_path / "state", test_keys()
    folder.mkdir()
    settings = BackupSettings(folder=str(folder))
    async with office(state, keys=keys, backup=settings) as practice:
        await practice.backend.backups.make()
    for path in state.iterdir():
        path.unlink()
    async with office(state, keys=keys, backup=settings, clock=FakeClock(START + timedelta(days=1))) as practice:
        with pytest.raises(StoreError, match=r"LEDGER_(TRUNCATED|REWRITTEN)") as found:
            await practice.backend.verify_ledger()
        assert found.value.params["anchor"] == "backup"


async def test_one_is_made_at_the_start_then_each_interval_whatever_the_wall_clock_says(tmp_path: Path) -> None:
    folder = tmp_path / "usb"
    folder.mkdir()
    async with office(tmp_path / "state", backup=BackupSettings(folder=str(folder), every_h=24)) as practice:
        made = asyncio.Queue[str]()
        stop = practice.store.listen(
            lambda change: made.put_nowait(change.entry.kind) if change.entry.kind == "backup.made" else None
        )
        wake = ObservedWake()
        service = replace(practice.backend.backups, wake=wake)

        async def wait(seconds: float) -> None:
            """Advance the clock once the service waits for it."""
            await wake.asleep()
            for _ in range(3):
                await asyncio.sleep(0)
            practice.clock.advance(seconds)

        async with asyncio.timeout(PATIENCE_S), asyncio.TaskGroup() as group:
            task = group.create_task(service.run())
            await made.get()
            # A year ahead on the wall, an hour for real: it is not time.
            practice.clock.set_wall(practice.clock.now() + timedelta(days=365))
            await wait(3600)
            practice.clock.set_wall(START + timedelta(hours=1))
            await wait(22 * 3600)
            await wake.asleep()
            assert made.empty()
            await wait(3600)
            await made.get()
            # Asked for by a person: now.
            await wait(1)
            await service.ask(SECRETARY)
            await made.get()
            task.cancel()
        stop()
        assert len(await practice.backend.backups.known()) == 3
        kinds = [entry.kind for entry in await practice.store.ledger(0)]
        assert kinds.count("backup.asked") == 1
