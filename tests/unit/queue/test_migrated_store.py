"""A store written before the whole life of an order opens: its rows stay authentic, its orders go on."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

from vaguemestre_core.orders import OrderEvent, OrderState
from vaguemestre_core.records import AGENT_ACTOR
from vaguemestre_queue import database
from vaguemestre_queue.opening import DATABASE_FILE, MARKER_FILE, open_store
from vaguemestre_testkit.clocks import FakeClock, NoFailpoints, SeededRandom
from vaguemestre_testkit.orders import DOCTOR, PROFESSIONAL, a_build, a_client, an_acceptance, frozen, rights, test_keys

KEYS = test_keys()


def as_the_first_schema_had_it(path: Path) -> None:
    """Rewrite a store's file as the first release wrote it: its tables and columns only, the same cells."""
    newer = path.with_name("newer.db")
    path.rename(newer)
    raw = sqlite3.connect(path, isolation_level=None)
    raw.execute("PRAGMA journal_mode = WAL")
    for statement in database.split_statements(database.migrations()[0][1]):
        raw.execute(statement)
    raw.execute(f"PRAGMA application_id = {database.APPLICATION_ID}")
    raw.execute("PRAGMA user_version = 1")
    raw.execute("ATTACH ? AS newer", [str(newer)])
    for (table,) in raw.execute("SELECT name FROM main.sqlite_schema WHERE type = 'table'").fetchall():
        names = ", ".join(row[1] for row in raw.execute(f"PRAGMA main.table_info({table})"))
        raw.execute(f"INSERT INTO main.{table} ({names}) SELECT {names} FROM newer.{table}")
    raw.execute("DELETE FROM meta WHERE key = 'place'")
    raw.close()
    newer.unlink()
    marker = path.with_name(MARKER_FILE)
    known = json.loads(marker.read_text("utf-8"))
    marker.write_text(json.dumps({name: known[name] for name in ("store_id", "ledger_seq")}), "utf-8")


async def test_a_store_of_the_first_schema_opens_and_its_orders_leave(tmp_path: Path) -> None:
    clock = FakeClock()
    async with open_store(tmp_path, KEYS, clock, SeededRandom(), NoFailpoints()) as store:
        await store.add_client(a_client(), DOCTOR)
        made = an_acceptance(clock, 1)
        await store.accept(made)
        await store.save_prepared(made.order_id, a_build(made), frozen(1))
        await store.apply(made.order_id, OrderEvent.DUE, AGENT_ACTOR)
    as_the_first_schema_had_it(tmp_path / DATABASE_FILE)
    async with open_store(tmp_path, KEYS, clock, SeededRandom(), NoFailpoints()) as store:
        assert (await store.order(made.order_id)).state is OrderState.READY
        assert (await store.counts())["quarantined"] == 0
        claimed = await store.claim("dmp", rights(PROFESSIONAL), clock.now())
        assert claimed is not None
        assert claimed.holds == frozenset()
        assert (await store.verify_ledger())[0] > 0
