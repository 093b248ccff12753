"""Selections of the store that must neither starve one professional for another, nor turn for a row set aside."""

from __future__ import annotations

import sqlite3
from datetime import timedelta
from pathlib import Path

from vaguemestre_core.orders import OrderEvent, OrderState
from vaguemestre_queue.opening import DATABASE_FILE, open_store
from vaguemestre_testkit.clocks import FakeClock, NoFailpoints, SeededRandom
from vaguemestre_testkit.orders import DOCTOR, PROFESSIONAL, a_build, a_client, an_acceptance, frozen, rights, test_keys

KEYS = test_keys()


async def test_a_deferred_row_set_aside_is_no_reason_to_wake_up(tmp_path: Path) -> None:
    clock = FakeClock()
    async with open_store(tmp_path, KEYS, clock, SeededRandom(), NoFailpoints()) as store:
        await store.add_client(a_client(), DOCTOR)
        acceptance = an_acceptance(clock, 1)
        await store.accept(acceptance)
        await store.save_prepared(acceptance.order_id, a_build(acceptance), frozen(1))
        with sqlite3.connect(tmp_path / DATABASE_FILE, timeout=5) as raw:
            raw.execute("UPDATE orders SET type_code = 'forged'")
        raw.close()
        clock.advance(10_000)
        assert await store.due(clock.now(), clock.boot_s(), clock.boot_id(), 100) == 0
        assert (await store.counts())["quarantined"] == 1

        assert await store.next_instant() is None


async def test_doubts_of_an_absent_professional_do_not_hide_those_of_one_who_is_here(tmp_path: Path) -> None:
    clock = FakeClock()
    away = "899700000099"
    async with open_store(tmp_path, KEYS, clock, SeededRandom(), NoFailpoints()) as store:
        await store.add_client(a_client(), DOCTOR)
        for number in range(1, 42):
            who = PROFESSIONAL if number == 41 else away
            acceptance = an_acceptance(clock, number, professional=who)
            await store.accept(acceptance)
            await store.save_prepared(acceptance.order_id, a_build(acceptance), frozen(number))
            await store.apply(acceptance.order_id, OrderEvent.SEND_NOW, DOCTOR)
            claimed = await store.claim("dmp", rights(who), clock.now())
            assert claimed is not None
            await store.first_byte(claimed.order_id, None)
            await store.apply(claimed.order_id, OrderEvent.DOUBT, DOCTOR)

        found = await store.doubtful("dmp", rights(PROFESSIONAL), clock.now())
        assert [(order.professional, order.state) for order in found] == [(PROFESSIONAL, OrderState.IN_DOUBT)]
        assert await store.doubtful("dmp", (), clock.now()) == []


async def test_what_became_overdue_while_it_was_being_prepared_has_fresh_undo_minutes_too(tmp_path: Path) -> None:
    """The machine stopped before the document was built: at wake-up nobody has been able to stop it yet."""
    clock = FakeClock()
    async with open_store(tmp_path, KEYS, clock, SeededRandom(), NoFailpoints()) as store:
        await store.add_client(a_client(), DOCTOR)
        acceptance = an_acceptance(clock, 1)
        await store.accept(acceptance)
        clock.reboot(off_s=43_200)
        now, boot_s, boot_id = clock.now(), clock.boot_s(), clock.boot_id()
        assert await store.refresh_overdue(now, boot_s, boot_id, now - timedelta(seconds=120)) == 1
        await store.save_prepared(acceptance.order_id, a_build(acceptance), frozen(1))

        assert await store.due(now, boot_s, boot_id, 100) == 0
        clock.advance(acceptance.schedule.undo_s)
        assert await store.due(clock.now(), clock.boot_s(), clock.boot_id(), 100) == 1
