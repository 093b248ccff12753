"""Deleting a document and changing who sees it, seen by a paired client on a real socket, whatever the backend."""

from __future__ import annotations

import pytest

from vaguemestre_api import wire
from vaguemestre_api.client import Client
from vaguemestre_api.failures import ApiProblem
from vaguemestre_testkit.api_harness import ApiHarness

HIDDEN = "INVISIBLE_PATIENT"


async def refused(awaitable: object) -> wire.Problem:
    with pytest.raises(ApiProblem) as caught:
        await awaitable  # type: ignore[misc]
    return caught.value.problem


async def test_what_has_not_left_is_stopped(lgc: Client, harness: ApiHarness) -> None:
    accepted = await lgc.put_document("cr/1 é", harness.document())
    answer = await lgc.delete_document("cr/1 é", "feeding_error")
    again = await lgc.delete_document("cr/1 é", "feeding_error")

    assert (answer.answer, answer.order.order_id, answer.replayed) == ("stopped", accepted.order.order_id, False)
    assert (answer.order.state, answer.stopped) == ("cancelled", (accepted.order.order_id,))
    assert (again.answer, again.replayed, again.stopped) == ("stopped", True, ())


@pytest.mark.req("SC.DMP/CONF.03")
async def test_what_was_sent_is_deleted_by_an_order_that_can_be_stopped(lgc: Client, harness: ApiHarness) -> None:
    sent = (await lgc.put_document("cr-1", harness.document())).order
    await harness.make_sent(sent.order_id)
    answer = await lgc.delete_document("cr-1", "patient_request")
    again = await lgc.delete_document("cr-1", "patient_request")

    assert (answer.answer, answer.order.kind, answer.order.predecessor) == ("accepted", "dmp.delete", sent.order_id)
    assert answer.order.not_before == answer.order.undo_until
    assert (again.order.order_id, again.replayed) == (answer.order.order_id, True)
    assert (await lgc.cancel(answer.order.order_id)).answer == "cancelled"
    assert (await lgc.delete_document("cr-1", "patient_request")).order.order_id != answer.order.order_id


async def test_a_change_in_doubt_waits(lgc: Client, harness: ApiHarness) -> None:
    for ref in ("cr-1", "cr-2"):
        order = (await lgc.put_document(ref, harness.document(ref))).order
        await harness.make_doubtful(order.order_id)
    deletion = await lgc.delete_document("cr-1", "feeding_error")
    hidden = await lgc.set_visibility("cr-2", [HIDDEN])

    assert [(item.answer, item.order.waiting) for item in (deletion, hidden)] == [("waits", "predecessor")] * 2
    problem = await refused(lgc.set_visibility("cr-1", [HIDDEN]))
    assert (problem.status, problem.code) == (409, "DELETION_UNDER_WAY")


@pytest.mark.req("SC.DMP/UX.51")
async def test_what_has_not_left_is_hidden_in_one_call(lgc: Client, harness: ApiHarness) -> None:
    first = (await lgc.put_document("cr-1", harness.document())).order
    answer = await lgc.set_visibility("cr-1", [HIDDEN])
    again = await lgc.set_visibility("cr-1", [HIDDEN])

    assert (answer.answer, answer.stopped, answer.order.kind) == ("corrected", (first.order_id,), "dmp.submit")
    assert (again.order.order_id, again.replayed) == (answer.order.order_id, True)


async def test_forbidden_visibilities_are_refused_and_change_nothing(lgc: Client, harness: ApiHarness) -> None:
    sent = (await lgc.put_document("cr-1", harness.document())).order
    await harness.make_sent(sent.order_id)
    before = await harness.fingerprint()
    both = await refused(lgc.set_visibility("cr-1", [HIDDEN, "MASQUE_PS"]))
    again = await refused(lgc.set_visibility("cr-1", [HIDDEN]))
    unknown = await refused(lgc.set_visibility("cr-1", ["INVISIBLE_REP_LEGAUX"]))
    motive = await refused(lgc.delete_document("cr-1", "because"))
    nobody = await refused(lgc.delete_document("never seen", "feeding_error"))

    assert (both.status, both.code) == (422, "VISIBILITY_COMBINATION_FORBIDDEN")
    assert (again.status, again.code) == (409, "DMP_CANNOT_HIDE_AGAIN")
    assert (unknown.code, motive.code) == ("REQUEST_INVALID", "REQUEST_INVALID")
    assert (nobody.status, nobody.code) == (404, "DOCUMENT_UNKNOWN")
    assert await harness.fingerprint() == before


async def test_what_is_there_is_masked_by_an_order_of_its_own(lgc: Client, harness: ApiHarness) -> None:
    sent = (await lgc.put_document("cr-1", harness.document())).order
    await harness.make_sent(sent.order_id)
    same = await lgc.set_visibility("cr-1", [])
    answer = await lgc.set_visibility("cr-1", ["MASQUE_PS"])

    assert (same.answer, same.order.order_id, same.replayed) == ("done", sent.order_id, True)
    assert (answer.answer, answer.order.kind) == ("accepted", "dmp.visibility")


@pytest.mark.req("SC.DMP/CONF.03")
async def test_the_whole_document_is_told_not_its_last_order(lgc: Client, harness: ApiHarness) -> None:
    first = (await lgc.put_document("cr-1", harness.document())).order
    waiting = await lgc.document("cr-1")
    await harness.make_sent(first.order_id)
    correction = (await lgc.put_document("cr-1", harness.document("Corrigé"))).order
    await lgc.cancel(correction.order_id)
    kept = await lgc.document("cr-1")
    deletion = (await lgc.delete_document("cr-1", "patient_request")).order
    leaving = await lgc.document("cr-1")
    await harness.make_sent(deletion.order_id)
    deleted = await lgc.document("cr-1")

    assert (waiting.status, waiting.presence, waiting.there) == ("waiting", "none", None)
    assert (kept.status, kept.presence) == ("sent", "there")
    assert kept.there is not None
    assert (kept.there.order_id, kept.there.unique_id, kept.there.version) == (first.order_id, first.unique_id, 1)
    assert kept.there.visibility == ()
    assert [(item.wish, item.progress) for item in kept.under_way] == [("correction", "stopped")]
    assert (leaving.status, leaving.presence) == ("waiting", "there")
    assert [(item.wish, item.progress) for item in leaving.under_way] == [("deletion", "waiting")]
    assert (deleted.status, deleted.presence, deleted.there) == ("deleted", "deleted", None)
    assert deleted.under_way == ()
    assert await lgc.reconcile(["cr-1"]) == {"cr-1": "deleted"}


@pytest.mark.req("SC.DMP/UX.51")
async def test_nothing_hidden_leaves_nothing_to_announce(lgc: Client, harness: ApiHarness) -> None:
    order = (await lgc.put_document("cr-1", harness.document())).order
    await harness.make_sent(order.order_id)
    found = await lgc.to_announce()

    assert (found.documents, found.count, found.announce_due_count, found.has_more) == ((), 0, 0, False)


@pytest.mark.req("SC.DMP/UX.51", "SC.DMP/UX.14.BIS")
async def test_what_was_sent_hidden_is_to_announce(lgc: Client, harness: ApiHarness) -> None:
    await lgc.put_document("cr-1", harness.document())
    hidden = (await lgc.set_visibility("cr-1", [HIDDEN])).order
    assert (await lgc.to_announce()).count == 0
    await harness.make_sent(hidden.order_id)
    found = await lgc.to_announce()
    (item,) = found.documents
    sent = await lgc.order(hidden.order_id)

    assert (found.count, found.announce_due_count, item.age_days) == (1, 0, 0)
    assert (item.client_ref, item.order_id, item.unique_id) == ("cr-1", hidden.order_id, hidden.unique_id)
    assert (item.since, item.under_way) == (sent.state_at, ())
    assert item.announce_due < item.visible_due
    await lgc.delete_document("cr-1", "patient_request")
    assert [
        (wish.wish, wish.progress) for listed in (await lgc.to_announce()).documents for wish in listed.under_way
    ] == [("deletion", "waiting")]
