"""Correcting what left: the services send, settle, replace, and never name a version that is no longer there."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from vaguemestre_agent.adapters.dmp.classification import Sign
from vaguemestre_core.orders import OrderKind, OrderState, WaitReason
from vaguemestre_core.ports import PreparedBuild
from vaguemestre_testkit import sendings
from vaguemestre_testkit.practice_kit import Office, office
from vaguemestre_testkit.scripted_dmp import Step

S = OrderState


async def sent(practice: Office) -> None:
    await practice.dispatch.send(await practice.claimed("cr-1"))


@pytest.mark.parametrize("arrives", [True, False])
async def test_a_correction_made_in_doubt_follows_the_verdict(tmp_path: Path, arrives: bool) -> None:
    async with office(tmp_path) as practice:
        practice.dmp.submissions.append(Step(sign=Sign.CUT, stores=arrives))
        await sent(practice)
        first = (await practice.backend.document_orders(practice.client, "cr-1"))[0]
        newer = await practice.deposit("cr-1", title="Compte rendu corrigé")
        assert (first.state, newer.waiting) == (S.IN_DOUBT, WaitReason.PREDECESSOR)
        assert await practice.store.preparing(10) == []

        await practice.dispatch.settle(first)  # its age is known from now on
        practice.clock.advance(practice.dmp.longest_exchange_s + 1)
        if not arrives:
            await practice.dispatch.settle(await practice.now(first))
        assert (await practice.now(first)).state is (S.SENT if arrives else S.SUPERSEDED)
        (linked,) = await practice.store.preparing(10)
        await practice.preparation.prepare(linked)
        practice.clock.advance(1000)
        await practice.store.due(practice.clock.now(), practice.clock.boot_s(), practice.clock.boot_id(), 10)
        claimed = await practice.store.claim("dmp", practice.rights(), practice.clock.now())
        assert claimed is not None
        await practice.dispatch.send(claimed)
        done = await practice.now(newer)

    assert (done.state, done.version) == (S.SENT, 2 if arrives else 1)
    assert done.kind is (OrderKind.DMP_REPLACE if arrives else OrderKind.DMP_SUBMIT)
    assert done.predecessor_unique_id == (first.unique_id if arrives else None)
    assert list(practice.dmp.held)[-1] == newer.unique_id


async def test_a_version_deleted_there_is_not_named(tmp_path: Path) -> None:
    async with office(tmp_path) as practice:
        await sent(practice)
        first = (await practice.backend.document_orders(practice.client, "cr-1"))[0]
        claimed = await practice.claimed("cr-1", title="Compte rendu corrigé")
        assert (claimed.kind, claimed.predecessor) == (OrderKind.DMP_REPLACE, first.order_id)
        del practice.dmp.held[first.unique_id]
        await practice.dispatch.send(claimed)
        again = await practice.now(claimed)
        (linked,) = await practice.store.preparing(10)
        await practice.preparation.prepare(linked)

        assert (again.state, linked.kind, linked.predecessor) == (S.PREPARING, OrderKind.DMP_SUBMIT, None)
        assert (await practice.now(claimed)).state is S.DEFERRED
        assert practice.dmp.complete_bodies == [first.unique_id]


@pytest.mark.req("SC.DMP/ALI/PROG.06")
async def test_a_question_without_answer_keeps_a_replacement_waiting(tmp_path: Path) -> None:
    async with office(tmp_path) as practice:
        await sent(practice)
        claimed = await practice.claimed("cr-1", title="Compte rendu corrigé")
        practice.dmp.lookups.append(Step(sign=Sign.CUT))
        await practice.dispatch.send(claimed)
        now = await practice.now(claimed)

    assert (now.state, now.waiting) == (S.READY, WaitReason.NETWORK)
    assert len(practice.dmp.complete_bodies) == 1


async def test_a_ready_cda_must_name_the_version_it_replaces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with office(tmp_path) as practice:
        await sent(practice)
        newer = await practice.deposit("cr-1", title="Compte rendu corrigé")
        built = await practice.preparer.prepare(newer, await practice.store.body(newer.order_id), None)
        assert isinstance(built, PreparedBuild)

        async def as_it_is(*_: object) -> PreparedBuild:
            return replace(built, prepared=sendings.prepared(newer.unique_id))

        monkeypatch.setattr(practice.preparer, "prepare", as_it_is)
        await practice.preparation.prepare(newer)
        now = await practice.now(newer)

    assert (now.state, now.failure_code) == (S.PREPARATION_FAILED, "REPLACED_VERSION_MISMATCH")
