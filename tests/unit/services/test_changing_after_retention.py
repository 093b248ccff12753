"""Long after its bodies are gone, a document that is at the DMP can still be shown or deleted there."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from vaguemestre_agent.practice.documents import metadata
from vaguemestre_core.changes import ChangeAnswer, DeletionMotive
from vaguemestre_core.errors import StoreError
from vaguemestre_core.facts import patient_keys
from vaguemestre_core.identities import Ins
from vaguemestre_core.keeping import ErasureReason, WaitingChoice
from vaguemestre_core.orders import OrderState
from vaguemestre_core.records import Order
from vaguemestre_documents.prepared import PreparedDocument
from vaguemestre_queue.opening import DATABASE_FILE
from vaguemestre_testkit.practice_kit import SECRETARY, Office, office

S = OrderState
HIDDEN = "INVISIBLE_PATIENT"
DAY_S = 86400


async def sent(practice: Office, **options: object) -> Order:
    order = await practice.claimed("cr-1", **options)
    await practice.dispatch.send(order)
    return await practice.now(order)


async def due_claim(practice: Office) -> Order:
    await practice.adopt()
    for order in await practice.store.preparing(10):
        await practice.preparation.prepare(order)
    practice.clock.advance(1000)
    await practice.store.due(practice.clock.now(), practice.clock.boot_s(), practice.clock.boot_id(), 100)
    claimed = await practice.store.claim("dmp", practice.rights(), practice.clock.now())
    assert claimed is not None
    return claimed


async def days(practice: Office, number: int) -> None:
    """Let days pass on both clocks, with a pass of retention before and after."""
    keeping = practice.backend.keeping.store
    await keeping.destroy_ended(30, 50)
    practice.clock.advance(number * DAY_S)
    while await keeping.destroy_ended(30, 50):
        pass


def roles(folder: Path) -> list[str]:
    with closing(sqlite3.connect(next(folder.rglob(DATABASE_FILE)))) as raw:
        return [str(role) for (role,) in raw.execute("SELECT role FROM bodies ORDER BY order_id, role")]


@pytest.mark.req("SC.DMP/UX.14.BIS")
async def test_a_hidden_document_is_made_visible_after_sixty_days(tmp_path: Path) -> None:
    async with office(tmp_path) as practice:
        document = await sent(practice, change={"visibility": [HIDDEN]})
        full = await practice.store.prepared(document.order_id)
        await days(practice, 60)
        with pytest.raises(StoreError, match="BODY_GONE"):
            await practice.store.body(document.order_id)
        kept = PreparedDocument.from_bytes(await practice.store.prepared(document.order_id))
        assert (kept.cda, kept.entry) == (b"", PreparedDocument.from_bytes(full).entry)
        assert roles(tmp_path) == ["reference"]

        answer = await practice.backend.set_visibility(practice.client, "cr-1", frozenset(), SECRETARY, None)
        order = await due_claim(practice)
        await practice.dispatch.send(order)
        done = await practice.now(order)

    assert (answer.answer, done.state) == (ChangeAnswer.ACCEPTED, S.SENT)
    assert practice.dmp.complete_changes == [(document.unique_id, "TD3.3a/b")]
    assert practice.dmp.complete_bodies == [document.unique_id]
    assert practice.dmp.held[document.unique_id].visibility == frozenset()


@pytest.mark.req("SC.DMP/CONF.03")
async def test_a_deletion_after_a_year_ends_the_reference(tmp_path: Path) -> None:
    async with office(tmp_path) as practice:
        document = await sent(practice)
        for _ in range(12):
            await days(practice, 30)
        await practice.backend.delete_document(practice.client, "cr-1", DeletionMotive.PATIENT_REQUEST, SECRETARY, None)
        order = await due_claim(practice)
        await practice.dispatch.send(order)
        assert roles(tmp_path) == ["reference"]  # the deletion has not been over for thirty days
        await days(practice, 31)
        assert roles(tmp_path) == []
        lines = [line for line in await practice.store.ledger(0) if line.kind == "order.body_destroyed"]
        await practice.store.verify_ledger()

    assert practice.dmp.complete_changes == [(document.unique_id, "TD3.3c")]
    told = [dict(line.detail) for line in lines]
    assert told[0] == {"days": "30", "kept": "reference", "roles": "given,signature,prepared"}
    assert told[1] == {"days": "30", "roles": "reference"}
    assert len(told) == 2  # one a body, however many passes were made


async def test_a_replaced_version_leaves_no_reference(tmp_path: Path) -> None:
    async with office(tmp_path) as practice:
        await sent(practice)
        await days(practice, 40)
        second = await sent(practice, title="Autre")
        await days(practice, 40)
        assert second.version == 2
        assert roles(tmp_path) == ["reference"]
        await practice.store.prepared(second.order_id)
        assert second.predecessor is not None
        with pytest.raises(StoreError, match="BODY_GONE"):
            await practice.store.prepared(second.predecessor)


@pytest.mark.req("SC.DMP/CONF.03")
async def test_what_never_arrived_leaves_none_and_an_erasure_leaves_none(tmp_path: Path) -> None:
    async with office(tmp_path) as practice:
        stopped = await practice.ready("cr-2")
        await practice.backend.cancel(practice.client, stopped.order_id, SECRETARY)
        await days(practice, 31)
        assert roles(tmp_path) == []
        await sent(practice)
        await days(practice, 31)
        assert roles(tmp_path) == ["reference"]
        given = json.loads(metadata("Compte rendu"))["patient"]["ins"]
        report = await practice.backend.keeping.erase_patient(
            patient_keys(Ins(matricule=given["matricule"], oid=given["oid"]), None),
            WaitingChoice.REFUSE,
            ErasureReason.PATIENT_REQUEST,
            SECRETARY,
        )
        assert report.bodies == 1
        assert roles(tmp_path) == []
