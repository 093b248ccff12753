"""What every backend does with facts and batches, seen by a paired client on a real socket."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from vaguemestre_agent.practice.documents import INS_TEST_OID, PATIENTS
from vaguemestre_api import wire, wire_facts
from vaguemestre_api.client import Client, DocumentBody
from vaguemestre_api.client_facts import BatchEntry
from vaguemestre_api.failures import ApiProblem
from vaguemestre_api.jsontypes import JsonObject
from vaguemestre_core.records import Scope
from vaguemestre_testkit.api_harness import ApiHarness, paired
from vaguemestre_testkit.api_server import serving

DOCTOR, TYPE = "899700000012", "11488-4"
INS = wire_facts.InsIdentifier(matricule=PATIENTS[0][0], oid=INS_TEST_OID)
IDENTIFIERS = wire_facts.PatientIdentifiers(ins=INS)
SCOPES = frozenset({Scope.READ, Scope.ENQUEUE, Scope.CONTROL, Scope.IDENTITY})
OPPOSED = wire_facts.NewWish(about="feeding", granted=False)
WITHDRAWN = wire_facts.NewWish(about="feeding", granted=True)


@pytest.fixture
async def lgc(harness: ApiHarness, socket: Path) -> AsyncIterator[Client]:
    async with serving(harness.backend, socket), await paired(harness, socket, scopes=SCOPES) as client:
        yield client


async def refused(awaitable: object) -> wire.Problem:
    with pytest.raises(ApiProblem) as caught:
        await awaitable  # type: ignore[misc]
    return caught.value.problem


def document(
    harness: ApiHarness, title: str = "CR", *, episode: str | None = None, status: str = "qualifiée"
) -> DocumentBody:
    made = harness.document(title)
    metadata = json.loads(made.metadata)
    patient = metadata.setdefault("patient", {})
    patient |= {"ins": {"matricule": INS.matricule, "oid": INS.oid}, "identity_status": status}
    if episode is not None:
        metadata["episode"] = episode
    return DocumentBody(metadata=json.dumps(metadata).encode(), body=made.body, media_type=made.media_type)


def entry(reference: str, made: DocumentBody) -> BatchEntry:
    return BatchEntry(
        client_ref=reference, metadata=json.loads(made.metadata), body=made.body, media_type=made.media_type
    )


@pytest.mark.req("SC.DMP/CONF.09.BIS")
async def test_an_opposition_holds_what_waits_at_once_and_its_withdrawal_frees_it(
    lgc: Client, harness: ApiHarness
) -> None:
    waiting = (await lgc.put_document("cr-1", document(harness))).order.order_id
    recorded = await lgc.record_consents("p-1", [OPPOSED], identifiers=IDENTIFIERS)
    later = (await lgc.put_document("cr-2", document(harness, "Deux"))).order

    assert (recorded.held, recorded.freed) == ((waiting,), ())
    assert later.holds == ("opposition",)
    assert (await lgc.why(waiting)).blocking == "OPPOSITION_RECORDED"
    said = await lgc.consents("p-1")
    assert (said.feeding, said.consultation, said.mss_patient, said.mss_professionals) == (False, False, True, True)
    assert [(wish.about, wish.granted, wish.actor.user) for wish in said.wishes] == [("feeding", False, "u-17")]
    freed = await lgc.record_consents("p-1", [WITHDRAWN])
    assert freed.freed == (waiting, later.order_id)
    assert (await lgc.order(waiting)).holds == ()
    assert (await lgc.consents("p-1")).feeding


@pytest.mark.req("SC.DMP/CONF.09.BIS")
async def test_no_motive_is_taken(lgc: Client, harness: ApiHarness) -> None:
    await lgc.record_consents("p-1", [OPPOSED], identifiers=IDENTIFIERS)
    before = await harness.fingerprint()
    bodies: tuple[JsonObject, ...] = (
        {"wishes": [{"about": "feeding", "granted": True, "motive": "legitimate"}]},
        {"wishes": [{"about": "feeding", "granted": True}], "motive": "legitimate"},
    )
    for body in bodies:
        path = {"patient_ref": "p-1"}
        problem = await refused(lgc._read("recordConsents", wire_facts.FactsRecorded, path=path, body=body))
        assert problem.code == "REQUEST_INVALID"
        assert [item.code for item in problem.errors] == ["SCHEMA_ADDITIONALPROPERTIES"]
    assert await harness.fingerprint() == before


async def test_a_wish_for_one_episode_touches_that_episode(lgc: Client, harness: ApiHarness) -> None:
    inside = (await lgc.put_document("cr-1", document(harness, "Un", episode="e-1"))).order.order_id
    outside = (await lgc.put_document("cr-2", document(harness, "Deux", episode="e-2"))).order.order_id
    wish = wire_facts.NewWish(about="feeding", granted=False, episode="e-1")
    recorded = await lgc.record_consents("p-1", [wish], identifiers=IDENTIFIERS)

    assert recorded.held == (inside,)
    assert (await lgc.order(outside)).holds == ()
    assert not (await lgc.consents("p-1", episode="e-1")).feeding
    assert (await lgc.consents("p-1", episode="e-2")).feeding


async def test_consultation_needs_a_consent_that_covers_the_episode(lgc: Client) -> None:
    consent = wire_facts.NewWish(about="consultation", granted=True, episode="e-1")
    await lgc.record_consents("p-1", [consent], identifiers=IDENTIFIERS)

    assert (await lgc.consents("p-1", episode="e-1")).consultation
    assert not (await lgc.consents("p-1", episode="e-2")).consultation
    assert not (await lgc.consents("p-1")).consultation


async def test_a_reference_belongs_to_its_client_and_needs_an_identifier_once(
    lgc: Client, harness: ApiHarness, socket: Path
) -> None:
    assert (await refused(lgc.record_consents("p-1", [OPPOSED]))).code == "PATIENT_REFERENCE_UNKNOWN"
    await lgc.record_consents("p-1", [OPPOSED], identifiers=IDENTIFIERS)
    twice = await refused(lgc.record_consents("p-1", [OPPOSED, WITHDRAWN]))
    assert twice.code == "WISHES_CONTRADICTORY"
    async with await paired(harness, socket, name="Autre LGC", scopes=SCOPES) as other:
        assert (await refused(other.consents("p-1"))).status == 404
        # The patient is the same one under whichever reference.
        await other.record_consents("x", [WITHDRAWN], identifiers=IDENTIFIERS)
    assert (await lgc.consents("p-1")).feeding


async def test_identifiers_that_are_none_are_refused_without_showing_them(lgc: Client) -> None:
    wrong = wire_facts.InsIdentifier(matricule="255069999999999", oid=INS_TEST_OID)
    problem = await refused(lgc.record_consents("p-1", [OPPOSED], identifiers=wire_facts.PatientIdentifiers(ins=wrong)))
    assert (problem.code, [item.pointer for item in problem.errors]) == ("INS_INVALID", ["/identifiers/ins"])
    assert "255069999999999" not in repr(problem)
    assert "255069999999999" not in repr(wrong)


@pytest.mark.parametrize("event", ["trait_changed", "matricule_changed", "merged"])
async def test_a_change_of_identity_holds_what_waits_and_names_what_was_sent(
    lgc: Client, harness: ApiHarness, event: str
) -> None:
    sent = (await lgc.put_document("cr-1", document(harness, "Un"))).order.order_id
    await harness.make_sent(sent)
    waiting = (await lgc.put_document("cr-2", document(harness, "Deux"))).order.order_id
    other = wire_facts.PatientIdentifiers(local_id=wire_facts.LocalIdentifier(value="42", oid="1.2.250.1.999.9"))
    request = wire_facts.IdentityEventRequest(event=event, identifiers=IDENTIFIERS, former=other)
    recorded = await lgc.record_identity_event("p-1", request)

    assert recorded.held == (waiting,)
    assert [(item.client_ref, item.state) for item in recorded.deletions] == [("cr-1", "sent")]
    assert (await lgc.order(waiting)).holds == ("identity",)
    assert (await lgc.why(waiting)).blocking in {"IDENTITY_CHANGED", "INS_NOT_QUALIFIED"}
    assert (await lgc.order(sent)).state == "sent"
    # Deposited again, with the identity of now, it may leave.
    assert (await lgc.put_document("cr-2", document(harness, "Deux bis"))).order.holds == ()


async def test_an_event_that_lacks_a_part_is_refused(lgc: Client) -> None:
    for event in ("merged", "status_changed"):
        request = wire_facts.IdentityEventRequest(event=event, identifiers=IDENTIFIERS)
        assert (await refused(lgc.record_identity_event("p-1", request))).code == "IDENTITY_EVENT_INCOMPLETE"


async def test_a_status_that_goes_down_holds_what_waits_until_it_is_back(lgc: Client, harness: ApiHarness) -> None:
    waiting = (await lgc.put_document("cr-1", document(harness))).order.order_id
    down = wire_facts.IdentityEventRequest(event="status_changed", identifiers=IDENTIFIERS, identity_status="récupérée")
    assert (await lgc.record_identity_event("p-1", down)).held == (waiting,)
    back = wire_facts.IdentityEventRequest(event="status_changed", identity_status="qualifiée")
    assert (await lgc.record_identity_event("p-1", back)).freed == (waiting,)


async def test_a_delegation_is_shown_and_its_withdrawal_holds_what_was_accepted_under_it(
    lgc: Client, harness: ApiHarness
) -> None:
    waiting = (await lgc.put_document("cr-1", document(harness))).order
    station = harness.station
    request = wire_facts.DelegationRequest(professional=waiting.professional, station=station, granted=False)
    assert (await lgc.delegate(request)).held == (waiting.order_id,)
    [told] = await lgc.delegations(waiting.professional)
    assert (told.station, told.type_code, told.granted, told.actor.user) == (station, None, False, "u-17")
    again = wire_facts.DelegationRequest(
        professional=waiting.professional, station=station, granted=True, type_code=waiting.type_code
    )
    assert (await lgc.delegate(again)).freed == (waiting.order_id,)


async def test_identity_has_its_own_scope(lgc: Client, harness: ApiHarness, socket: Path) -> None:
    scopes = frozenset({Scope.READ, Scope.ENQUEUE, Scope.CONTROL})
    async with await paired(harness, socket, scopes=scopes, name="Sans identité") as client:
        request = wire_facts.IdentityEventRequest(event="trait_changed", identifiers=IDENTIFIERS)
        for work in (
            client.record_consents("p-1", [OPPOSED], identifiers=IDENTIFIERS),
            client.record_identity_event("p-1", request),
            client.consents("p-1"),
        ):
            assert (await refused(work)).code == "SCOPE_MISSING"
        assert await client.delegations(DOCTOR) == ()


async def test_another_clients_orders_are_held_and_not_shown(lgc: Client, harness: ApiHarness, socket: Path) -> None:
    mine = (await lgc.put_document("cr-1", document(harness))).order.order_id
    async with await paired(harness, socket, name="Autre LGC", scopes=SCOPES) as other:
        recorded = await other.record_consents("x", [OPPOSED], identifiers=IDENTIFIERS)
        assert recorded.held == ()
    assert (await lgc.order(mine)).holds == ("opposition",)


# Documents of earlier episodes


@pytest.mark.req("SC.DMP/HISTO.05")
async def test_documents_of_earlier_episodes_are_accepted_each_and_replayed(lgc: Client, harness: ApiHarness) -> None:
    batch = [entry(f"h-{number}", document(harness, f"Ancien {number}")) for number in range(3)]
    first = await lgc.put_documents(batch)
    again = await lgc.put_documents(batch)

    assert [outcome.client_ref for outcome in first] == ["h-0", "h-1", "h-2"]
    accepted = [outcome.accepted for outcome in first if outcome.accepted is not None]
    assert [item.replayed for item in accepted] == [False] * 3
    assert [outcome.accepted.replayed for outcome in again if outcome.accepted is not None] == [True] * 3
    assert len((await lgc.orders()).orders) == 3


@pytest.mark.req("SC.DMP/HISTO.05")
async def test_an_ins_that_is_not_qualifiee_lets_none_in(lgc: Client, harness: ApiHarness) -> None:
    before = await harness.fingerprint()
    batch = [entry("h-0", document(harness, "Un")), entry("h-1", document(harness, "Deux", status="récupérée"))]
    problem = await refused(lgc.put_documents(batch))

    assert (problem.status, problem.code) == (409, "INS_NOT_QUALIFIED")
    assert [item.pointer.split("/")[2] for item in problem.errors] == ["1"]
    assert await harness.fingerprint() == before
    assert (await lgc.orders()).orders == ()


async def test_one_refusal_leaves_the_others_in(lgc: Client, harness: ApiHarness) -> None:
    empty = BatchEntry(
        client_ref="h-1", metadata=json.loads(document(harness).metadata), body=b"", media_type="application/pdf"
    )
    outcomes = await lgc.put_documents([entry("h-0", document(harness)), empty])

    assert outcomes[0].accepted is not None
    assert outcomes[1].accepted is None
    assert outcomes[1].refused is not None
    assert outcomes[1].refused.code == "BODY_EMPTY"
    assert outcomes[1].refused.title


async def test_a_batch_that_is_wrongly_made_changes_nothing(lgc: Client, harness: ApiHarness) -> None:
    before = await harness.fingerprint()
    twice = [entry("h-0", document(harness)), entry("h-0", document(harness, "Deux"))]
    assert (await refused(lgc.put_documents(twice))).code == "BATCH_REFERENCE_TWICE"
    many = [entry(f"h-{number}", document(harness)) for number in range(21)]
    assert (await refused(lgc.put_documents(many))).code == "REQUEST_INVALID"
    assert (await refused(lgc.put_documents([entry("h-0", document(harness))], hold=True, send_now=True))).code == (
        "OPTIONS_CONTRADICTORY"
    )
    assert await harness.fingerprint() == before
