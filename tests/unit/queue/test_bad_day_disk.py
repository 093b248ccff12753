"""Bad days of the disk: full, read-only; refused with a code, nothing lost, over when the cause is, told meanwhile."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from vaguemestre_core.errors import StoreError
from vaguemestre_core.orders import OrderState
from vaguemestre_core.records import OrderFilter
from vaguemestre_queue.rows import as_int
from vaguemestre_queue.store import Store
from vaguemestre_testkit.clocks import FakeClock
from vaguemestre_testkit.opened_store import opened
from vaguemestre_testkit.orders import an_acceptance, test_keys

KEYS = test_keys()
CLOCK = FakeClock()
BODY = os.urandom(200_000)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A real file system of 32 MiB, where the system lets a test mount one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("only root mounts a disk")
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=32m", "tmpfs", str(folder)], check=False)
    if mounted.returncode:
        pytest.skip("this machine does not let a disk be mounted")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def remount(folder: Path, how: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{how}", str(folder)], check=True)


def trouble(store: Store) -> str | None:
    return store.trouble


async def fill(store: Store) -> tuple[list[str], StoreError]:
    """Accept until it is refused; return what was accepted and the refusal."""
    accepted: list[str] = []
    for number in range(1, 200):
        try:
            await store.accept(an_acceptance(CLOCK, number, content=BODY + bytes([number])))
        except StoreError as error:
            return accepted, error
        accepted.append(f"order-{number}")
    raise AssertionError


async def test_a_full_disk_refuses_keeps_and_recovers_by_itself(small_disk: Path) -> None:
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(25 * 1024 * 1024))
    async with opened(small_disk / "state", KEYS, CLOCK) as store:
        accepted, error = await fill(store)
        assert (error.code, trouble(store)) == ("STORE_FULL", "STORE_FULL")
        assert len(accepted) > 3
        with pytest.raises(StoreError, match="STORE_FULL"):
            await store.try_out()
        assert trouble(store) == "STORE_FULL"
        kept = {order.order_id: order.state for order in await store.orders(OrderFilter(limit=200))}
        assert kept == dict.fromkeys(accepted, OrderState.PREPARING)
        for order_id in accepted:
            assert (await store.body((await store.orders(OrderFilter()))[0].order_id)).body.startswith(BODY)
            assert order_id in kept
        ballast.unlink()
        await store.try_out()
        assert trouble(store) is None
        await store.accept(an_acceptance(CLOCK, 900, content=BODY))
        await store.verify_ledger()
    async with opened(small_disk / "state", KEYS, CLOCK) as store:
        assert len(await store.orders(OrderFilter(limit=200))) == len(accepted) + 1


async def test_a_file_that_may_not_grow_refuses_keeps_and_recovers(tmp_path: Path) -> None:
    """The same without a disk of our own: SQLite's own limit answers as a full disk does."""
    async with opened(tmp_path, KEYS, CLOCK) as store:
        await store.accept(an_acceptance(CLOCK, 1))
        pages = as_int(store._connection.run("PRAGMA page_count")[0][0])
        store._connection.run(f"PRAGMA max_page_count = {pages}")
        with pytest.raises(StoreError, match="STORE_FULL"):
            await store.accept(an_acceptance(CLOCK, 2, content=BODY))
        assert trouble(store) == "STORE_FULL"
        assert [order.order_id for order in await store.orders(OrderFilter())] == ["order-1"]
        store._connection.run("PRAGMA max_page_count = 1000000")
        await store.try_out()
        assert trouble(store) is None
        assert not (await store.accept(an_acceptance(CLOCK, 2, content=BODY))).replayed


async def test_a_file_that_became_read_only_refuses_reads_on_and_recovers(tmp_path: Path) -> None:
    async with opened(tmp_path, KEYS, CLOCK) as store:
        await store.accept(an_acceptance(CLOCK, 1))
        store._connection.run("PRAGMA query_only = ON")
        with pytest.raises(StoreError, match="STORE_READ_ONLY"):
            await store.accept(an_acceptance(CLOCK, 2))
        assert trouble(store) == "STORE_READ_ONLY"
        assert [order.order_id for order in await store.orders(OrderFilter())] == ["order-1"]
        with pytest.raises(StoreError, match="STORE_READ_ONLY"):
            await store.try_out()
        store._connection.run("PRAGMA query_only = OFF")
        await store.try_out()
        assert trouble(store) is None
        await store.accept(an_acceptance(CLOCK, 2))


async def test_a_file_system_mounted_read_only_is_told_at_the_start_and_left_as_it_is(small_disk: Path) -> None:
    async with opened(small_disk / "state", KEYS, CLOCK) as store:
        await store.accept(an_acceptance(CLOCK, 1))
    before = (small_disk / "state" / "queue.db").read_bytes()
    remount(small_disk, "ro")
    try:
        with pytest.raises(StoreError) as refused:
            async with opened(small_disk / "state", KEYS, CLOCK):
                pass
    finally:
        remount(small_disk, "rw")
    assert refused.value.code in {"STORE_READ_ONLY", "STORE_CANNOT_OPEN"}
    assert (small_disk / "state" / "queue.db").read_bytes() == before
    async with opened(small_disk / "state", KEYS, CLOCK) as store:
        assert [order.order_id for order in await store.orders(OrderFilter())] == ["order-1"]
