"""Encrypted backups: either key opens them, damage is told, a full disk leaves nothing, a restored store doubts."""

from __future__ import annotations

import errno
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from dataclasses import replace
from pathlib import Path

import pytest

from vaguemestre_agent.adapters.backup import container
from vaguemestre_agent.adapters.backup.files import FileBackups
from vaguemestre_agent.adapters.backup.restoring import OpenedBackup, open_backup, put_in_place
from vaguemestre_agent.adapters.keystore.recovery import RecoveryKey, new_recovery_key, write_escrow
from vaguemestre_core.errors import Conflict, StoreError
from vaguemestre_core.orders import OrderEvent, OrderState
from vaguemestre_queue.opening import DATABASE_FILE, open_store
from vaguemestre_queue.sealing import StoreKeys
from vaguemestre_queue.store import Store
from vaguemestre_testkit.clocks import FakeClock, NoFailpoints, SeededRandom
from vaguemestre_testkit.orders import DOCTOR, a_client, an_acceptance, test_keys

CANARY = b"%PDF-1.4 le patient CANARI-TRES-VISIBLE"


class Practice:
    """A store with its recovery key, and what backs it up."""

    def __init__(self, folder: Path) -> None:
        self.recovery: RecoveryKey = new_recovery_key()
        self.keys: StoreKeys = replace(test_keys(), recovery_recipient=self.recovery.recipient)
        self.state = folder / "state"
        self.clock = FakeClock()
        write_escrow(self.keys, self.state)
        self.backups = FileBackups(self.state, self.keys, self.clock, NoFailpoints())

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[Store]:
        async with open_store(self.state, self.keys, self.clock, SeededRandom(1), NoFailpoints()) as store:
            if not await store.clients():
                await store.add_client(a_client(), DOCTOR)
            yield store

    def open(
        self, path: Path, work: Path, *, keys: StoreKeys | None = None, recovery: RecoveryKey | None = None
    ) -> OpenedBackup:
        work.mkdir(exist_ok=True)
        return open_backup(path, work, keys, recovery, self.clock, NoFailpoints())


@pytest.fixture
def practice(tmp_path: Path) -> Practice:
    return Practice(tmp_path)


@pytest.mark.req("SC.SSI/GEN.21.BIS")
async def test_a_backup_of_a_running_store_opens_with_either_key(practice: Practice, tmp_path: Path) -> None:
    path = tmp_path / "a.vgmbak"
    async with practice.opened() as store:
        await store.accept(an_acceptance(practice.clock, 1, content=CANARY))
        await store.keeping.sign_head()
        made = practice.backups.make(path, practice.clock.now())
        await store.accept(an_acceptance(practice.clock, 2))
    assert (made.orders, made.open_orders, made.bodies, made.clients, made.faults) == (1, 1, 1, 1, ())
    assert made.opens_with_recovery_key
    content = path.read_bytes()
    assert b"CANARI" not in content
    assert b"SQLite" not in content
    for keys, recovery in ((practice.keys, None), (None, practice.recovery)):
        opened = practice.open(path, tmp_path / "work", keys=keys, recovery=recovery)
        assert (opened.faults, opened.facts) == ((), made)
        assert opened.keys.identity == practice.keys.identity
    assert practice.backups.known(tmp_path) == [made]
    assert [item.name for item in practice.state.glob("backup-work*")] == []


async def test_a_backup_of_another_station_does_not_open(practice: Practice, tmp_path: Path) -> None:
    path = tmp_path / "a.vgmbak"
    async with practice.opened():
        practice.backups.make(path, practice.clock.now())
    with pytest.raises(StoreError, match="BACKUP_OTHER_KEY"):
        practice.open(path, tmp_path / "work", keys=test_keys())
    with pytest.raises(StoreError, match="BACKUP_OTHER_KEY"):
        practice.open(path, tmp_path / "work", recovery=new_recovery_key())


@pytest.mark.req("SC.SSI/GEN.21.BIS")
async def test_a_damaged_backup_is_told_wherever_it_is(practice: Practice, tmp_path: Path) -> None:
    path = tmp_path / "a.vgmbak"
    async with practice.opened() as store:
        await store.accept(an_acceptance(practice.clock, 1))
        practice.backups.make(path, practice.clock.now())
    whole = path.read_bytes()
    damaged = tmp_path / "b.vgmbak"
    for at in [*range(12, len(whole), len(whole) // 40), len(whole) - 1]:
        damaged.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        with pytest.raises(StoreError, match=r"BACKUP_(DAMAGED|OTHER_KEY)"):
            practice.open(damaged, tmp_path / "work", keys=practice.keys)
    for end in (0, 5, 12, 500, len(whole) // 2, len(whole) - 1):
        damaged.write_bytes(whole[:end])
        with pytest.raises(StoreError, match=r"BACKUP_(DAMAGED|NOT_OURS)"):
            practice.open(damaged, tmp_path / "work", keys=practice.keys)


async def test_a_backup_made_by_who_has_only_the_public_key_is_refused(practice: Practice, tmp_path: Path) -> None:
    path, forged = tmp_path / "a.vgmbak", tmp_path / "forged.vgmbak"
    async with practice.opened():
        practice.backups.make(path, practice.clock.now())
    opened = practice.open(path, tmp_path / "work", keys=practice.keys)
    signed = container.read(path, [practice.backups._identity])
    changed = replace(signed, manifest=replace(signed.manifest, orders=99))
    container.write(forged, changed, opened.database, [practice.backups._identity.to_public()])
    container.publish(forged)
    with pytest.raises(StoreError, match="BACKUP_FORGED"):
        practice.open(forged, tmp_path / "work", keys=practice.keys)
    assert [item.name for item in practice.backups.known(tmp_path)] == ["a.vgmbak"]


async def test_a_row_forged_in_the_live_store_is_found_in_its_backup(practice: Practice, tmp_path: Path) -> None:
    path = tmp_path / "a.vgmbak"
    async with practice.opened() as store:
        await store.accept(an_acceptance(practice.clock, 1))
        with closing(sqlite3.connect(practice.state / DATABASE_FILE)) as raw, raw:
            raw.execute("UPDATE orders SET professional = '899700000099'")
            raw.execute("UPDATE bodies SET envelope = zeroblob(9)")
        assert practice.backups.make(path, practice.clock.now()).faults == ("row",)
    assert practice.open(path, tmp_path / "work", keys=practice.keys).faults == ("row",)


async def test_a_lost_body_and_a_rewritten_line_are_found(practice: Practice, tmp_path: Path) -> None:
    async with practice.opened() as store:
        await store.accept(an_acceptance(practice.clock, 1))
        with closing(sqlite3.connect(practice.state / DATABASE_FILE)) as raw, raw:
            raw.execute("DELETE FROM bodies")
            raw.execute("DROP TRIGGER ledger_is_never_updated")
            raw.execute("UPDATE ledger SET detail = '[]' WHERE seq = 3")
        assert practice.backups.make(tmp_path / "a.vgmbak", practice.clock.now()).faults == ("body", "ledger")


async def test_a_full_disk_leaves_no_file_and_the_one_before(
    practice: Practice, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with practice.opened() as store:
        await store.accept(an_acceptance(practice.clock, 1))
        before = practice.backups.make(tmp_path / "a.vgmbak", practice.clock.now())

        def full(self: container._Target, block: bytes) -> int:
            self.failure = OSError(errno.ENOSPC, "full")
            raise self.failure

        monkeypatch.setattr(container._Target, "write", full)
        with pytest.raises(StoreError, match="BACKUP_NO_SPACE"):
            practice.backups.make(tmp_path / "b.vgmbak", practice.clock.now())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.vgmbak", "state"]
    assert practice.backups.known(tmp_path) == [before]


async def test_no_file_is_replaced_and_a_missing_folder_is_told(practice: Practice, tmp_path: Path) -> None:
    async with practice.opened():
        practice.backups.make(tmp_path / "a.vgmbak", practice.clock.now())
        with pytest.raises(StoreError, match="BACKUP_EXISTS"):
            practice.backups.make(tmp_path / "a.vgmbak", practice.clock.now())
        with pytest.raises(StoreError, match="BACKUP_UNWRITABLE"):
            practice.backups.make(tmp_path / "away" / "a.vgmbak", practice.clock.now())


@pytest.mark.req("SC.SSI/GEN.21.BIS")
async def test_a_restored_store_doubts_what_was_open_and_keeps_the_old_one_aside(
    practice: Practice, tmp_path: Path
) -> None:
    path = tmp_path / "a.vgmbak"
    async with practice.opened() as store:
        one = an_acceptance(practice.clock, 1, content=CANARY)
        await store.accept(one)
        practice.backups.make(path, practice.clock.now())
        await store.cancel(one.order_id, DOCTOR)
        await store.accept(an_acceptance(practice.clock, 2))
        last = await store.last_line()
    opened = practice.open(path, tmp_path / "work", keys=practice.keys)
    with pytest.raises(Conflict, match="BACKUP_STORE_PRESENT"):
        put_in_place(opened, practice.state, practice.clock.now(), replacing=False)
    aside = put_in_place(opened, practice.state, practice.clock.now(), replacing=True)
    assert aside is not None
    async with practice.opened() as store:
        assert store.recovery.incarnated == 1
        order = await store.order(one.order_id)
        assert (order.state, order.failure_code) == (OrderState.IN_DOUBT, "STORE_RESTORED")
        assert (await store.body(one.order_id)).body == CANARY
        await store.apply(one.order_id, OrderEvent.RESOLVED_SENT, DOCTOR)
        await store.verify_ledger()  # anchors of the life put aside went with it
    with closing(sqlite3.connect(aside / DATABASE_FILE)) as raw:
        assert raw.execute("SELECT max(seq) FROM ledger").fetchone()[0] >= last


async def test_a_restoration_cut_anywhere_can_be_repeated(
    practice: Practice, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.vgmbak"
    async with practice.opened() as store:
        await store.accept(an_acceptance(practice.clock, 1))
        practice.backups.make(path, practice.clock.now())
        await store.accept(an_acceptance(practice.clock, 2))
    real = Path.replace
    for cut_at in range(1, 4):
        calls = 0

        def cut(self: Path, target: Path, cut_at: int = cut_at) -> Path:
            nonlocal calls
            calls += 1
            if calls == cut_at:
                raise KeyboardInterrupt
            return real(self, target)

        opened = practice.open(path, tmp_path / "work", keys=practice.keys)
        with monkeypatch.context() as patch:
            patch.setattr(Path, "replace", cut)
            try:
                put_in_place(opened, practice.state, practice.clock.now(), replacing=True)
            except KeyboardInterrupt:
                assert (practice.state / DATABASE_FILE).exists()
        put_in_place(opened, practice.state, practice.clock.now(), replacing=True)
        async with practice.opened() as store:
            assert len(await store.clients()) == 1
            assert (await store.order(an_acceptance(practice.clock, 1).order_id)).state is OrderState.IN_DOUBT
            assert store.recovery.incarnated == 1


async def test_a_dead_workstation_comes_back_with_the_paper_alone(practice: Practice, tmp_path: Path) -> None:
    path = tmp_path / "a.vgmbak"
    async with practice.opened() as store:
        await store.accept(an_acceptance(practice.clock, 1, content=CANARY))
        practice.backups.make(path, practice.clock.now())
    other = tmp_path / "other"
    other.mkdir()
    opened = practice.open(path, tmp_path / "work", recovery=practice.recovery)
    assert put_in_place(opened, other, practice.clock.now(), replacing=False) is None
    async with open_store(other, opened.keys, practice.clock, SeededRandom(2), NoFailpoints()) as store:
        assert (await store.body(an_acceptance(practice.clock, 1).order_id)).body == CANARY
    assert (other / "keys.escrow").exists()
