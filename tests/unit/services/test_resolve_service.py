"""A person's verdict: what it leaves in the ledger, what is built first; and a lost body is asked for."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest

from vaguemestre_core.errors import Conflict, Forbidden
from vaguemestre_core.orders import OrderEvent, OrderState
from vaguemestre_core.records import AGENT_ACTOR, PersonVerdict, Scope
from vaguemestre_testkit.practice_kit import SECRETARY, office

S = OrderState


async def test_a_verdict_is_in_the_ledger_with_its_reason_and_who_gave_it(tmp_path: Path) -> None:
    async with office(tmp_path) as practice:
        order = await practice.claimed()
        await practice.store.first_byte(order.order_id, None)
        await practice.store.apply(order.order_id, OrderEvent.DOUBT, AGENT_ACTOR)
        sent = await practice.backend.resolve(
            practice.client, order.order_id, PersonVerdict.SENT, "seen_there", SECRETARY
        )
        line = (await practice.store.ledger(0))[-1]
        with pytest.raises(Conflict, match="TRANSITION_ILLEGAL"):
            await practice.backend.resolve(
                practice.client, order.order_id, PersonVerdict.ABANDON, "no_longer_needed", SECRETARY
            )

    assert (sent.state, dict(sent.receipt)["resolved_by"]) == (S.SENT, "person")
    assert (line.kind, line.actor) == ("order.resolved_sent", SECRETARY)
    assert {"reason": "seen_there", "verdict": "sent"}.items() <= dict(line.detail).items()


async def test_what_was_never_built_is_built_before_it_leaves(tmp_path: Path) -> None:
    async with office(tmp_path) as practice:
        order = await practice.deposit()
        await practice.store.apply(order.order_id, OrderEvent.INCARNATED, AGENT_ACTOR)
        again = await practice.backend.resolve(
            practice.client, order.order_id, PersonVerdict.NOT_SENT, "not_seen_there", SECRETARY
        )
        (found,) = await practice.store.preparing(10)
        await practice.preparation.prepare(found)

        assert again.state is S.PREPARING
        assert (await practice.now(order)).state is S.DEFERRED


async def test_a_cancellation_asked_in_doubt_is_kept_by_the_verdict(tmp_path: Path) -> None:
    async with office(tmp_path) as practice:
        order = await practice.claimed()
        await practice.store.first_byte(order.order_id, None)
        await practice.store.apply(order.order_id, OrderEvent.DOUBT, AGENT_ACTOR)
        await practice.backend.cancel(practice.client, order.order_id, SECRETARY)
        settled = await practice.backend.resolve(
            practice.client, order.order_id, PersonVerdict.NOT_SENT, "not_seen_there", SECRETARY
        )

    assert settled.state is S.CANCELLED


async def test_a_body_that_was_lost_is_asked_for_and_taken_again(tmp_path: Path) -> None:
    async with office(tmp_path) as practice:
        order = await practice.ready()
        await practice.store.apply(order.order_id, OrderEvent.BODY_LOST, AGENT_ACTOR)
        asked = await practice.backend.reconcile(practice.client, ["cr-1"])
        await practice.deposit()

        assert asked == {"cr-1": "body_needed"}
        assert await practice.backend.reconcile(practice.client, ["cr-1"]) == {"cr-1": "waiting"}


async def test_only_an_administrator_sets_an_altered_order_aside(tmp_path: Path) -> None:
    async with office(tmp_path) as practice:
        order = await practice.ready()
        raw = sqlite3.connect(tmp_path / "queue.db")
        raw.execute("UPDATE orders SET professional = '899700000099'")
        raw.commit()
        raw.close()
        plain = replace(practice.client, scopes=frozenset({Scope.CONTROL}))
        resolve = practice.backend.resolve
        with pytest.raises(Forbidden, match="SCOPE_MISSING"):
            await resolve(plain, order.order_id, PersonVerdict.ABANDON, "altered", SECRETARY)
        aside = await resolve(practice.client, order.order_id, PersonVerdict.ABANDON, "altered", SECRETARY)
        again = await practice.deposit()

    assert aside.state is S.ABANDONED
    assert (again.order_id != order.order_id, again.state) == (True, S.PREPARING)
