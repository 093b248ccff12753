"""Preparation: what becomes of a document that is built, refused, lost or overtaken."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest

from vaguemestre_agent.services.preparation import uuid_text
from vaguemestre_core.errors import StoreError
from vaguemestre_core.orders import OrderState
from vaguemestre_core.ports import PreparationRefusal
from vaguemestre_testkit.orders import PRODUCT
from vaguemestre_testkit.practice_kit import SECRETARY, office

S = OrderState
INTERRUPTED = PreparationRefusal(code="PREPARER_INTERRUPTED", retry=True)
CRASHED = PreparationRefusal(code="PREPARER_CRASHED", findings=(("PREPARER_CRASHED", "/body"),))


async def test_a_built_document_is_deferred_with_all_its_identifiers_frozen(tmp_path: Path) -> None:
    async with office(tmp_path) as practice:
        order = await practice.deposit()
        await practice.preparation.prepare(order)
        now = await practice.now(order)

    assert now.state is S.DEFERRED
    frozen = now.frozen_ids
    assert frozen is not None
    assert frozen.submission_set_id.startswith(f"{PRODUCT.oid_root}.")
    assert len({frozen.submission_set_id, frozen.signature_id, now.unique_id, now.set_id}) == 4
    assert frozen.submission_at == practice.clock.now()


async def test_what_cannot_be_built_is_given_back_with_its_findings(tmp_path: Path) -> None:
    async with office(tmp_path) as practice:
        order = await practice.deposit(body=b"not a PDF")
        await practice.preparation.prepare(order)
        now = await practice.now(order)
        lines = [line for line in await practice.store.ledger(0) if line.kind == "order.preparation_refused"]
        why = await practice.backend.why(practice.client, order.order_id)

    assert (now.state, now.failure_code) == (S.PREPARATION_FAILED, "BODY_NOT_PDF")
    assert dict(lines[0].detail)["finding.0"] == "BODY_NOT_PDF /body"
    assert why.would_let_it_leave == "CORRECT_THE_DOCUMENT"


async def test_a_worker_that_dies_is_given_the_document_again_later(tmp_path: Path) -> None:
    async with office(tmp_path) as practice, practice.at_work():
        practice.preparer.steps.append(INTERRUPTED)
        order = await practice.deposit()
        lost = await practice.until(lambda now: now.failure_code == "PREPARER_INTERRUPTED", order)
        assert lost.state is S.PREPARING
        assert lost.next_attempt_at == practice.clock.now() + timedelta(seconds=10)
        await practice.advance(10)
        again = await practice.reaches(order, S.DEFERRED)

    assert again.failure_code is None
    assert practice.preparer.seen == [order.order_id] * 2


async def test_a_document_that_kills_the_worker_twice_is_given_back_and_the_next_ones_are_built(tmp_path: Path) -> None:
    async with office(tmp_path) as practice, practice.at_work():
        practice.preparer.steps.extend([INTERRUPTED])
        deadly = await practice.deposit("cr-1")
        await practice.until(lambda now: now.attempts == 1, deadly)
        other = await practice.deposit("cr-2")
        await practice.reaches(other, S.DEFERRED)
        practice.preparer.steps.append(CRASHED)
        await practice.advance(10)
        final = await practice.reaches(deadly, S.PREPARATION_FAILED)

    assert final.failure_code == "PREPARER_CRASHED"


async def test_a_bug_of_ours_is_tried_again_and_stops_nobody(tmp_path: Path) -> None:
    async with office(tmp_path) as practice, practice.at_work():
        practice.preparer.steps.append(RuntimeError("bug"))
        order = await practice.deposit("cr-1")
        await practice.until(lambda now: now.failure_code == "UNEXPECTED", order)
        other = await practice.deposit("cr-2")
        await practice.reaches(other, S.DEFERRED)
        await practice.advance(10)
        await practice.reaches(order, S.DEFERRED)


async def test_a_unique_id_that_another_document_carries_is_refused(tmp_path: Path) -> None:
    async with office(tmp_path) as practice:
        first = await practice.deposit("cr-1")
        await practice.preparation.prepare(first)
        second = await practice.deposit("cr-2")
        practice.preparer.steps.append(first.unique_id)
        await practice.preparation.prepare(second)
        now = await practice.now(second)

    assert (now.state, now.failure_code) == (S.PREPARATION_FAILED, "UNIQUE_ID_TAKEN")


@pytest.mark.parametrize("result", [None, INTERRUPTED, CRASHED])
async def test_a_document_cancelled_while_it_is_built_stays_cancelled(
    tmp_path: Path, result: PreparationRefusal | None
) -> None:
    async with office(tmp_path) as practice:
        order = await practice.deposit()
        await practice.backend.cancel(practice.client, order.order_id, SECRETARY)
        if result is not None:
            practice.preparer.steps.append(result)
        await practice.preparation.prepare(order)

        assert (await practice.now(order)).state is S.CANCELLED


async def test_a_document_corrected_while_it_is_built_gives_way(tmp_path: Path) -> None:
    async with office(tmp_path) as practice, practice.at_work():
        gate = asyncio.Event()
        practice.preparer.steps.append(gate)
        old = await practice.deposit(title="Avant")
        await practice.pass_time(0, lambda: practice.preparer.seen == [old.order_id])
        new = await practice.deposit(title="Après")
        gate.set()
        await practice.reaches(new, S.DEFERRED)

        assert (await practice.now(old)).state is S.SUPERSEDED
        assert new.set_id == old.set_id


@pytest.mark.parametrize("code", ["BODY_GONE", "BODY_UNREADABLE"])
async def test_a_lost_body_is_asked_for_again(tmp_path: Path, code: str) -> None:
    async with office(tmp_path) as practice:
        order = await practice.deposit()
        practice.failing.fail("body", StoreError(code))
        await practice.preparation.prepare(order)
        now = await practice.now(order)

    assert (now.state, now.failure_code) == (S.UNREADABLE, code)


@pytest.mark.parametrize("method", ["preparing", "body", "save_prepared", "next_instant"])
async def test_a_store_in_trouble_loses_no_document(tmp_path: Path, method: str) -> None:
    """A disk that is full or unplugged says nothing about the document."""
    async with office(tmp_path) as practice:
        order = await practice.deposit()
        practice.failing.fail(method, StoreError("STORE_IO_ERROR"), 2)
        async with asyncio.TaskGroup() as group:
            loop = group.create_task(practice.preparation.run())
            await practice.pass_time(1, lambda: practice.failing.refused[method] == 2)
            for _ in range(3):
                practice.clock.advance(5)
                await practice.store.last_line()
            await practice.reaches(order, S.DEFERRED)
            loop.cancel()


async def test_an_instant_that_concerns_the_dispatcher_does_not_turn_the_loop(tmp_path: Path) -> None:
    """The wall clock was set forward during the undo minutes: the order is due on one clock only."""
    async with office(tmp_path) as practice, practice.at_work():
        order = await practice.deposit()
        await practice.reaches(order, S.DEFERRED)
        practice.clock.set_wall(practice.clock.now() + timedelta(seconds=950))
        turns = 0
        works = practice.real.preparing

        async def counted(limit: int) -> object:
            nonlocal turns
            turns += 1
            return await works(limit)

        practice.failing.__dict__["preparing"] = counted
        for _ in range(100):
            await practice.advance(0.01)

    assert turns <= 3


async def test_a_client_whose_row_is_gone_fails_its_own_document_only(tmp_path: Path) -> None:
    async with office(tmp_path) as practice:
        order = await practice.deposit()

        async def nobody() -> list[object]:
            return []

        practice.failing.__dict__["clients"] = nobody
        await practice.preparation.prepare(order)

        assert (await practice.now(order)).failure_code == "CLIENT_UNKNOWN"


def test_a_message_id_is_a_version_4_uuid() -> None:
    import uuid

    for bits in (0, 2**128 - 1, 0x0123456789ABCDEF0123456789ABCDEF):
        made = uuid.UUID(uuid_text(bits))
        assert (made.version, made.variant) == (4, uuid.RFC_4122)
