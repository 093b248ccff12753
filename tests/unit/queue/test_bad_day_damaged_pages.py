"""Bad days of the file: pages damaged in tables, indexes and the log; nothing believed, what can be read is saved."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from vaguemestre_core.errors import NotFound, StoreError
from vaguemestre_core.orders import OrderEvent, OrderId, OrderState
from vaguemestre_core.records import OrderFilter
from vaguemestre_queue.opening import open_store
from vaguemestre_queue.salvage import check, salvage
from vaguemestre_queue.store import Store
from vaguemestre_testkit.clocks import START, FakeClock, NoFailpoints, SeededRandom
from vaguemestre_testkit.orders import DOCTOR, PROFESSIONAL, a_build, a_client, an_acceptance, frozen, rights, test_keys

KEYS = test_keys()
CLOCK = FakeClock()
ALL = rights(PROFESSIONAL)
COUNT = 60
PAGE = 4096
FILLER = b"%PDF-1.4 " + bytes(3000)
S = OrderState


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[Store]:
    async with open_store(folder, KEYS, CLOCK, SeededRandom(1), NoFailpoints()) as store:
        yield store


@pytest.fixture
async def state(tmp_path: Path) -> Path:
    """A closed store: one order sent, one ready, many accepted."""
    folder = tmp_path / "state"
    async with opened(folder) as store:
        await store.add_client(a_client(), DOCTOR)
        for number in range(1, COUNT + 1):
            acceptance = an_acceptance(CLOCK, number, content=FILLER + bytes([number]))
            await store.accept(acceptance)
            if number <= 2:
                await store.save_prepared(acceptance.order_id, a_build(acceptance), frozen(number))
                await store.apply(acceptance.order_id, OrderEvent.SEND_NOW, DOCTOR)
        assert await store.claim("dmp", ALL, CLOCK.now()) is not None
        await store.first_byte(OrderId("order-1"), None)
        await store.apply(OrderId("order-1"), OrderEvent.DELIVERED, DOCTOR)
    return folder


def trouble(store: Store) -> str | None:
    return store.trouble


def pages_of(folder: Path, name: str) -> list[int]:
    """Pages, from 1, that hold a table or an index, leaves last, without its root."""
    raw = sqlite3.connect(folder / "queue.db")
    try:
        rows = raw.execute(
            "SELECT pageno FROM dbstat WHERE name = ? AND pagetype = 'leaf' ORDER BY pageno", [name]
        ).fetchall()
    except sqlite3.OperationalError:
        pytest.skip("this SQLite cannot tell its pages")
    finally:
        raw.close()
    return [int(row[0]) for row in rows]


def damage(folder: Path, page: int) -> None:
    """Zero one page, as a dying disk does."""
    with (folder / "queue.db").open("rb+") as file:
        file.seek((page - 1) * PAGE)
        file.write(b"\xa5" * PAGE)


@pytest.mark.parametrize(
    ("name", "saves_all"),
    [("orders", False), ("ledger", False), ("bodies", False), ("documents", False), ("orders_of_unique_id", True)],
)
async def test_a_damaged_page_is_seen_refused_and_what_can_be_read_is_saved(
    state: Path, name: str, saves_all: bool
) -> None:
    assert check(state) == []
    pages = pages_of(state, name)
    damage(state, pages[len(pages) // 2])
    spoiled = (state / "queue.db").read_bytes()
    with pytest.raises(StoreError, match="STORE_CORRUPT"):
        async with opened(state):
            pass
    assert check(state) != []
    assert (state / "queue.db").read_bytes() == spoiled
    made = salvage(state, KEYS, START)
    assert made.aside is not None
    assert (state / made.aside / "queue.db").read_bytes() == spoiled  # the damaged file is kept
    assert check(state) == []
    if name == "orders":
        assert len(made.lost) > 0
    assert made.orders + len(made.lost) == COUNT or name == "orders"
    assert made.orders > COUNT / 2
    assert made.altered == 0
    if saves_all:
        assert (made.orders, made.lost, made.ledger_missing, made.bodies) == (COUNT, (), 0, COUNT + 2)
    if name == "ledger":
        assert made.ledger_missing > 0
    async with opened(state) as store:
        assert store.recovery.salvaged is not None
        assert (store.recovery.salvaged.orders, store.recovery.salvaged.lost) == (made.orders, len(made.lost))
        # A new life: what had arrived stays so, all the rest is doubted before anything leaves.
        orders = await store.orders(OrderFilter(limit=200))
        assert {order.state for order in orders} <= {S.SENT, S.IN_DOUBT}
        assert await store.claim("dmp", ALL, CLOCK.now()) is None
        for order_id in made.lost:
            with pytest.raises(NotFound):
                await store.order(OrderId(order_id))
        # And the day goes on.
        await store.accept(an_acceptance(CLOCK, 900))


async def test_damage_met_while_running_stops_acceptance_and_sending(state: Path) -> None:
    async with opened(state) as store:
        await store.apply(OrderId("order-2"), OrderEvent.INCARNATED, DOCTOR)
        store._soundness.note(StoreError("STORE_CORRUPT"))  # a cell of one row: no damage of the file
        assert trouble(store) is None
        raw = sqlite3.connect(state / "queue.db")
        raw.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        raw.close()
        pages = pages_of(state, "orders")
        damage(state, pages[0])
        store._connection.run("PRAGMA shrink_memory")
        for number in range(1, COUNT + 1):
            with contextlib.suppress(StoreError):
                await store.order(OrderId(f"order-{number}"))
        assert trouble(store) == "STORE_CORRUPT"
        with pytest.raises(StoreError, match="STORE_CORRUPT"):
            await store.accept(an_acceptance(CLOCK, 901))
        with pytest.raises(StoreError, match="STORE_CORRUPT"):
            await store.claim("dmp", ALL, CLOCK.now())
        with pytest.raises(StoreError, match="STORE_CORRUPT"):
            await store.try_out()
        assert trouble(store) == "STORE_CORRUPT"


async def test_a_store_without_a_file_is_not_salvaged(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="STORE_UNKNOWN"):
        salvage(tmp_path, KEYS, START)


async def test_other_keys_salvage_nothing(state: Path) -> None:
    before = (state / "queue.db").read_bytes()
    with pytest.raises(StoreError, match="KEYS_REPLACED"):
        salvage(state, test_keys(), START)
    assert (state / "queue.db").read_bytes() == before


async def test_damage_in_the_log_is_no_silent_end_of_it(tmp_path: Path) -> None:
    """Killed with its log full of commits, one of them rotten: SQLite alone would forget all that follows it."""
    async with opened(tmp_path / "living") as store:
        await store.add_client(a_client(), DOCTOR)
        await store.accept(an_acceptance(CLOCK, 1))
        middle = (tmp_path / "living" / "queue.db-wal").stat().st_size
        for number in range(2, 6):
            await store.accept(an_acceptance(CLOCK, number))
        for name in ("whole", "rotten", "torn"):
            shutil.copytree(tmp_path / "living", tmp_path / name)
    log = tmp_path / "rotten" / "queue.db-wal"
    content = bytearray(log.read_bytes())
    content[middle + 100] ^= 0xFF
    log.write_bytes(content)
    assert check(tmp_path / "rotten") == ["write-ahead log"]
    with pytest.raises(StoreError, match="STORE_CORRUPT"):
        async with opened(tmp_path / "rotten"):
            pass
    assert log.read_bytes() == content
    made = salvage(tmp_path / "rotten", KEYS, START)
    assert made.orders == 1
    assert made.aside is not None
    assert (tmp_path / "rotten" / made.aside / "queue.db-wal").read_bytes() == content
    async with opened(tmp_path / "rotten") as store:
        assert (await store.order(OrderId("order-1"))).state is S.IN_DOUBT
    # A log whose last commit was torn by a power cut is no damage: nobody was told that it was durable.
    log = tmp_path / "torn" / "queue.db-wal"
    content = bytearray(log.read_bytes())
    content[-100] ^= 0xFF
    log.write_bytes(content)
    assert check(tmp_path / "torn") == []
    async with opened(tmp_path / "whole") as store:
        assert len(await store.orders(OrderFilter())) == 5
