"""Claims are fair between professionals, put what a person asked first, and cost the same whatever waits behind."""

from __future__ import annotations

import sqlite3
from datetime import timedelta
from pathlib import Path

import pytest

from vaguemestre_core.orders import OrderEvent, OrderId, OrderState
from vaguemestre_core.records import AGENT_ACTOR, OrderPatch
from vaguemestre_core.turns import SendingRight, Turns
from vaguemestre_queue.opening import DATABASE_FILE, open_store
from vaguemestre_queue.store import Store
from vaguemestre_testkit.clocks import FakeClock, NoFailpoints, SeededRandom
from vaguemestre_testkit.orders import DOCTOR, PROFESSIONAL, a_build, a_client, an_acceptance, frozen, rights, test_keys

KEYS = test_keys()
BUSY, QUIET = PROFESSIONAL, "899700000020"


async def make_due(store: Store, clock: FakeClock, number: int, who: str = BUSY, client: str = "lgc-1") -> OrderId:
    """Bring an order to READY by its time, as most do."""
    made = an_acceptance(clock, number, professional=who, client_id=client)
    await store.accept(made)
    await store.save_prepared(made.order_id, a_build(made), frozen(number))
    await store.apply(made.order_id, OrderEvent.DUE, AGENT_ACTOR)
    return made.order_id


async def claim(store: Store, clock: FakeClock, asked: tuple[SendingRight, ...]) -> OrderId | None:
    order = await store.claim("dmp", asked, clock.now())
    return None if order is None else order.order_id


async def test_many_orders_of_one_professional_do_not_delay_the_first_of_another(tmp_path: Path) -> None:
    clock, turns = FakeClock(), Turns()
    async with open_store(tmp_path, KEYS, clock, SeededRandom(), NoFailpoints(), synchronous=0) as store:
        await store.add_client(a_client(), DOCTOR)
        for number in range(60):
            await make_due(store, clock, number)
        lonely = await make_due(store, clock, 60, QUIET)
        left: list[OrderId] = []
        for _ in range(4):
            order = await store.claim("dmp", turns.in_turn(rights(BUSY, QUIET)), clock.now())
            assert order is not None
            turns.served(order.professional)
            left.append(order.order_id)

    assert left.index(lonely) <= 1
    assert len(set(left)) == 4


async def test_what_a_person_asked_goes_first_after_a_restart_and_a_failure_too(tmp_path: Path) -> None:
    clock = FakeClock()
    async with open_store(tmp_path, KEYS, clock, SeededRandom(), NoFailpoints()) as store:
        await store.add_client(a_client(), DOCTOR)
        first = await make_due(store, clock, 0)
        asked = await make_due(store, clock, 1)
        await store.apply(asked, OrderEvent.SEND_NOW, DOCTOR)
    async with open_store(tmp_path, KEYS, clock, SeededRandom(), NoFailpoints()) as store:
        assert await claim(store, clock, rights(BUSY)) == asked
        later = OrderPatch(next_attempt_at=clock.now() + timedelta(seconds=10), attempts_plus=1)
        await store.apply(asked, OrderEvent.UNCLAIM, AGENT_ACTOR, patch=later)
        clock.advance(11)
        assert await claim(store, clock, rights(BUSY)) == asked  # still before those that nobody asked for
        assert await claim(store, clock, rights(BUSY)) == first


async def test_a_verdict_of_a_person_goes_first_and_the_automatic_turn_still_comes(tmp_path: Path) -> None:
    clock = FakeClock()
    async with open_store(tmp_path, KEYS, clock, SeededRandom(), NoFailpoints()) as store:
        await store.add_client(a_client(), DOCTOR)
        doubtful = await make_due(store, clock, 0)
        assert await claim(store, clock, rights(BUSY)) == doubtful
        await store.first_byte(doubtful, None)
        await store.apply(doubtful, OrderEvent.DOUBT, AGENT_ACTOR)
        first, second = [await make_due(store, clock, number) for number in (1, 2)]
        resolved = await store.apply(doubtful, OrderEvent.RESOLVED_NOT_SENT, DOCTOR)
        assert resolved.state is OrderState.READY
        (right,) = rights(BUSY)
        automatic = (SendingRight(professional=BUSY, clients=right.clients, asked_first=False),)

        assert await claim(store, clock, automatic) == first
        assert await claim(store, clock, (right,)) == doubtful
        assert await claim(store, clock, (right,)) == second


async def test_an_order_of_another_client_is_not_claimed_nor_told_to_leave(tmp_path: Path) -> None:
    clock = FakeClock()
    async with open_store(tmp_path, KEYS, clock, SeededRandom(), NoFailpoints()) as store:
        for name in ("lgc-1", "lgc-2"):
            await store.add_client(a_client(name), DOCTOR)
        of_a = await make_due(store, clock, 0)
        of_b = await make_due(store, clock, 1, client="lgc-2")
        assert await store.wait_for_authority("dmp", rights(BUSY, client_id="lgc-2")) == 1
        assert (await store.order(of_a)).waiting == "auth"
        assert (await store.order(of_b)).waiting is None
        assert await claim(store, clock, rights(BUSY, client_id="lgc-2")) == of_b
        assert await claim(store, clock, rights(BUSY, client_id="lgc-2")) is None
        assert await store.wait_for_authority("dmp", rights(BUSY)) == 1
        assert await claim(store, clock, rights(BUSY)) == of_a


@pytest.mark.parametrize("asked", ["claim", "waiting", "doubts"])
async def test_every_search_of_a_round_is_a_range_of_an_index(tmp_path: Path, asked: str) -> None:
    clock = FakeClock()
    async with open_store(tmp_path, KEYS, clock, SeededRandom(), NoFailpoints()) as store:
        await store.add_client(a_client(), DOCTOR)
    where = {
        "claim": "state = 'ready' AND holds = '' AND quarantined = 0 AND service = ? AND professional = ? AND "
        "client_id = ? AND asked_now = ? AND next_attempt_at_us <= ? ORDER BY next_attempt_at_us, seq LIMIT 16",
        "waiting": "state = 'ready' AND quarantined = 0 AND waiting = 'auth' AND "
        "(professional, client_id) IN (VALUES (?, ?)) AND service = ?",
        "doubts": "state = 'in_doubt' AND professional = ? AND client_id = ? AND next_attempt_at_us <= ? "
        "AND service = ? ORDER BY next_attempt_at_us LIMIT 16",
    }[asked]
    raw = sqlite3.connect(tmp_path / DATABASE_FILE)
    plan = raw.execute(f"EXPLAIN QUERY PLAN SELECT order_id FROM orders WHERE {where}", ["x"] * where.count("?"))
    steps = [row[3] for row in plan]
    raw.close()

    assert any(step.startswith("SEARCH orders USING INDEX orders_") for step in steps)
    assert not any(step.startswith("SCAN orders") or "TEMP B-TREE" in step for step in steps)
