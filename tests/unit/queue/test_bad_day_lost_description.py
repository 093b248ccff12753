"""Bad day of the store's own description (table meta): another life begins, the newest word still decides."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from vaguemestre_core.facts import of_patient, opposition
from vaguemestre_core.orders import HoldKind, OrderEvent, OrderId, OrderState
from vaguemestre_core.redaction import Personal
from vaguemestre_queue.opening import open_store
from vaguemestre_queue.salvage import salvage
from vaguemestre_testkit.clocks import START, FakeClock, NoFailpoints, SeededRandom
from vaguemestre_testkit.orders import DOCTOR, PROFESSIONAL, a_build, a_client, an_acceptance, frozen, rights, test_keys

KEYS = test_keys()
CLOCK = FakeClock()
PAGE = 4096
PATIENT = Personal("patient-9")


@pytest.fixture
async def state(tmp_path: Path) -> Path:
    """A closed store: one order about to leave; a patient who opposed, then no longer, three times."""
    folder = tmp_path / "state"
    async with open_store(folder, KEYS, CLOCK, SeededRandom(1), NoFailpoints()) as store:
        await store.add_client(a_client(), DOCTOR)
        acceptance = an_acceptance(CLOCK, 1)
        await store.accept(acceptance)
        await store.save_prepared(acceptance.order_id, a_build(acceptance), frozen(1))
        await store.apply(acceptance.order_id, OrderEvent.SEND_NOW, DOCTOR)
        for opposed in (True, False, True, False):
            await store.record_facts(of_patient(PATIENT), [opposition(opposed)], DOCTOR)
    return folder


def lose_description(folder: Path) -> None:
    """Spoil the page of the table that says which store this is."""
    with closing(sqlite3.connect(folder / "queue.db")) as raw:
        (page,) = raw.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'meta'").fetchone()
    with (folder / "queue.db").open("rb+") as file:
        file.seek((page - 1) * PAGE)
        file.write(b"\xa5" * PAGE)


async def test_a_salvaged_store_that_no_longer_knows_itself_sends_nothing_as_if_it_went_on(state: Path) -> None:
    lose_description(state)
    assert salvage(state, KEYS, START).orders == 1
    async with open_store(state, KEYS, CLOCK, SeededRandom(2), NoFailpoints()) as store:
        assert store.recovery.incarnated == 1
        assert (await store.order(OrderId("order-1"))).state is OrderState.IN_DOUBT
        assert await store.claim("dmp", rights(PROFESSIONAL), CLOCK.now()) is None


@pytest.mark.parametrize("how", ["salvaged", "set back"])
async def test_an_opposition_recorded_after_the_count_was_lost_is_the_newest_word(state: Path, how: str) -> None:
    if how == "salvaged":
        lose_description(state)
        salvage(state, KEYS, START)
    else:
        with closing(sqlite3.connect(state / "queue.db")) as raw, raw:
            raw.execute("UPDATE meta SET value = '0' WHERE key = 'fact_version'")
    async with open_store(state, KEYS, CLOCK, SeededRandom(2), NoFailpoints()) as store:
        recorded = await store.record_facts(of_patient(PATIENT), [opposition(True)], DOCTOR)
        assert recorded.version == 5
        accepted = await store.accept(an_acceptance(CLOCK, 2, patient_key=PATIENT))
        assert HoldKind.OPPOSITION in accepted.order.holds
