"""Orders selected from the store: one document's are found by its own index, whatever the store holds besides."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from importlib import resources

import pytest

from vaguemestre_core.orders import ClientId, OrderId
from vaguemestre_core.records import OrderFilter
from vaguemestre_queue import rows
from vaguemestre_queue.selecting import condition


@pytest.mark.parametrize("after", [None, OrderId("o-1")])
def test_the_orders_of_a_document_are_read_through_its_index(after: OrderId | None) -> None:
    selection = OrderFilter(client_id=ClientId("lgc-1"), client_ref="cr-1", after=after)
    clause, params = condition(selection)
    with closing(sqlite3.connect(":memory:")) as raw:
        migrations = resources.files("vaguemestre_queue") / "sql" / "migrations"
        for script in sorted(migrations.iterdir(), key=lambda item: item.name):
            raw.executescript(script.read_text(encoding="utf-8"))
        query = f"EXPLAIN QUERY PLAN {rows.SELECT} {clause}ORDER BY seq DESC LIMIT ?"
        plan = [str(row[3]) for row in raw.execute(query, [*params, 100])]

    assert any("orders_of_document (document_id=?" in step for step in plan), plan
    assert not any("SCAN" in step or "TEMP B-TREE" in step for step in plan), plan
