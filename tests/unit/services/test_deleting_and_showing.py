"""Deleting a document and changing who sees it: the services send, settle, and never leave a doubt unanswered."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from vaguemestre_agent.adapters.dmp.classification import Sign
from vaguemestre_agent.practice.documents import metadata
from vaguemestre_agent.services.guarding import guards_of
from vaguemestre_core.changes import ChangeAccepted, ChangeAnswer, DeletionMotive
from vaguemestre_core.errors import Forbidden, InvalidInput, StoreError
from vaguemestre_core.facts import FactKind, of_patient, opposition
from vaguemestre_core.orders import OrderEvent, OrderKind, OrderState, WaitReason
from vaguemestre_core.records import AGENT_ACTOR, Order
from vaguemestre_documents.metadata_parsing import parse_document_metadata
from vaguemestre_documents.xds.registry_objects import Availability
from vaguemestre_testkit.practice_kit import SECRETARY, Office, office
from vaguemestre_testkit.scripted_dmp import Step

S = OrderState
HIDDEN = "INVISIBLE_PATIENT"


async def delete(practice: Office) -> ChangeAccepted:
    return await practice.backend.delete_document(
        practice.client, "cr-1", DeletionMotive.FEEDING_ERROR, SECRETARY, None
    )


async def show(practice: Office, *visibility: str) -> ChangeAccepted:
    return await practice.backend.set_visibility(practice.client, "cr-1", frozenset(visibility), SECRETARY, None)


async def due_claim(practice: Office) -> Order:
    """Prepare what may be, let the undo minutes pass, and claim the next order."""
    await practice.adopt()
    for order in await practice.store.preparing(10):
        await practice.preparation.prepare(order)
    practice.clock.advance(1000)
    await practice.store.due(practice.clock.now(), practice.clock.boot_s(), practice.clock.boot_id(), 100)
    claimed = await practice.store.claim("dmp", practice.rights(), practice.clock.now())
    assert claimed is not None
    return claimed


async def sent(practice: Office, **options: object) -> Order:
    order = await practice.claimed("cr-1", **options)
    await practice.dispatch.send(order)
    return await practice.now(order)


async def settled(practice: Office, order: Order) -> Order:
    """Look up once, and again when an absence counts."""
    await practice.dispatch.settle(await practice.now(order))
    practice.clock.advance(practice.dmp.longest_exchange_s + 1)
    if (await practice.now(order)).state is S.IN_DOUBT:
        await practice.dispatch.settle(await practice.now(order))
    return await practice.now(order)


@pytest.mark.req("SC.DMP/CONF.03", "DMP/va1.16")
async def test_a_document_that_is_there_is_deleted_once(tmp_path: Path) -> None:
    async with office(tmp_path) as practice:
        document = await sent(practice)
        answer = await delete(practice)
        assert answer.order.not_before == answer.order.undo_until
        assert answer.order.undo_until == practice.clock.now() + timedelta(seconds=120)
        order = await due_claim(practice)
        assert (order.order_id, order.kind) == (answer.order.order_id, OrderKind.DMP_DELETE)
        await practice.dispatch.send(order)
        done = await practice.now(order)
        again = await delete(practice)

    assert (done.state, again.answer, again.replayed) == (S.SENT, ChangeAnswer.DONE, True)
    assert practice.dmp.held[document.unique_id].availability is Availability.DELETED
    assert practice.dmp.complete_changes == [(document.unique_id, "TD3.3c")]
    assert practice.dmp.complete_bodies == [document.unique_id]


async def test_one_deleted_there_already_is_done_without_a_byte(tmp_path: Path) -> None:
    async with office(tmp_path) as practice:
        await sent(practice)
        await delete(practice)
        first = await due_claim(practice)
        await practice.dispatch.send(first)
        await practice.deposit("cr-1", title="Autre")  # a new version, of which the first deletion says nothing
        second = await due_claim(practice)
        await practice.dispatch.send(second)
        held = practice.dmp.held[(await practice.now(second)).unique_id]
        await delete(practice)
        order = await due_claim(practice)
        practice.dmp.held[held.unique_id] = practice.dmp.held[first.unique_id]
        await practice.dispatch.send(order)
        done = await practice.now(order)
        kinds = await practice.kinds(order)

    assert (second.kind, second.version) == (OrderKind.DMP_SUBMIT, 2)
    assert (done.state, dict(done.receipt)["code"]) == (S.SENT, "DMP_ALREADY_DELETED")
    assert kinds[-1] == "order.already_so"


@pytest.mark.parametrize("stores", [True, False])
@pytest.mark.req("SC.DMP/ALI/PROG.06")
async def test_a_deletion_in_doubt_is_settled_by_a_lookup(tmp_path: Path, stores: bool) -> None:
    async with office(tmp_path) as practice:
        await sent(practice)
        await delete(practice)
        practice.dmp.changes.append(Step(sign=Sign.CUT, stores=stores))
        order = await due_claim(practice)
        await practice.dispatch.send(order)
        assert (await practice.now(order)).state is S.IN_DOUBT
        after = await settled(practice, order)
        assert after.state is (S.SENT if stores else S.READY)
        if not stores:
            again = await due_claim(practice)
            await practice.dispatch.send(again)
            assert (again.order_id, (await practice.now(again)).state) == (order.order_id, S.SENT)
            assert again.frozen_ids == order.frozen_ids

    assert len(practice.dmp.complete_changes) == 1


@pytest.mark.parametrize("arrives", [True, False])
async def test_a_deletion_during_the_doubt_of_the_document(tmp_path: Path, arrives: bool) -> None:
    async with office(tmp_path) as practice:
        practice.dmp.submissions.append(Step(sign=Sign.CUT, stores=arrives))
        document = await sent(practice)
        answer = await delete(practice)
        why = await practice.backend.why(practice.client, answer.order.order_id)
        assert (answer.answer, why.blocking) == (ChangeAnswer.WAITS, "PREDECESSOR_WAITS")
        after = await settled(practice, document)
        if arrives:
            await practice.dispatch.send(await due_claim(practice))
        else:
            assert await practice.store.preparing(10) == []
        deletion = await practice.now(answer.order)

    assert (after.state, deletion.state) == ((S.SENT, S.SENT) if arrives else (S.CANCELLED, S.CANCELLED))
    assert len(practice.dmp.complete_changes) == int(arrives)


@pytest.mark.req("SC.DMP/CONF.03")
async def test_neither_opposition_nor_a_doubtful_identity_keeps_a_document_there(tmp_path: Path) -> None:
    async with office(tmp_path) as practice:
        await sent(practice)
        asked = await delete(practice)
        keys = parse_document_metadata(json.loads(metadata("Compte rendu", 0))).summary().patient_keys
        await practice.store.record_facts(of_patient(*keys), [opposition(True)], AGENT_ACTOR)
        order = await due_claim(practice)
        doubtful = replace(order, guard_facts=json.dumps({"identity_doubtful": True, "identity_status": "provisoire"}))
        facts = await practice.store.order_facts(order.order_id)
        answers = guards_of(doubtful, facts, practice.client)
        await practice.dispatch.send(order)
        now = await practice.now(order)

    assert FactKind.OPPOSITION in facts.refused
    assert (asked.order.order_id, now.state) == (order.order_id, S.SENT)
    assert [answer.code for answer in answers if not answer.passed] == []


async def test_what_is_no_longer_kept_is_told_and_not_asked_again(tmp_path: Path) -> None:
    async with office(tmp_path) as practice:
        await sent(practice)
        await delete(practice)
        order = await due_claim(practice)
        practice.failing.fail("prepared", StoreError("BODY_GONE"))
        await practice.dispatch.send(order)
        now = await practice.now(order)

    assert (now.state, now.failure_code) == (S.REJECTED, "CHANGED_DOCUMENT_UNREADABLE")


async def test_a_session_lost_before_the_lookup_keeps_the_deletion_waiting(tmp_path: Path) -> None:
    async with office(tmp_path) as practice:
        await sent(practice)
        await delete(practice)
        practice.dmp.changes.append(Step(sign=Sign.CONNECTION_REFUSED))
        order = await due_claim(practice)
        await practice.dispatch.send(order)
        now = await practice.now(order)

    assert (now.state, now.waiting) == (S.READY, WaitReason.NETWORK)


@pytest.mark.req("SC.DMP/UX.14.BIS")
async def test_a_hidden_document_is_made_visible_in_one_call(tmp_path: Path) -> None:
    async with office(tmp_path) as practice:
        document = await sent(practice, change={"visibility": [HIDDEN]})
        assert practice.dmp.held[document.unique_id].visibility == {HIDDEN}
        answer = await show(practice)
        order = await due_claim(practice)
        await practice.dispatch.send(order)
        done = await practice.now(answer.order)

    assert (order.kind, done.state) == (OrderKind.DMP_VISIBILITY, S.SENT)
    assert practice.dmp.held[document.unique_id].visibility == frozenset()
    assert practice.dmp.complete_changes == [(document.unique_id, "TD3.3a/b")]


@pytest.mark.parametrize("stores", [True, False])
async def test_a_visibility_in_doubt_is_settled_by_a_lookup(tmp_path: Path, stores: bool) -> None:
    async with office(tmp_path) as practice:
        await sent(practice)
        await show(practice, "MASQUE_PS")
        practice.dmp.changes.append(Step(sign=Sign.CUT, stores=stores))
        order = await due_claim(practice)
        await practice.dispatch.send(order)
        after = await settled(practice, order)

    assert after.state is (S.SENT if stores else S.READY)


@pytest.mark.req("SC.DMP/UX.51", "DMP/va1.17")
async def test_a_document_hidden_before_it_leaves_arrives_hidden(tmp_path: Path) -> None:
    async with office(tmp_path) as practice:
        first = await practice.deposit("cr-1")
        await practice.preparation.prepare(first)
        answer = await show(practice, HIDDEN)
        order = await due_claim(practice)
        await practice.dispatch.send(order)

    assert (answer.answer, order.order_id) == (ChangeAnswer.CORRECTED, answer.order.order_id)
    assert list(practice.dmp.held) == [order.unique_id]
    assert practice.dmp.held[order.unique_id].visibility == {HIDDEN}


async def test_a_document_in_doubt_that_did_not_arrive_leaves_hidden(tmp_path: Path) -> None:
    async with office(tmp_path) as practice:
        practice.dmp.submissions.append(Step(sign=Sign.CUT))
        document = await sent(practice)
        await show(practice, HIDDEN)
        assert (await settled(practice, document)).state is S.SUPERSEDED
        order = await due_claim(practice)
        await practice.dispatch.send(order)

    assert order.kind is OrderKind.DMP_SUBMIT
    assert practice.dmp.held[order.unique_id].visibility == {HIDDEN}


async def test_what_can_be_asked_of_nobody_is_refused_at_once(tmp_path: Path) -> None:
    async with office(tmp_path) as practice:
        await sent(practice)
        before = await practice.store.last_line()
        with pytest.raises(InvalidInput, match="VISIBILITY_COMBINATION_FORBIDDEN"):
            await show(practice, HIDDEN, "MASQUE_PS")
        with pytest.raises(InvalidInput, match="VISIBILITY_UNKNOWN"):
            await show(practice, "INVISIBLE_REP_LEGAUX")
        no_product, _ = await practice.backend.client_service.pair(
            "Autre", practice.client.scopes, None, None, AGENT_ACTOR
        )
        with pytest.raises(Forbidden, match="PRODUCT_PROFILE_MISSING"):
            await practice.backend.change_service.set_visibility(no_product, "cr-1", frozenset(), AGENT_ACTOR, None)
        assert await practice.store.last_line() == before + 1  # the pairing


async def test_a_change_of_a_restored_store_is_prepared_when_it_was_not_made(tmp_path: Path) -> None:
    async with office(tmp_path) as practice:
        await sent(practice)
        answer = await show(practice, "MASQUE_PS")
        await practice.store.apply(answer.order.order_id, OrderEvent.INCARNATED, AGENT_ACTOR)
        await practice.adopt()
        assert (await settled(practice, answer.order)).state is S.PREPARING
        order = await due_claim(practice)
        await practice.dispatch.send(order)
        assert (await practice.now(order)).state is S.SENT
