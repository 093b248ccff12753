"""From a PDF to a receipt, with a real agent, a real sandbox and a client on the socket."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from contextlib import aclosing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from lxml import etree

from vaguemestre_agent.adapters.keystore.stores import FileKeyStore, load_keys
from vaguemestre_agent.adapters.system.clock import SystemClock
from vaguemestre_agent.adapters.system.failpoints import Unarmed
from vaguemestre_agent.adapters.system.random import SystemRandom
from vaguemestre_agent.parts import KEYS_FILE
from vaguemestre_agent.practice.documents import DOCTOR, INS_TEST_OID, PATIENTS, tiny_pdf
from vaguemestre_api import wire
from vaguemestre_api.client import DocumentBody
from vaguemestre_core.errors import StoreError
from vaguemestre_core.orders import OrderId
from vaguemestre_documents.preparation import PreparationResult, prepare
from vaguemestre_queue.opening import open_store
from vaguemestre_testkit import metadata_samples
from vaguemestre_testkit.acceptance_kit import QUICK, Life, living, pdf_document

DEMO = Path(__file__).parents[2] / "docs" / "demo"
V3 = {"v3": "urn:hl7-org:v3"}


def embedded(cda: bytes) -> bytes:
    """Return the body that a CDA carries."""
    text = etree.fromstring(cda).find(".//v3:nonXMLBody/v3:text", V3)
    assert text is not None
    return base64.b64decode("".join((text.text or "").split()))


@pytest.mark.req("SC.DMP/HISTO.01", "SC.PSC.14")
async def test_a_pdf_is_sent_and_its_receipt_kept(tmp_path: Path, pki: Path) -> None:
    async with living(tmp_path, pki) as life:
        await life.lgc.put_document("cr-1", pdf_document())
        sent = await life.reaches("sent")
        lines = (await life.lgc.ledger(limit=1000)).lines
        delivered = next(line for line in lines if line.kind == "order.delivered")
        verified = await life.lgc.verify_ledger()
        cda = await life.cda(sent)
        statuses = await life.lgc.reconcile(["cr-1"])
        connects = [line.kind for line in lines if line.kind == "session.requested"]

        assert await life.bodies() == [sent.unique_id]
    assert embedded(cda) == tiny_pdf("Compte rendu")
    assert sent.receipt["registry_status"] == delivered.detail["registry_status"] == "Success"
    assert sent.receipt["message_id"].startswith("urn:uuid:")
    assert verified.lines >= delivered.seq
    assert statuses == {"cr-1": "sent"}
    assert connects == []  # the LGC's own session served: nobody was prompted a second time


@pytest.mark.req("SC.DMP/ALI/PROG.02")
async def test_nothing_leaves_before_the_delay_then_exactly_one(tmp_path: Path, pki: Path) -> None:
    async with living(tmp_path, pki, replace(QUICK, delay_s=1.2, undo_s=0.3)) as life:
        accepted = (await life.lgc.put_document("cr-1", pdf_document())).order
        deferred = await life.reaches("deferred")
        assert await life.bodies() == []
        sent = await life.reaches("sent")
        lines = {line.kind: line.at for line in (await life.lgc.ledger(limit=1000)).lines if line.order_id}

        assert await life.bodies() == [sent.unique_id]
    assert deferred.not_before is not None
    assert (deferred.not_before - accepted.accepted_at).total_seconds() == pytest.approx(1.2)
    assert lines["order.claim"] >= deferred.not_before


@pytest.mark.req("SC.DMP/ALI/PROG.03")
async def test_one_held_the_other_leaves_and_a_cancelled_one_never_does(tmp_path: Path, pki: Path) -> None:
    async with living(tmp_path, pki, replace(QUICK, delay_s=0.8)) as life:
        await life.lgc.put_document("held", pdf_document("A"), hold=True)
        stopped = await life.lgc.put_document("stopped", pdf_document("B"))
        await life.lgc.put_document("free", pdf_document("C"))
        answer = await life.lgc.cancel(stopped.order.order_id)
        sent = await life.reaches("sent", "free")
        held = await life.reaches("ready", "held")
        lines = (await life.lgc.ledger(limit=1000)).lines
        assert await life.bodies() == [sent.unique_id]
        assert (await life.lgc.why(held.order_id)).blocking == "HELD_BY_A_PERSON"
        await life.lgc.release(held.order_id)
        freed = await life.reaches("sent", "held")

        assert await life.bodies() == [sent.unique_id, freed.unique_id]
    assert answer.answer == "cancelled"
    assert [line.actor.user for line in lines if line.kind == "order.cancel"] == ["dr-essai"]


async def no_network(life: Life, *, back: bool) -> None:
    await life.ask("PUT", "/api/listeners/proxy", {"listening": back})


async def session_gone(life: Life, *, back: bool) -> None:
    if back:
        await life.practice.open_session(fresh=True)
    else:
        await life.ask("DELETE", "/api/sessions")


async def unavailable(life: Life, *, back: bool) -> None:
    if back:
        await life.ask("DELETE", "/api/rules")
    else:
        await life.fail("dmp.td02", "status_before_read", status=503, count=None)


async def no_session(life: Life, *, back: bool) -> None:
    if back:
        await life.practice.open_session()


@pytest.mark.req("SC.DMP/ALI/PROG.06", "SC.DMP/ALI/PROG.07")
@pytest.mark.parametrize(
    ("trouble", "reason", "blocking"),
    [
        # The order's own last cause, or what the service's breaker knows after a few failures.
        (no_network, "network", {"NETWORK_DOWN", "PROXY_OR_INTERNET_DOWN"}),
        (session_gone, "auth", {"NO_SESSION"}),
        (unavailable, "service", {"SERVICE_DOWN", "DMP_UNAVAILABLE"}),
        (no_session, "auth", {"NO_SESSION"}),
    ],
)
async def test_each_cause_is_waited_for_survives_a_kill_and_ends_in_one_sending(
    tmp_path: Path, pki: Path, trouble: object, reason: str, blocking: set[str]
) -> None:
    assert callable(trouble)
    async with living(tmp_path, pki, session=trouble is not no_session) as life:
        await trouble(life, back=False)
        await life.lgc.put_document("cr-1", pdf_document("Première version"))
        await life.waits(reason)
        # Corrected while it waits: of one document only the last version may leave.
        await life.lgc.put_document("cr-1", pdf_document("Seconde version"))
        await life.lgc.put_document("cr-2", pdf_document("Autre", patient=0))
        await life.waits(reason)
        waiting = await life.waits(reason, "cr-2")
        why = await life.lgc.why(waiting.order_id)
        await life.kill_and_restart()
        if reason != "auth":
            await life.practice.open_session()  # sessions live in memory only: the LGC gives its own again
        survived = await life.waits(reason)
        await life.waits(reason, "cr-2")
        assert await life.bodies() == []
        await trouble(life, back=True)
        first, second = await life.reaches("sent"), await life.reaches("sent", "cr-2")
        verdict = await life.sandbox.inspection.verdict()

        assert sorted(await life.bodies()) == sorted([first.unique_id, second.unique_id])
        assert embedded(await life.cda(first)) == tiny_pdf("Seconde version")
    assert why.blocking in blocking
    assert why.action
    assert survived.order_id == first.order_id
    assert (verdict.held, verdict.sent_twice) == (2, 0)


@pytest.mark.req("SC.DMP/ALI/PROG.05")
async def test_a_dmp_that_hangs_slows_nothing_down(tmp_path: Path, pki: Path) -> None:
    async with living(tmp_path, pki, replace(QUICK, feed_total_s=15.0, longest_exchange_s=16.0)) as life:
        rule = await life.fail("dmp.td21", "hang_before_read")
        await life.lgc.put_document("cr-1", pdf_document("A"))
        await life.reaches("sending")
        took = []
        for number in range(40):
            start = time.perf_counter()
            await (life.lgc.health() if number % 2 else life.lgc.orders(titles=True))
            took.append(time.perf_counter() - start)
        await life.lgc.put_document("cr-2", pdf_document("B"))
        await life.reaches("sent", "cr-2")
        assert (await life.lgc.document("cr-1")).orders[0].state == "sending"
        await life.ask("POST", f"/api/rules/{rule}/release")
        await life.reaches("sent")

    assert sorted(took)[int(len(took) * 0.95)] < 0.2


@pytest.mark.req("INS/va1.53")
async def test_an_identity_not_qualified_never_leaves_and_no_document_carries_its_ins(
    tmp_path: Path, pki: Path
) -> None:
    matricule = PATIENTS[0][0]
    document = pdf_document()
    value = json.loads(document.metadata)
    value["patient"] |= {"identity_status": "validée", "local_id": {"value": "D-0007", "oid": "1.2.250.1.999.2.1"}}
    async with living(tmp_path, pki) as life:
        await life.lgc.put_document("cr-1", replace(document, metadata=json.dumps(value).encode()))
        await life.lgc.put_document("cr-2", pdf_document(patient=1))
        await life.reaches("sent", "cr-2")
        held = await life.until(lambda order: order.state != "preparing")
        why = await life.lgc.why(held.order_id)
        assert len(await life.bodies()) == 1
        await life.child.stop()
        keys = load_keys(FileKeyStore(life.state / KEYS_FILE), SystemRandom(), store_exists=True)
        async with open_store(life.state, keys, SystemClock(), SystemRandom(), Unarmed()) as store:
            with pytest.raises(StoreError, match="BODY_GONE"):  # the DMP takes none without: none was even made
                await store.prepared(OrderId(held.order_id))

    assert held.holds == ("identity",)
    assert (why.blocking, why.would_let_it_leave) == ("INS_NOT_QUALIFIED", "QUALIFY_THE_IDENTITY")
    elsewhere = prepare(metadata_samples.preparation(document.body, value=value, for_dmp=False))
    assert isinstance(elsewhere, PreparationResult)
    container = elsewhere.document.to_bytes()
    assert elsewhere.document.ins() is None
    assert matricule.encode() not in container
    for oid in ("1.2.250.1.213.1.4.8", "1.2.250.1.213.1.4.9", INS_TEST_OID):
        assert f'"{oid}"'.encode() not in elsewhere.document.cda


@pytest.mark.req("SC.DMP/HISTO.03", "SC.DMP/UX.51")
async def test_an_old_act_keeps_its_date_and_an_invisible_document_is_marked(tmp_path: Path, pki: Path) -> None:
    async with living(tmp_path, pki) as life:
        old = pdf_document(changes={"act": {"date": "2021-03-04T09:30:00+01:00"}, "visibility": ["INVISIBLE_PATIENT"]})
        await life.lgc.put_document("cr-1", old)
        await life.lgc.put_document("cr-2", pdf_document(patient=1))
        sent, usual = await life.reaches("sent"), await life.reaches("sent", "cr-2")
        cda, entry, other = await life.cda(sent), await life.entry(sent), await life.entry(usual)

    event = etree.fromstring(cda).find(".//v3:documentationOf/v3:serviceEvent/v3:effectiveTime", V3)
    assert event is not None
    written = event.get("value") or event.find("v3:low", V3).get("value")  # type: ignore[union-attr]
    assert str(written).startswith("20210304")
    created = etree.fromstring(cda).find("v3:effectiveTime", V3)
    assert created is not None
    assert str(created.get("value"))[:8] >= f"{datetime.now(UTC):%Y}0101"
    assert slot(entry, "serviceStartTime").startswith("20210304")
    assert slot(entry, "creationTime")[:4] == f"{datetime.now(UTC):%Y}"
    assert "INVISIBLE_PATIENT" in entry
    assert "INVISIBLE_PATIENT" not in other
    assert b"INVISIBLE_PATIENT" not in cda


def slot(entry: str, name: str) -> str:
    """Return the first value of a slot of a registry entry."""
    found = etree.fromstring(entry.encode()).xpath(f"//*[local-name()='Slot'][@name='{name}']//*[local-name()='Value']")
    assert isinstance(found, list)
    first = found[0]
    assert isinstance(first, etree._Element)
    return first.text or ""


async def test_events_are_followed_across_a_kill_without_a_gap(tmp_path: Path, pki: Path) -> None:
    async with living(tmp_path, pki) as life, life.practice.client() as tray:
        seen: list[int] = []
        enough = asyncio.Event()

        async def follow() -> None:
            async with aclosing(tray.follow(0)) as items:
                async for item in items:
                    if isinstance(item.content, wire.Change):
                        seen.append(item.content.line.seq)
                        if item.content.line.kind == "order.delivered" and item.content.line.client_ref == "cr-2":
                            enough.set()

        async with asyncio.timeout(20), asyncio.TaskGroup() as group:
            following = group.create_task(follow())
            await life.lgc.put_document("cr-1", pdf_document("A"))
            await life.reaches("sent")
            await life.kill_and_restart()
            await life.practice.open_session()
            await life.lgc.put_document("cr-2", pdf_document("B"))
            await enough.wait()
            following.cancel()
        last = (await life.lgc.ledger(limit=1000)).lines[-1].seq

    assert seen == list(range(1, len(seen) + 1))
    assert last >= len(seen) > 15


async def test_the_documents_of_the_demonstration_are_taken(tmp_path: Path, pki: Path) -> None:
    names = {
        "consultation": ("consultation.json", "consultation.pdf", "application/pdf"),
        "scan": ("lettre-scannee.json", "lettre-scannee.pdf", "application/pdf"),
        "ready": ("certificat.cda.json", "certificat.cda.xml", "text/xml"),
    }
    async with living(tmp_path, pki) as life:
        for ref, (about, body, media_type) in names.items():
            document = DocumentBody(
                metadata=(DEMO / about).read_bytes(), body=(DEMO / body).read_bytes(), media_type=media_type
            )
            await life.lgc.put_document(ref, document)
        sent = {ref: await life.reaches("sent", ref) for ref in names}
        held = {ref: await life.cda(order) for ref, order in sent.items()}

    assert embedded(held["consultation"]) == (DEMO / "consultation.pdf").read_bytes()
    assert embedded(held["scan"]) == (DEMO / "lettre-scannee.pdf").read_bytes()
    assert held["ready"] == (DEMO / "certificat.cda.xml").read_bytes()


async def test_the_same_deposit_made_many_times_is_one_document(tmp_path: Path, pki: Path) -> None:
    async with living(tmp_path, pki) as life:
        document = pdf_document()
        answers = await asyncio.gather(
            *(life.lgc.put_document("cr-1", document, idempotency_key="k-1") for _ in range(8))
        )
        sent = await life.reaches("sent")
        late = await life.lgc.put_document("cr-1", document, idempotency_key="k-1")
        await life.kill_and_restart()
        after_a_kill = await life.lgc.put_document("cr-1", document, idempotency_key="k-1")

        assert await life.bodies() == [sent.unique_id]
    assert {answer.order.order_id for answer in answers} == {sent.order_id}
    assert [answer.replayed for answer in answers].count(False) == 1
    assert late.replayed
    assert after_a_kill.replayed
    assert after_a_kill.order.state == "sent"


async def test_an_answer_that_cannot_be_read_is_settled_by_asking(tmp_path: Path, pki: Path) -> None:
    actions = ("garbage_xml", "truncated_xml", "html", "wrong_content_type", "cut_after_store")
    async with living(tmp_path, pki) as life:
        for action in actions:
            await life.fail("dmp.td21", action)
            await life.lgc.put_document(action, pdf_document(action))
            sent = await life.reaches("sent", action)
            assert (await life.kinds(sent))[-2:] == ["order.doubt", "order.found_there"], action
        verdict = await life.sandbox.inspection.verdict()

    assert (verdict.held, verdict.complete_bodies, verdict.sent_twice) == (len(actions), len(actions), 0)


async def test_a_document_that_never_arrived_leaves_again_once_this_is_sure(tmp_path: Path, pki: Path) -> None:
    async with living(tmp_path, pki) as life:
        await life.fail("proxy.send", "cut_after_body", count=2)  # TD0.2, then the sending that follows
        await life.lgc.put_document("cr-1", pdf_document())
        sent = await life.reaches("sent")
        verdict = await life.sandbox.inspection.verdict()

    assert (verdict.held, verdict.sent_twice) == (1, 0)
    assert sent.receipt["registry_status"] == "Success"


async def test_a_dmp_that_lies_is_believed_and_the_receipt_says_what_it_said(tmp_path: Path, pki: Path) -> None:
    """Success is all that a sender can know: the receipt keeps the DMP's own words, for whoever looks later."""
    async with living(tmp_path, pki) as life:
        await life.fail("dmp.td21", "lie_success")
        await life.lgc.put_document("cr-1", pdf_document())
        sent = await life.reaches("sent")
        verdict = await life.sandbox.inspection.verdict()

    assert (verdict.held, verdict.complete_bodies) == (0, 1)
    assert sent.receipt["registry_status"] == "Success"


async def test_a_dmp_that_says_unknown_wrongly_ends_in_one_document(tmp_path: Path, pki: Path) -> None:
    """It stored, cut, and denies it: we send again, it says that it has it, and asking again tells the truth."""
    async with living(tmp_path, pki) as life:
        await life.fail("dmp.td21", "cut_after_store")
        await life.fail("dmp.td31", "lie_unknown", count=2)
        await life.lgc.put_document("cr-1", pdf_document())
        await life.reaches("sent")
        verdict = await life.sandbox.inspection.verdict()

    assert verdict.held == 1


async def test_a_professional_who_refuses_is_told_and_may_be_asked_again(tmp_path: Path, pki: Path) -> None:
    async with living(tmp_path, pki, session=False) as life:
        await life.ask("POST", "/api/scripts", {"national_id": DOCTOR, "decision": "deny"})
        await life.lgc.open_session(DOCTOR, channel="CARD", mode="ciba")
        refused = await told(life, "session.refused")
        assert await life.lgc.session() == ()
        await life.lgc.open_session(DOCTOR, channel="CARD", mode="ciba")
        await told(life, "session.opened")
        await life.lgc.put_document("cr-1", pdf_document())
        await life.reaches("sent")

    assert refused.detail["code"] in {"PSC_REFUSED", "PSC_NOT_OBTAINED"}


async def told(life: Life, kind: str) -> wire.LedgerLine:
    """Follow the events until a ledger line of that kind."""
    async with asyncio.timeout(20), aclosing(life.lgc.follow(0)) as items:
        async for item in items:
            if isinstance(item.content, wire.Change) and item.content.line.kind == kind:
                return item.content.line
    raise AssertionError(kind)
