"""Deleting a document and saying who sees it, with a real agent, a real sandbox and a client on the socket.

The counts are those of the sandbox's wire: complete bodies of documents, complete changes, and what became of each.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from vaguemestre_api import wire
from vaguemestre_testkit.acceptance_kit import PATIENCE_S, QUICK, Life, living, pdf_document

HIDDEN = "INVISIBLE_PATIENT"
FEEDING, REPLACING = "TD2.1", "TD2.1 RPLC"


@dataclass(frozen=True, slots=True)
class Held:
    """A document as the DMP holds it."""

    status: str
    visibility: tuple[str, ...]


async def held(life: Life) -> dict[str, Held]:
    found = await life.ask("GET", "/api/documents")
    assert isinstance(found, dict)
    return {row["unique_id"]: Held(row["status"], tuple(row["visibility"])) for row in found["documents"]}


async def feedings(life: Life) -> list[tuple[str, str]]:
    """Return the uniqueId and the transaction of each complete body of a document, in order."""
    found = await life.ask("GET", "/api/bodies")
    assert isinstance(found, dict)
    return [(row["unique_id"], row["transaction"]) for row in found["bodies"]]


async def changes(life: Life) -> list[tuple[str, str, bool]]:
    """Return the document, the transaction and the effect of each complete change, in order."""
    found = await life.ask("GET", "/api/changes")
    assert isinstance(found, dict)
    return [(row["unique_id"], row["transaction"], row["stored"]) for row in found["changes"]]


async def until_stored(life: Life) -> None:
    """Wait until the DMP has stored a change whose answer it keeps to itself."""
    async with asyncio.timeout(PATIENCE_S):
        while not any(stored for _, _, stored in await changes(life)):
            pass  # each turn waits for the sandbox's answer


async def order_of(life: Life, kind: str, state: str) -> wire.Order:
    """Follow the events until the newest order is of that kind and in that state."""
    return await life.until(lambda order: order.kind == kind and order.state == state)


@pytest.mark.req("SC.DMP/CONF.03", "DMP/va1.16")
async def test_a_deletion_leaves_once_and_what_is_put_again_is_a_new_submission(tmp_path: Path, pki: Path) -> None:
    async with living(tmp_path, pki) as life:
        await life.lgc.put_document("cr-1", pdf_document())
        first = await life.reaches("sent")
        asked = await life.lgc.delete_document("cr-1", "feeding_error")
        deleted = await order_of(life, "dmp.delete", "sent")
        again = await life.lgc.delete_document("cr-1", "feeding_error")

        gone = await held(life)
        assert gone[first.unique_id].status == "Deleted"
        assert await changes(life) == [(first.unique_id, "TD3.3c", True)]

        await life.lgc.put_document("cr-1", pdf_document("Compte rendu refait"))
        anew = await order_of(life, "dmp.submit", "sent")
        assert await feedings(life) == [(first.unique_id, FEEDING), (anew.unique_id, FEEDING)]
        assert await changes(life) == [(first.unique_id, "TD3.3c", True)]
        now = await held(life)
        verified = await life.lgc.verify_ledger()
    assert (asked.answer, again.answer) == ("accepted", "done")
    assert asked.order.order_id == again.order.order_id == deleted.order_id
    assert {unique_id: document.status for unique_id, document in now.items()} == {
        first.unique_id: "Deleted",
        anew.unique_id: "Approved",
    }
    assert anew.unique_id != first.unique_id
    assert verified.lines > 0


@pytest.mark.req("SC.DMP/CONF.03", "DMP/va1.16")
async def test_a_deletion_asked_in_doubt_waits_until_the_document_is_found_then_leaves(
    tmp_path: Path, pki: Path
) -> None:
    async with living(tmp_path, pki) as life:
        await life.fail("dmp.td21", "cut_after_store")
        blind = await life.fail("dmp.td31", "status_before_read", status=503, count=None)
        await life.lgc.put_document("cr-1", pdf_document())
        doubted = await life.reaches("in_doubt")
        asked = await life.lgc.delete_document("cr-1", "patient_request")
        assert await changes(life) == []  # nobody knows yet what there is to delete

        await life.ask("DELETE", f"/api/rules/{blind}")
        await order_of(life, "dmp.delete", "sent")
        orders = (await life.lgc.document("cr-1")).orders

        assert await feedings(life) == [(doubted.unique_id, FEEDING)]
        assert await changes(life) == [(doubted.unique_id, "TD3.3c", True)]
        assert (await held(life))[doubted.unique_id].status == "Deleted"
        kinds = await life.kinds(doubted)
    assert asked.answer == "waits"
    assert [(order.kind, order.state) for order in orders] == [("dmp.delete", "sent"), ("dmp.submit", "sent")]
    assert "order.found_there" in kinds


@pytest.mark.req("SC.DMP/CONF.03", "DMP/va1.16")
async def test_a_deletion_asked_in_doubt_of_what_never_arrived_stops_it_and_sends_nothing(
    tmp_path: Path, pki: Path
) -> None:
    async with living(tmp_path, pki) as life:
        await life.fail("dmp.td21", "cut_after_body")
        blind = await life.fail("dmp.td31", "status_before_read", status=503, count=None)
        await life.lgc.put_document("cr-1", pdf_document())
        doubted = await life.reaches("in_doubt")
        asked = await life.lgc.delete_document("cr-1", "feeding_error")
        await life.ask("DELETE", f"/api/rules/{blind}")
        deletion = await order_of(life, "dmp.delete", "cancelled")
        orders = (await life.lgc.document("cr-1")).orders
        again = await life.lgc.delete_document("cr-1", "feeding_error")

        assert await feedings(life) == [(doubted.unique_id, FEEDING)]  # the one that was cut, which nobody stored
        assert await changes(life) == []
        assert await held(life) == {}
    assert (asked.answer, again.answer) == ("waits", "stopped")
    assert [(order.kind, order.state) for order in orders] == [("dmp.delete", "cancelled"), ("dmp.submit", "cancelled")]
    assert deletion.failure_code == "NOTHING_THERE"


@pytest.mark.req("SC.DMP/UX.51", "DMP/va1.17")
async def test_hidden_in_one_gesture_before_it_leaves_then_made_visible(tmp_path: Path, pki: Path) -> None:
    async with living(tmp_path, pki, replace(QUICK, delay_s=2.0)) as life:
        await life.lgc.put_document("cr-1", pdf_document(changes={"visibility": []}))
        hidden = await life.lgc.set_visibility("cr-1", [HIDDEN])
        first = await life.reaches("sent")

        # The entry is hidden from its first and only body: no change followed it.
        assert await feedings(life) == [(first.unique_id, FEEDING)]
        assert await changes(life) == []
        assert await held(life) == {first.unique_id: Held("Approved", (HIDDEN,))}
        assert HIDDEN in await life.entry(first)

        shown = await life.lgc.set_visibility("cr-1", [])
        await order_of(life, "dmp.visibility", "sent")
        again = await life.lgc.set_visibility("cr-1", [])

        assert await feedings(life) == [(first.unique_id, FEEDING)]
        assert [(unique_id, stored) for unique_id, _, stored in await changes(life)] == [(first.unique_id, True)]
        assert await held(life) == {first.unique_id: Held("Approved", ())}
    assert (hidden.answer, shown.answer, again.answer) == ("corrected", "accepted", "done")
    assert first.order_id == hidden.order.order_id


@pytest.mark.req("SC.DMP/CONF.03", "SC.DMP/UX.51")
@pytest.mark.parametrize("kind", ["dmp.delete", "dmp.visibility"])
async def test_a_change_cut_by_a_kill_before_its_answer_is_settled_by_the_lookup(
    tmp_path: Path, pki: Path, kind: str
) -> None:
    patient = replace(QUICK, feed_total_s=15.0, longest_exchange_s=16.0)
    async with living(tmp_path, pki, patient) as life:
        await life.lgc.put_document("cr-1", pdf_document(changes={"visibility": [HIDDEN]}))
        first = await life.reaches("sent")
        await life.fail("dmp.iti57", "hang_after_store")
        if kind == "dmp.delete":
            await life.lgc.delete_document("cr-1", "patient_request")
        else:
            await life.lgc.set_visibility("cr-1", [])
        change = await order_of(life, kind, "sending")
        await until_stored(life)
        await life.kill_and_restart()
        await life.practice.open_session()  # sessions live in memory only: the LGC gives its own again
        settled = await order_of(life, kind, "sent")
        kinds = await life.kinds(change)

        assert await feedings(life) == [(first.unique_id, FEEDING)]
        assert [(unique_id, stored) for unique_id, _, stored in await changes(life)] == [(first.unique_id, True)]
        expected = Held("Deleted", (HIDDEN,)) if kind == "dmp.delete" else Held("Approved", ())
        assert await held(life) == {first.unique_id: expected}
    assert settled.order_id == change.order_id
    assert kinds.index("order.first_byte") < kinds.index("order.restarted") < kinds.index("order.found_there")
