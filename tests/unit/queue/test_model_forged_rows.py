"""A row that somebody else wrote never breaks the others: lists, recovery and oppositions go on without it."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from vaguemestre_core.facts import of_patient, opposition
from vaguemestre_core.orders import HoldKind, OrderId
from vaguemestre_core.records import OrderFilter
from vaguemestre_core.redaction import Personal
from vaguemestre_queue.opening import MARKER_FILE, open_store
from vaguemestre_testkit.clocks import FakeClock, NoFailpoints, SeededRandom
from vaguemestre_testkit.orders import DOCTOR, a_client, an_acceptance, test_keys

KEYS = test_keys()


def forge(folder: Path, column: str, value: str | int) -> None:
    raw = sqlite3.connect(folder / "queue.db")
    raw.execute(f"UPDATE orders SET {column} = ? WHERE order_id = 'order-1'", [value])
    raw.commit()
    raw.close()


@pytest.mark.parametrize(("column", "value"), [("holds", "no such hold"), ("not_before_us", 0), ("type_code", "x")])
async def test_a_forged_row_is_shown_as_such_among_the_others(tmp_path: Path, column: str, value: str | int) -> None:
    clock = FakeClock()
    async with open_store(tmp_path, KEYS, clock, SeededRandom(1), NoFailpoints()) as store:
        await store.add_client(a_client(), DOCTOR)
        for number in (1, 2):
            await store.accept(an_acceptance(clock, number, patient_key=Personal("patient")))
        forge(tmp_path, column, value)
        shown = {order.order_id: order.holds for order in await store.orders(OrderFilter())}
        assert shown == {OrderId("order-1"): {HoldKind.INTEGRITY}, OrderId("order-2"): frozenset()}
        # The patient's wish reaches every order that is ours.
        await store.record_facts(of_patient(Personal("patient")), [opposition(True)], DOCTOR)
        assert (await store.order(OrderId("order-2"))).holds == {HoldKind.OPPOSITION}
    # A lost marker: every order that is ours is doubted, the forged one stays where nothing sends it.
    (tmp_path / MARKER_FILE).unlink()
    async with open_store(tmp_path, KEYS, clock, SeededRandom(1), NoFailpoints()) as store:
        assert store.recovery.incarnated == 1
        assert (await store.order(OrderId("order-2"))).failure_code == "STORE_RESTORED"
