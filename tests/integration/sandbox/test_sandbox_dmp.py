"""The simulated DMP accepts what is right and refuses each thing that is wrong, with its own code."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import httpx
import pytest

from vaguemestre_sandbox.sandbox import Sandbox
from vaguemestre_sandboxkit import messages
from vaguemestre_sandboxkit.client import SUCCESS, TD02, TD21, TD31, TD32, Answer, Caller
from vaguemestre_sandboxkit.messages import Sample

SAMPLE = Sample(unique_id="1.2.250.1.999.7.1")
METADATA = "XDSRegistryMetadataError"


@pytest.fixture(autouse=True)
async def connected(caller: Caller) -> None:
    assert (await caller.connect()).status_code == 200


async def profile(caller: Caller, **members: object) -> None:
    assert (await caller.inspect.patch("/api/profile", json=members)).status_code == 200


async def find_documents(caller: Caller, **more: str) -> Answer:
    return await caller.soap(
        "registry",
        TD31,
        messages.stored_query(
            messages.FIND_DOCUMENTS,
            {
                "$XDSDocumentEntryPatientId": f"'{messages.PATIENT}^^^&{messages.OID}&ISO^NH'",
                "$XDSDocumentEntryStatus": "('urn:oasis:names:tc:ebxml-regrep:StatusType:Approved')",
                **more,
            },
        ),
    )


async def test_a_good_document_is_stored_found_and_given_back(caller: Caller, sandbox: Sandbox) -> None:
    answer = await caller.feed(SAMPLE)
    assert (answer.http, answer.status, answer.codes) == (200, SUCCESS, [])
    held = sandbox.store.document(SAMPLE.unique_id)
    assert held is not None
    assert held.content == messages.cda(SAMPLE)

    found = await caller.lookup(SAMPLE.unique_id)
    assert (found.status, found.count) == (SUCCESS, 1)
    assert hashlib.sha1(held.content).hexdigest() in found.body.decode()
    assert held.entry_uuid in found.body.decode()

    given = await caller.soap("repository", TD32, messages.retrieve(SAMPLE.unique_id))
    assert given.content_type.startswith("multipart/related")
    assert held.content in given.body
    assert b"Success" in given.body

    verdict = (await caller.inspect.get("/api/verdict")).json()
    assert (verdict["complete_bodies"], verdict["sent_twice"], verdict["held"]) == (1, 0, 1)


@pytest.mark.parametrize(
    ("matricule", "expected"),
    [
        ("226027505612368", ['queryResponseCode code="OK"', 'code="VALIDE"', 'statusCode code="active"']),
        ("279036912305770", ['queryResponseCode code="OK"', 'code="INEXISTANTE"']),
        ("155061305510102", ['queryResponseCode code="OK"', 'statusCode code="terminated"']),
        ("212129201200847", ['queryResponseCode code="NF"']),
        ("199999999999934", ['queryResponseCode code="NF"']),
    ],
)
async def test_existence(caller: Caller, matricule: str, expected: list[str]) -> None:
    security = caller.security(patient=f"{matricule}^^^&{messages.OID}&ISO^NH")
    answer = await caller.soap("patients", TD02, messages.existence_query(matricule), security=security)
    text = answer.body.decode()
    assert answer.http == 200
    for part in (*expected, "q-1"):
        assert part in text
    assert ("COMPTE_INTERNET_OUVERT" in text and "RATTACHEMENT_ENS" in text) == ("OK" in expected[0])


async def test_existence_about_another_patient_than_the_vihf_is_a_fault(caller: Caller) -> None:
    answer = await caller.soap("patients", TD02, messages.existence_query("185037505604240"))
    assert answer.http == 500
    assert b"resource-id" in answer.body


@pytest.mark.parametrize("same", [True, False])
async def test_a_known_unique_id_is_refused_whatever_its_content(caller: Caller, same: bool) -> None:
    await caller.feed(SAMPLE)
    again = replace(SAMPLE, lot_id="1.2.250.1.999.7.99", title=SAMPLE.title if same else "Autre")
    answer = await caller.feed(again)
    assert answer.codes == ["XDSDuplicateUniqueIdInRegistry"]
    verdict = (await caller.inspect.get("/api/verdict")).json()
    assert (verdict["complete_bodies"], verdict["sent_twice"], verdict["stored"]) == (2, 1, 1)


@pytest.mark.parametrize(
    ("matricule", "code"),
    [
        ("212129201200847", "XDSUnknownPatientId"),
        ("199999999999934", "XDSUnknownPatientId"),
        ("155061305510102", "DMPClosed"),
    ],
)
async def test_no_dmp_no_document(caller: Caller, matricule: str, code: str) -> None:
    assert (await caller.feed(replace(SAMPLE, matricule=matricule))).codes == [code]


async def test_a_dmp_closed_then_opened_again(caller: Caller) -> None:
    url = f"/api/patients/{messages.PATIENT}"
    await caller.inspect.put(url, json={"dmp": "closed"})
    assert (await caller.feed(SAMPLE)).codes == ["DMPClosed"]
    await caller.inspect.put(url, json={"dmp": "open"})
    assert (await caller.feed(SAMPLE)).status == SUCCESS


SPOILED: dict[str, tuple[str, Callable[[str], str]]] = {
    "unique id": ("uniqueId", lambda text: text.replace('value="1.2.250.1.999.7.1"', 'value="1.2.250.1.999.7.5"')),
    "title": ("title", lambda text: text.replace("CR d&#x27;examen de l&#x27;enfant", "Autre titre")),
    "time": ("creationTime", lambda text: text.replace("20261123091500", "20261123101500")),
    "start": ("serviceStartTime", lambda text: text.replace("20261123090000", "20261123")),
    "type": ("typeCode", lambda text: text.replace('"59283-2"', '"11488-4"')),
    "class": ("classCode", lambda text: text.replace('nodeRepresentation="10"', 'nodeRepresentation="11"')),
    "format": ("formatCode", lambda text: text.replace("xds-sd:pdf:2008", "xds-sd:text:2008")),
    "facility": ("healthcareFacilityTypeCode", lambda text: text.replace('"SA07"', '"SA01"')),
    "practice": ("practiceSettingCode", lambda text: text.replace('"AMBULATOIRE"', '"ETABLISSEMENT"')),
    "author": ("authorPerson", lambda text: text.replace("^ESSAI^Alix^", "^ESSAI^Alex^")),
    "institution": ("authorInstitution", lambda text: text.replace("^^^499700000012003", "^^^499700000012004")),
    "patient": ("PID-5", lambda text: text.replace("PID-5|EXEMPLE", "PID-5|AUTRE")),
    "birth": ("PID-7", lambda text: text.replace("PID-7|20260218", "PID-7|20260219")),
    "sex": ("PID-8", lambda text: text.replace("PID-8|F", "PID-8|M")),
    "source patient": ("sourcePatientId", lambda text: text.replace("P-000042^^^", "P-000043^^^")),
    "language": ("languageCode", lambda text: text.replace(">fr-FR<", ">en-US<")),
    "member": ("HasMember", lambda text: text.replace("AssociationType:HasMember", "AssociationType:Other")),
    "signs": ("signs", lambda text: text.replace("AssociationType:signs", "AssociationType:APND")),
    "content type": ("contentTypeCode", lambda text: text.replace("1.2.250.1.213.2.2<", "1.2.3<")),
    "source": ("sourceId", lambda text: text.replace('value="1.2.250.1.999.1.1"', 'value="urn:x"')),
    "classified": ("classified", lambda text: text.replace("a54d6aa5", "a54d6aa6")),
    "submission time": ("submissionTime", lambda text: text.replace("20261123120000", "20261123")),
    "leading zero": (
        "OID",
        lambda text: text.replace('value="1.2.250.1.999.7.1"', 'value="1.2.250.1.999.07.1"'),
    ),
}


@pytest.mark.parametrize("name", SPOILED)
async def test_metadata_that_disagree_are_refused(caller: Caller, name: str) -> None:
    word, spoil = SPOILED[name]
    metadata = spoil(messages.lot(SAMPLE))
    assert metadata != messages.lot(replace(SAMPLE))
    answer = await caller.feed(SAMPLE, metadata=metadata)
    assert answer.codes
    assert set(answer.codes) == {METADATA}
    assert word in answer.contexts
    assert caller.sandbox.store.documents() == ()


CDA_FAULTS = {
    "root and extension": (b'<id root="1.2.250.1.999.7.1"/>', b'<id root="1.2.250.1.999.7.1" extension="1"/>', "ex"),
    "no ins": (b'root="1.2.250.1.213.1.4.10"', b'root="1.2.250.1.999.1.9"', "matricule INS"),
    "other patient": (messages.PATIENT.encode(), b"185037505604240", "matricule INS of the CDA"),
    "visibility in the cda": (
        b'code="N" displayName="Normal" codeSystem="2.16.840.1.113883.5.25"',
        b'code="INVISIBLE_PATIENT" codeSystem="1.2.250.1.213.1.1.4.13"',
        "visibility codes exist only in metadata",
    ),
    "unknown type": (b'code="59283-2"', b'code="00000-0"', "table of document types"),
    "no legal authenticator": (b"legalAuthenticator", b"authenticator", "legalAuthenticator is missing"),
    "no set id": (b"<setId", b"<otherId", "setId"),
}


@pytest.mark.parametrize("name", CDA_FAULTS)
async def test_a_cda_that_breaks_a_rule_is_refused(caller: Caller, name: str) -> None:
    old, new, word = CDA_FAULTS[name]
    document = messages.cda(SAMPLE).replace(old, new)
    assert document != messages.cda(SAMPLE)
    answer = await caller.feed(SAMPLE, document=document)
    assert set(answer.codes) == {METADATA}
    assert word in answer.contexts


async def test_an_unreadable_cda_is_refused(caller: Caller) -> None:
    answer = await caller.feed(SAMPLE, document=b"<ClinicalDocument")
    assert answer.codes == ["XDSRepositoryMetadataError"]


@pytest.mark.parametrize(
    ("masks", "accepted"),
    [
        (("INVISIBLE_PATIENT",), True),
        (("MASQUE_PS", "INVISIBLE_REPRESENTANTS_LEGAUX"), True),
        (("INVISIBLE_PATIENT", "MASQUE_PS"), False),
        (("INVISIBLE_REP_LEGAUX",), False),
        (("MASQUE_PS", "MASQUE_PS"), False),
    ],
)
async def test_visibility_codes(caller: Caller, masks: tuple[str, ...], accepted: bool) -> None:
    answer = await caller.feed(replace(SAMPLE, masks=masks))
    assert (answer.status == SUCCESS) is accepted
    assert answer.codes == [] if accepted else METADATA in answer.codes


async def test_hash_and_size_are_checked_and_may_be_required(caller: Caller) -> None:
    await profile(caller, hash_required=True)
    assert (await caller.feed(SAMPLE)).codes == ["XDSRepositoryMetadataError"]
    content = messages.cda(SAMPLE)
    good = messages.slot("hash", hashlib.sha1(content).hexdigest()) + messages.slot("size", str(len(content)))
    here = '<Slot name="creationTime">'
    bad = messages.lot(SAMPLE).replace(here, messages.slot("hash", "0" * 40) + messages.slot("size", "1") + here, 1)
    assert (await caller.feed(SAMPLE, metadata=bad)).codes == ["XDSRepositoryMetadataError"] * 2
    right = messages.lot(SAMPLE).replace(here, good + here, 1)
    assert (await caller.feed(SAMPLE, metadata=right)).status == SUCCESS


@pytest.mark.parametrize("case", ["missing", "other document", "other lot", "tampered", "garbage"])
async def test_the_signature_of_the_lot_is_verified(caller: Caller, case: str) -> None:
    content = messages.cda(SAMPLE)
    signature = {
        "missing": b"",
        "other document": caller.signer.sign_lot(SAMPLE.submission_id, {SAMPLE.unique_id: content + b" "}),
        "other lot": caller.signer.sign_lot("1.2.3", {SAMPLE.unique_id: content}),
        "tampered": caller.signer.sign_lot(SAMPLE.submission_id, {SAMPLE.unique_id: content}).replace(
            b"10065.1.12.1.14", b"10065.1.12.1.15"
        ),
        "garbage": b"<x/>",
    }[case]
    answer = await caller.feed(SAMPLE, signed=case != "missing", signature=signature or None)
    assert answer.codes == [METADATA if case == "missing" else "XDSRepositoryMetadataError"]
    await profile(caller, lot_signature_required=False)
    unsigned = await caller.feed(replace(SAMPLE, lot_id="1.2.250.1.999.7.98"), signed=False)
    assert unsigned.status == SUCCESS


@pytest.mark.parametrize(
    ("case", "subcode"),
    [
        ("absent", "InvalidSecurity"),
        ("unsigned", "FailedCheck"),
        ("tampered", "FailedCheck"),
        ("expired", "MessageExpired"),
        ("future", "MessageExpired"),
        ("version", "InvalidSecurityToken"),
        ("attribute", "InvalidSecurityToken"),
        ("issuer", "FailedCheck"),
        ("other professional", "FailedAuthentication"),
        ("mode", "InvalidSecurityToken"),
    ],
)
async def test_a_bad_vihf_is_a_fault(caller: Caller, case: str, subcode: str) -> None:
    now = caller.sandbox.clock.now()
    make = messages.assertion
    texts = {
        "absent": "",
        "unsigned": caller.security(signed=False),
        "tampered": caller.security().replace("ESSAI-1", "ESSAI-2"),
        "expired": caller.security(now=now - timedelta(minutes=20)),
        "future": caller.security(now=now + timedelta(minutes=20)),
        "version": caller.signer.sign_assertion(make(issuer=caller.issuer, now=now, version="2.0")),
        "attribute": caller.signer.sign_assertion(make(issuer=caller.issuer, now=now, without="LPS_Nom")),
        "issuer": caller.signer.sign_assertion(make(issuer="CN=AUTRE,O=AUTRE,C=FR", now=now)),
        "other professional": caller.signer.sign_assertion(make(issuer=caller.issuer, now=now, name_id="899700000020")),
        "mode": caller.signer.sign_assertion(make(issuer=caller.issuer, now=now, mode="AUTRE")),
    }
    answer = await caller.feed(SAMPLE, security=texts[case])
    assert (answer.http, answer.subcode) == (500, subcode)
    assert caller.sandbox.store.documents() == ()


async def test_the_vihf_must_name_the_patient_of_the_lot(caller: Caller) -> None:
    other = caller.security(patient=f"185037505604240^^^&{messages.OID}&ISO^NH")
    assert (await caller.feed(SAMPLE, security=other)).codes == ["XDSPatientIdDoesNotMatch"]


async def test_an_unsigned_vihf_passes_when_the_profile_says_so_and_serves_once(caller: Caller) -> None:
    await profile(caller, vihf_signature_required=False, assertion_once=True)
    security = caller.security(signed=False)
    assert (await caller.feed(SAMPLE, security=security)).status == SUCCESS
    again = await caller.feed(replace(SAMPLE, unique_id="1.2.250.1.999.7.2"), security=security)
    assert again.subcode == "InvalidSecurityToken"


@pytest.mark.parametrize("case", ["content type", "soap 1.1", "no action", "other action", "no boundary", "cut mime"])
async def test_a_message_that_is_not_soap_is_a_fault(caller: Caller, case: str) -> None:
    content_type, body = caller.feeding(SAMPLE)
    match case:
        case "content type":
            content_type = "text/xml"
        case "soap 1.1":
            body = body.replace(
                b"http://www.w3.org/2003/05/soap-envelope", b"http://schemas.xmlsoap.org/soap/envelope/"
            )
        case "no action":
            body = body.replace(b"a:Action", b"a:Other")
        case "other action":
            body = body.replace(TD21.encode() + b"</a:Action>", b"urn:autre</a:Action>")
        case "no boundary":
            content_type = content_type.partition("; boundary")[0]
        case _:
            body = body[:-30]
    answer = await caller.post("repository", content_type, body)
    assert answer.http == 500
    assert b"soap:Fault" in answer.body
    assert caller.sandbox.ledger.verdict().complete_bodies == 1


async def test_a_new_version_replaces_the_old_one(caller: Caller) -> None:
    await caller.feed(SAMPLE)
    old = caller.sandbox.store.document(SAMPLE.unique_id)
    assert old is not None
    second = replace(
        SAMPLE, unique_id="1.2.250.1.999.7.2", version="2", replaces=SAMPLE.unique_id, replaces_entry=old.entry_uuid
    )
    assert (await caller.feed(replace(second, replaces_entry=""))).codes == [METADATA]
    unknown = replace(second, replaces_entry="urn:uuid:00000000-0000-0000-0000-000000000000")
    assert (await caller.feed(unknown)).codes == ["UnresolvedReferenceException"]
    assert (await caller.feed(second)).status == SUCCESS
    third = replace(second, unique_id="1.2.250.1.999.7.3", version="3")
    assert (await caller.feed(third)).codes == ["XDSRegistryDeprecatedDocumentError"]
    found = await find_documents(caller)
    assert found.count == 1


async def test_searches(caller: Caller) -> None:
    await caller.feed(SAMPLE)
    assert (await find_documents(caller)).count == 1
    hit = await find_documents(caller, **{"$XDSDocumentEntryTypeCode": "('59283-2^^2.16.840.1.113883.6.1')"})
    miss = await find_documents(caller, **{"$XDSDocumentEntryCreationTimeFrom": "20270101"})
    assert (hit.count, miss.count) == (1, 0)
    reference = messages.stored_query(
        messages.GET_DOCUMENTS,
        {"$XDSDocumentEntryUniqueId": f"('{SAMPLE.unique_id}')"},
        return_type="ObjectRef",
    )
    answer = await caller.soap("registry", TD31, reference)
    assert b"ObjectRef" in answer.body
    assert b"ExtrinsicObject" not in answer.body
    sets = messages.stored_query(
        messages.FIND_SUBMISSION_SETS,
        {
            "$XDSSubmissionSetPatientId": f"'{messages.PATIENT}^^^&{messages.OID}&ISO^NH'",
            "$XDSSubmissionSetStatus": "('urn:oasis:names:tc:ebxml-regrep:StatusType:Approved')",
        },
    )
    assert (await caller.soap("registry", TD31, sets)).count == 1
    for query, code in (
        (messages.stored_query("urn:uuid:0", {}), "XDSUnknownStoredQuery"),
        (messages.stored_query(messages.GET_DOCUMENTS, {}), "XDSStoredQueryMissingParam"),
        (
            messages.stored_query(
                messages.GET_DOCUMENTS,
                {"$XDSDocumentEntryUniqueId": "('1')", "$XDSDocumentEntryEntryUUID": "('2')"},
            ),
            "XDSStoredQueryParamNumber",
        ),
    ):
        assert (await caller.soap("registry", TD31, query)).codes == [code]


async def test_consulting_needs_an_authorization_and_looking_up_a_reference_does_not(caller: Caller) -> None:
    await caller.feed(SAMPLE)
    await caller.inspect.put(f"/api/patients/{messages.PATIENT}", json={"authorization": "INEXISTANTE"})
    assert (await find_documents(caller)).codes == ["DMPAccessDenied"]
    assert (await caller.soap("repository", TD32, messages.retrieve(SAMPLE.unique_id))).codes == ["DMPAccessDenied"]
    assert (await caller.lookup(SAMPLE.unique_id)).count == 1


async def test_documents_that_cannot_be_given(caller: Caller) -> None:
    assert (await caller.soap("repository", TD32, messages.retrieve("1.2.3"))).codes == ["XDSDocumentUniqueIdError"]
    other = await caller.soap("repository", TD32, messages.retrieve("1.2.3", "9.9"))
    assert other.codes == ["XDSUnknownRepositoryId"]


async def test_the_backend_wants_a_certificate_and_a_token(sandbox: Sandbox, caller: Caller) -> None:
    content_type, body = caller.feeding(SAMPLE)
    url = sandbox.addresses.dmp_services + "/repository"
    headers = {"Content-Type": content_type}
    async with httpx.AsyncClient(verify=sandbox.pki.client_context(None), trust_env=False) as nobody:
        with pytest.raises(httpx.TransportError):
            await nobody.post(url, content=body, headers=headers)
    proxy_context = sandbox.pki.client_context(sandbox.pki.proxy_client)
    async with httpx.AsyncClient(verify=proxy_context, trust_env=False) as no_token:
        assert (await no_token.post(url, content=body, headers=headers)).status_code == 401
        headers["Authorization"] = "Bearer faux"
        assert (await no_token.post(url, content=body, headers=headers)).status_code == 401
    assert sandbox.ledger.verdict().complete_bodies == 0
    del headers["Authorization"]
    direct_context = sandbox.pki.client_context(sandbox.pki.structure_client)
    async with httpx.AsyncClient(verify=direct_context, trust_env=False) as direct:
        answer = await direct.post(url, content=body, headers=headers)
    assert b"ResponseStatusType:Success" in answer.content
    assert sandbox.ledger.verdict().complete_bodies == 1
