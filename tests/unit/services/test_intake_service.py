"""Intake: what is refused and where, what is held and why, and that a refusal leaves nothing behind."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from vaguemestre_agent.practice.documents import INS_TEST_OID, PATIENTS, metadata
from vaguemestre_agent.services.intake import request_digest
from vaguemestre_agent.services.values import DocumentUpload
from vaguemestre_core.deferral import DeferralMode, DeferralPolicy
from vaguemestre_core.errors import Conflict, Forbidden, InvalidInput, StoreError
from vaguemestre_core.facts import of_patient, opposition
from vaguemestre_core.orders import HoldKind, OrderState
from vaguemestre_core.records import Scope
from vaguemestre_core.redaction import Personal
from vaguemestre_testkit import cda_samples, metadata_samples
from vaguemestre_testkit.practice_kit import SECRETARY, OfficeSettings, office

Json = dict[str, object]


def without(*path: str) -> Callable[[Json], None]:
    def change(value: Json) -> None:
        for name in path[:-1]:
            value = value[name]  # type: ignore[assignment]
        del value[path[-1]]

    return change


def with_value(new: object, *path: str) -> Callable[[Json], None]:
    def change(value: Json) -> None:
        for name in path[:-1]:
            value = value[name]  # type: ignore[assignment]
        value[path[-1]] = new

    return change


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        (without("type_code"), "/type_code"),
        (with_value("no-such-type", "type_code"), "/type_code"),
        (without("title"), "/title"),
        (with_value(12, "title"), "/title"),
        (without("patient"), "/patient"),
        (with_value("peut-être", "patient", "identity_status"), "/patient/identity_status"),
        (with_value("1985-13-45", "patient", "birth_date"), "/patient/birth_date"),
        (with_value("18503750560424", "patient", "ins", "matricule"), "/patient/ins"),
        (with_value("123", "author", "rpps"), "/author/rpps"),
        (without("structure"), "/structure"),
        (without("act", "date"), "/act/date"),
        (with_value("hier", "act", "date"), "/act/date"),
        (with_value(True, "unheard_of"), ""),
    ],
)
async def test_wrong_metadata_are_refused_with_the_place(
    tmp_path: Path, change: Callable[[Json], None], pointer: str
) -> None:
    value = json.loads(metadata("Compte rendu"))
    change(value)
    async with office(tmp_path) as practice:
        before = await practice.store.last_line()
        with pytest.raises(InvalidInput) as caught:
            await practice.deposit(metadata=json.dumps(value).encode())
        assert await practice.store.last_line() == before
        assert await practice.store.counts() == {"quarantined": 0}

    assert caught.value.code == "METADATA_INVALID"
    assert str(caught.value.params["pointer"]).startswith(pointer)
    assert "ESSAI" not in str(caught.value)


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b"12", b'"x"', b"\xff", b"[" * 5000])
async def test_what_is_no_json_object_is_refused(tmp_path: Path, text: bytes) -> None:
    async with office(tmp_path) as practice:
        with pytest.raises(InvalidInput, match="METADATA_NOT_JSON"):
            await practice.deposit(metadata=text)


async def test_an_empty_body_is_refused(tmp_path: Path) -> None:
    async with office(tmp_path) as practice:
        with pytest.raises(InvalidInput, match="BODY_EMPTY"):
            await practice.deposit(body=b"")


@pytest.mark.parametrize("ref", ["", "x" * 129, "a\nb", "a\x00"])
async def test_a_reference_that_cannot_be_shown_is_refused(tmp_path: Path, ref: str) -> None:
    async with office(tmp_path) as practice:
        with pytest.raises(InvalidInput, match="CLIENT_REF_INVALID"):
            await practice.deposit(ref)


async def test_a_client_without_a_product_may_not_send(tmp_path: Path) -> None:
    async with office(tmp_path) as practice:
        made = await practice.backend.pair("Sans produit", frozenset(Scope), None, None, SECRETARY)
        with pytest.raises(Forbidden, match="PRODUCT_PROFILE_MISSING"):
            await practice.deposit(client=made.client)


@pytest.mark.req("SC.DMP/UX.51")
async def test_invisible_to_the_patient_and_masked_together_are_refused(tmp_path: Path) -> None:
    async with office(tmp_path) as practice:
        with pytest.raises(InvalidInput) as caught:
            await practice.deposit(change={"visibility": ["INVISIBLE_PATIENT", "MASQUE_PS"]})

    assert "VISIBILITY_COMBINATION_FORBIDDEN" in {caught.value.code, caught.value.params.get("reason")}


async def test_a_full_disk_accepts_nothing(tmp_path: Path) -> None:
    async with office(tmp_path) as practice:
        practice.failing.fail("accept", StoreError("STORE_FULL"))
        with pytest.raises(StoreError, match="STORE_FULL"):
            await practice.deposit()
        assert await practice.store.counts() == {"quarantined": 0}


@pytest.mark.req("INS/va1.53")
@pytest.mark.parametrize("status", ["provisoire", "validée", "récupérée"])
async def test_an_identity_that_is_not_qualified_is_held(tmp_path: Path, status: str) -> None:
    value = json.loads(metadata("Compte rendu"))
    patient = value["patient"] | {"identity_status": status}
    patient["local_id"] = {"value": "P-1", "oid": cda_samples.LOCAL_OID}
    async with office(tmp_path) as practice:
        order = await practice.deposit(change={"patient": patient})
        why = await practice.backend.why(practice.client, order.order_id)

    assert order.holds == {HoldKind.IDENTITY}
    assert (why.blocking, why.would_let_it_leave) == ("INS_NOT_QUALIFIED", "QUALIFY_THE_IDENTITY")


@pytest.mark.req("SC.DMP/CONF.09.BIS")
async def test_a_patient_who_opposes_is_held_and_freed_by_the_withdrawal(tmp_path: Path) -> None:
    key = Personal(f"{INS_TEST_OID}|{PATIENTS[0][0]}")
    async with office(tmp_path) as practice:
        recorded = await practice.store.record_facts(of_patient(key), [opposition(True)], SECRETARY)
        order = await practice.deposit()
        other = await practice.deposit("cr-2", patient=1)
        assert order.holds == {HoldKind.OPPOSITION}
        assert order.fact_version == recorded.version
        assert other.holds == frozenset()
        await practice.store.record_facts(of_patient(key), [opposition(False)], SECRETARY)

        assert (await practice.now(order)).holds == frozenset()


@pytest.mark.req("SC.DMP/ALI/PROG.03")
async def test_a_hold_is_asked_document_by_document(tmp_path: Path) -> None:
    async with office(tmp_path) as practice:
        held = await practice.deposit("cr-1", hold=True)
        free = await practice.deposit("cr-2")

    assert held.holds == {HoldKind.PERSON}
    assert free.holds == frozenset()


@pytest.mark.req("SC.DMP/ALI/PROG.02")
async def test_the_policy_decides_the_departure_and_send_now_keeps_the_undo_minutes(tmp_path: Path) -> None:
    async with office(tmp_path) as practice:
        now = practice.clock.now()
        usual = await practice.deposit("cr-1")
        urgent = await practice.deposit("cr-2", send_now=True)

    assert usual.not_before == now + timedelta(seconds=900)
    assert urgent.not_before == urgent.undo_until == now + timedelta(seconds=120)


async def test_it_prefers_to_leave_before_the_session_ends(tmp_path: Path) -> None:
    async with office(tmp_path) as practice:
        await practice.adopt(until_s=600.0)
        order = await practice.deposit()

    assert order.not_before == practice.clock.now() + timedelta(seconds=300)


@pytest.mark.req("SC.DMP/ALI/PROG.02")
async def test_between_two_patients_the_closing_of_the_file_lets_it_leave(tmp_path: Path) -> None:
    policy = DeferralPolicy(mode=DeferralMode.BETWEEN_PATIENTS, delay_s=3600.0, undo_s=60.0)
    async with office(tmp_path, OfficeSettings(deferral=policy)) as practice, practice.at_work():
        await practice.adopt()
        order = await practice.deposit()
        await practice.reaches(order, OrderState.DEFERRED)
        assert await practice.backend.patient_context(practice.client, True, SECRETARY) == 0
        await practice.advance(61)
        assert (await practice.now(order)).state is OrderState.DEFERRED
        assert await practice.backend.patient_context(practice.client, False, SECRETARY) == 1
        await practice.reaches(order, OrderState.SENT)


@pytest.mark.parametrize("media_type", ["text/xml", "application/hl7-cda+xml", "Text/XML; charset=utf-8"])
async def test_a_ready_document_is_accepted_with_its_short_metadata(tmp_path: Path, media_type: str) -> None:
    async with office(tmp_path) as practice:
        order = await practice.deposit(
            metadata=json.dumps(metadata_samples.ready_metadata()).encode(),
            body=b"<ClinicalDocument/>",
            media_type=media_type,
        )

    assert (order.state, order.type_code) == (OrderState.PREPARING, "11488-4")
    assert order.holds == frozenset()


# The same wish


def upload(**changes: object) -> DocumentUpload:
    made = DocumentUpload(
        client_ref="cr-1",
        metadata=b'{"a": 1, "b": "\xc3\xa9"}',
        body=b"x",
        media_type="application/pdf",
        actor=SECRETARY,
    )
    return replace(made, **changes)  # type: ignore[arg-type]  # tests name the members they change


def test_spaces_and_the_order_of_members_make_no_other_wish() -> None:
    assert request_digest(upload()) == request_digest(upload(metadata=b'{"b":"\\u00e9","a":1}', idempotency_key="k"))


@pytest.mark.parametrize(
    "change",
    [
        {"metadata": b'{"a": 2, "b": "\xc3\xa9"}'},
        {"body": b"y"},
        {"media_type": "text/xml"},
        {"hold": True},
        {"send_now": True},
        {"client_ref": "cr-2"},
    ],
)
def test_anything_else_is_another_wish(change: Json) -> None:
    assert request_digest(upload()) != request_digest(upload(**change))


async def test_a_key_reused_for_another_reference_is_a_conflict_not_a_lost_document(tmp_path: Path) -> None:
    async with office(tmp_path) as practice:
        await practice.deposit("cr-1", idempotency_key="k")
        with pytest.raises(Conflict, match="IDEMPOTENCY_MISMATCH"):
            await practice.deposit("cr-2", idempotency_key="k")


async def test_the_same_request_is_one_document(tmp_path: Path) -> None:
    async with office(tmp_path) as practice:
        first = await practice.deposit(idempotency_key="k")
        again = await practice.deposit(idempotency_key="k")
        without_key = await practice.deposit()

    assert first.order_id == again.order_id == without_key.order_id
