"""Correcting in every state: what waits for a verdict, what it replaces then, and what is never replaced by guess."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest

from vaguemestre_core.errors import Conflict
from vaguemestre_core.orders import OrderEvent, OrderId, OrderKind, OrderState, WaitReason
from vaguemestre_core.records import Acceptance
from vaguemestre_core.redaction import Personal
from vaguemestre_queue.store import Store
from vaguemestre_testkit.clocks import FakeClock
from vaguemestre_testkit.opened_store import opened
from vaguemestre_testkit.orders import DOCTOR, PROFESSIONAL, a_build, an_acceptance, frozen, rights, test_keys

KEYS = test_keys()
ALL = rights(PROFESSIONAL)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


async def ready(store: Store, clock: FakeClock, number: int) -> OrderId:
    acceptance = an_acceptance(clock, number)
    await store.accept(acceptance)
    await store.save_prepared(acceptance.order_id, a_build(acceptance), frozen(number))
    await store.apply(acceptance.order_id, OrderEvent.SEND_NOW, DOCTOR)
    return acceptance.order_id


def a_correction(clock: FakeClock, order_id: str = "order-1b", content: bytes = b"corrected") -> Acceptance:
    number = len(content) + 100
    made = an_acceptance(clock, number, content=content, client_ref="doc-1", order_id=OrderId(order_id))
    return replace(made, patient_key=Personal("patient-1"))


@pytest.mark.parametrize("event", [OrderEvent.FIRST_BYTE, OrderEvent.DOUBT, OrderEvent.DELIVERED])
async def test_the_correction_of_a_document_that_left_waits_for_its_verdict(
    tmp_path: Path, clock: FakeClock, event: OrderEvent
) -> None:
    async with opened(tmp_path, KEYS, clock) as store:
        order_id = await ready(store, clock, 1)
        await store.claim("dmp", ALL, clock.now())
        await store.first_byte(order_id, None)
        if event is not OrderEvent.FIRST_BYTE:
            await store.apply(order_id, event, DOCTOR)
        newer = a_correction(clock)
        accepted = await store.accept(newer)
        found = await store.preparing(10)
        if event is not OrderEvent.DELIVERED:
            assert (accepted.order.waiting, found) == (WaitReason.PREDECESSOR, [])
            await store.apply(order_id, OrderEvent.DELIVERED, DOCTOR)
            found = await store.preparing(10)

        assert [(order.order_id, order.kind, order.version) for order in found] == [
            (newer.order_id, OrderKind.DMP_REPLACE, 2)
        ]
        sent = await store.order(order_id)
        assert (found[0].predecessor, found[0].predecessor_unique_id) == (order_id, sent.unique_id)
        assert (found[0].waiting, found[0].set_id) == (None, sent.set_id)


async def test_what_did_not_arrive_is_superseded_by_the_correction_that_waited(
    tmp_path: Path, clock: FakeClock
) -> None:
    async with opened(tmp_path, KEYS, clock) as store:
        order_id = await ready(store, clock, 1)
        await store.claim("dmp", ALL, clock.now())
        await store.first_byte(order_id, None)
        await store.apply(order_id, OrderEvent.DOUBT, DOCTOR)
        first, second = a_correction(clock), a_correction(clock, "order-1c", b"corrected again")
        await store.accept(first)
        assert (await store.accept(second)).superseded == first.order_id

        assert (await store.apply(order_id, OrderEvent.UNKNOWN_THERE, DOCTOR)).state is OrderState.SUPERSEDED
        found = await store.preparing(10)
        assert [(order.order_id, order.kind, order.version) for order in found] == [
            (second.order_id, OrderKind.DMP_SUBMIT, 1)
        ]
        assert found[0].predecessor is None


async def test_a_document_is_not_replaced_in_the_dmp_of_somebody_else(tmp_path: Path, clock: FakeClock) -> None:
    async with opened(tmp_path, KEYS, clock) as store:
        order_id = await ready(store, clock, 1)
        await store.claim("dmp", ALL, clock.now())
        await store.first_byte(order_id, None)
        other = replace(a_correction(clock), patient_key=Personal("somebody else"))
        with pytest.raises(Conflict, match="DOCUMENT_OF_ANOTHER_PATIENT"):
            await store.accept(other)
        await store.apply(order_id, OrderEvent.NOT_SENT, DOCTOR)
        assert (await store.accept(other)).superseded == order_id


async def test_what_replaces_a_forged_row_is_not_prepared(tmp_path: Path, clock: FakeClock) -> None:
    async with opened(tmp_path, KEYS, clock) as store:
        order_id = await ready(store, clock, 1)
        await store.claim("dmp", ALL, clock.now())
        await store.first_byte(order_id, None)
        await store.accept(a_correction(clock))
        await store.accept(an_acceptance(clock, 2))
        with sqlite3.connect(tmp_path / "queue.db") as forger:
            forger.execute("UPDATE orders SET state = 'sent' WHERE order_id = ?", [order_id])
        forger.close()

        assert [order.order_id for order in await store.preparing(10)] == ["order-2"]
        assert (await store.counts())["quarantined"] == 1


async def test_a_version_that_is_no_longer_there_is_not_named(tmp_path: Path, clock: FakeClock) -> None:
    async with opened(tmp_path, KEYS, clock) as store:
        order_id = await ready(store, clock, 1)
        await store.claim("dmp", ALL, clock.now())
        await store.first_byte(order_id, None)
        await store.apply(order_id, OrderEvent.DELIVERED, DOCTOR)
        newer = a_correction(clock)
        await store.accept(newer)
        await store.preparing(10)
        await store.save_prepared(newer.order_id, replace(a_build(newer), version=2), frozen(2))
        await store.apply(newer.order_id, OrderEvent.SEND_NOW, DOCTOR)
        assert await store.claim("dmp", ALL, clock.now()) is not None

        again = await store.predecessor_gone(newer.order_id)
        assert (again.state, again.frozen_ids) == (OrderState.PREPARING, None)
        found = await store.preparing(10)
        assert [(order.kind, order.predecessor, order.version) for order in found] == [(OrderKind.DMP_SUBMIT, None, 2)]
        assert ("gone_there", "true") in (await store.order(order_id)).receipt
