"""Regular backups: when, how many stay, what health says."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from vaguemestre_core.errors import Conflict, StoreError
from vaguemestre_core.keeping import BackupSettings
from vaguemestre_testkit.clocks import START, FakeClock
from vaguemestre_testkit.orders import test_keys
from vaguemestre_testkit.practice_kit import SECRETARY, Office, office


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
