"""Orders as a client sees them: its own only, why each has not left, and what each reference has become."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from vaguemestre_agent.services.authorities import Authorities
from vaguemestre_agent.services.orders import OrderService
from vaguemestre_api.messages import catalogue
from vaguemestre_core.errors import NotFound
from vaguemestre_core.facts import FactView
from vaguemestre_core.orders import TERMINAL, HoldKind, OrderId, OrderState, WaitReason
from vaguemestre_core.records import Client, Order, OrderFilter, Scope
from vaguemestre_testkit.orders import PRODUCT
from vaguemestre_testkit.practice_kit import SECRETARY, Office, office

S = OrderState
LGC_SCOPES = frozenset({Scope.READ, Scope.ENQUEUE, Scope.CONTROL})


async def another(practice: Office, scopes: frozenset[Scope] = LGC_SCOPES) -> Client:
    return (await practice.backend.pair("Autre LGC", scopes, PRODUCT, None, SECRETARY)).client


async def test_a_client_sees_and_touches_its_own_orders_only(tmp_path: Path) -> None:
    async with office(tmp_path) as practice:
        order = await practice.deposit()
        stranger = await another(practice)
        backend = practice.backend
        calls = (
            lambda: backend.order(stranger, order.order_id),
            lambda: backend.hold(stranger, order.order_id, SECRETARY),
            lambda: backend.release(stranger, order.order_id, SECRETARY),
            lambda: backend.cancel(stranger, order.order_id, SECRETARY),
            lambda: backend.send_now(stranger, order.order_id, SECRETARY),
            lambda: backend.why(stranger, order.order_id),
        )
        for call in calls:
            with pytest.raises(NotFound, match="ORDER_UNKNOWN"):
                await call()
        with pytest.raises(NotFound, match="DOCUMENT_UNKNOWN"):
            await backend.document_orders(stranger, "cr-1")
        asked = OrderFilter(client_id=practice.client.client_id)

        assert await backend.orders(stranger, asked) == []
        assert await backend.reconcile(stranger, ["cr-1"]) == {"cr-1": "unknown"}
        assert {line.client_id for line in await backend.changes(stranger, 0, 100)} == {stranger.client_id}
        assert (await practice.now(order)).revision == order.revision
        admin = await another(practice, frozenset(Scope))
        assert [seen.order_id for seen in await backend.orders(admin, asked)] == [order.order_id]


class Shown:
    """An order service whose order is what the test says: states that this version never reaches have words too."""

    def __init__(self, practice: Office, order: Order) -> None:
        self._order = order
        self.service = OrderService(
            store=self,  # type: ignore[arg-type]
            authorities=Authorities(practice.sessions, practice.card_authorities),
            outages=practice.outages,
            clock=practice.clock,
        )
        self._practice = practice

    async def order(self, order_id: OrderId) -> Order:
        return self._order

    async def order_facts(self, order_id: OrderId) -> FactView:
        return await self._practice.store.order_facts(order_id)

    async def clients(self) -> object:
        return await self._practice.store.clients()


async def why(practice: Office, order: Order) -> tuple[str, str]:
    answer = await Shown(practice, order).service.why(practice.client, order.order_id)
    return answer.blocking, answer.would_let_it_leave


@pytest.mark.req("SC.DMP/ALI/PROG.06")
async def test_every_state_hold_and_wait_has_its_words(tmp_path: Path) -> None:
    async with office(tmp_path) as practice:
        order = await practice.deposit()
        said: dict[str, tuple[str, str]] = {}
        for state in set(OrderState) - {S.READY}:
            said[f"state {state}"] = await why(practice, replace(order, state=state))
        said["without a session"] = await why(practice, replace(order, state=S.READY))
        await practice.adopt()
        for wait in WaitReason:
            said[f"wait {wait}"] = await why(practice, replace(order, state=S.READY, waiting=wait))
        for hold in HoldKind:
            said[f"hold {hold}"] = await why(practice, replace(order, state=S.READY, holds=frozenset({hold})))
        said["nothing"] = await why(practice, replace(order, state=S.READY))

    words = catalogue()
    assert len(said) == len(OrderState) + len(WaitReason) + len(HoldKind) + 1
    assert [code for pair in said.values() for code in pair if code not in words] == []
    assert said["nothing"] == ("ABOUT_TO_LEAVE", "NOTHING")
    assert said["without a session"] == said["wait auth"] == ("NO_SESSION", "OPEN_A_SESSION")
    waits = {said[f"wait {wait}"][0] for wait in WaitReason}
    assert len(waits) == len(WaitReason)
    assert len({said[f"hold {hold}"][0] for hold in HoldKind}) == len(HoldKind)


@pytest.mark.parametrize("state", sorted(TERMINAL | {S.REJECTED, S.PREPARATION_FAILED, S.UNREADABLE}))
async def test_a_hold_is_not_what_keeps_a_finished_order(tmp_path: Path, state: OrderState) -> None:
    async with office(tmp_path) as practice:
        order = await practice.deposit(hold=True)
        finished = replace(order, state=state)

        assert await why(practice, finished) == await why(practice, replace(finished, holds=frozenset()))
        assert (await why(practice, finished))[0] != "HELD_BY_A_PERSON"


async def test_a_doubtful_identity_is_named(tmp_path: Path) -> None:
    async with office(tmp_path) as practice:
        order = await practice.deposit()
        facts = json.dumps(json.loads(order.guard_facts) | {"identity_doubtful": True})
        doubtful = replace(order, guard_facts=facts, holds=frozenset({HoldKind.IDENTITY}))

        assert (await why(practice, doubtful))[0] == "IDENTITY_DOUBTFUL"


@pytest.mark.req("INS/va1.53")
async def test_a_document_not_built_for_want_of_an_identity_says_so(tmp_path: Path) -> None:
    async with office(tmp_path) as practice:
        order = await practice.deposit()
        facts = json.dumps(json.loads(order.guard_facts) | {"identity_status": "validée"})
        failed = replace(order, state=S.PREPARATION_FAILED, holds=frozenset({HoldKind.IDENTITY}))

        assert await why(practice, replace(failed, guard_facts=facts)) == ("INS_NOT_QUALIFIED", "QUALIFY_THE_IDENTITY")
        assert await why(practice, failed) == ("PREPARATION_REFUSED", "CORRECT_THE_DOCUMENT")


async def test_reconciling_says_what_each_reference_became(tmp_path: Path) -> None:
    async with office(tmp_path) as practice:
        await practice.deposit("waiting")
        stopped = await practice.deposit("stopped")
        await practice.backend.cancel(practice.client, stopped.order_id, SECRETARY)
        refused = await practice.deposit("refused", body=b"not a PDF")
        await practice.preparation.prepare(refused)
        await practice.deposit("corrected", title="Avant")
        await practice.deposit("corrected", title="Après")
        found = await practice.backend.reconcile(
            practice.client, ["waiting", "stopped", "refused", "corrected", "never seen"]
        )

    assert found == {
        "waiting": "waiting",
        "stopped": "stopped",
        "refused": "refused",
        "corrected": "waiting",
        "never seen": "unknown",
    }
