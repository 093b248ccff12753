"""Guards of the simulated DMP that a spoiled message of the usual kind does not reach."""

from __future__ import annotations

from dataclasses import replace

import httpx
import pytest
from lxml import etree

from vaguemestre_sandbox.dmp import BASE_PATH
from vaguemestre_sandboxkit import messages
from vaguemestre_sandboxkit.client import SUCCESS, TD02, TD32, Caller
from vaguemestre_sandboxkit.messages import Sample

SAMPLE = Sample(unique_id="1.2.250.1.999.11.1")
OTHER = f"185037505604240^^^&{messages.OID}&ISO^NH"
SAML = "{urn:oasis:names:tc:SAML:2.0:assertion}"
DSIG = "{http://www.w3.org/2000/09/xmldsig#}"


@pytest.fixture(autouse=True)
async def connected(caller: Caller) -> None:
    assert (await caller.connect()).status_code == 200


async def test_a_signature_wrapped_around_another_assertion_is_refused(caller: Caller) -> None:
    signed = etree.fromstring(caller.security())
    signature = signed.find(DSIG + "Signature")
    assert signature is not None
    signed.remove(signature)
    forged = etree.fromstring(caller.security(signed=False))
    forged.insert(1, signature)
    etree.SubElement(forged, SAML + "Advice").append(signed)
    text = etree.tostring(forged, encoding="unicode")
    answer = await caller.feed(SAMPLE, security=text)
    assert (answer.http, answer.subcode) == (500, "FailedCheck")
    assert b"does not cover the assertion" in answer.body


async def test_the_matricule_must_be_the_first_identifier_of_the_patient(caller: Caller) -> None:
    ins = f'<id root="{messages.OID}" extension="{messages.PATIENT}"/>'.encode()
    local = b'<id root="1.2.250.1.999.1.1.1" extension="P-000042"/>'
    document = messages.cda(SAMPLE).replace(local, b"@").replace(ins, local).replace(b"@", ins)
    answer = await caller.feed(SAMPLE, document=document)
    assert answer.codes == ["XDSRegistryMetadataError"]
    assert "not the first identifier" in answer.contexts


@pytest.mark.parametrize(("mode", "accepted"), [("INDIRECTE", False), ("DIRECTE", True)])
async def test_in_indirect_mode_the_author_belongs_to_the_structure_of_the_vihf(
    caller: Caller, mode: str, accepted: bool
) -> None:
    text = messages.assertion(issuer=caller.issuer, now=caller.sandbox.clock.now(), mode=mode)
    security = caller.signer.sign_assertion(text.replace(f">{messages.STRUCTURE}<", ">499700000038001<"))
    answer = await caller.feed(SAMPLE, security=security)
    assert (answer.status == SUCCESS) is accepted
    assert ("structure of the VIHF" in answer.contexts) is not accepted


async def test_a_token_is_worth_nothing_over_another_certificate_nor_after_its_end(caller: Caller) -> None:
    sandbox = caller.sandbox
    url = sandbox.addresses.dmp_services.removesuffix(BASE_PATH) + BASE_PATH + "/patients"
    token = sandbox.proxy.sessions()[0].api_token

    async def call(client: httpx.AsyncClient) -> int:
        body = messages.envelope(TD02, caller.security(), messages.existence_query())
        headers = {"Content-Type": "application/soap+xml", "Authorization": f"Bearer {token}"}
        return (await client.post(url, content=body, headers=headers)).status_code

    own = sandbox.pki.client_context(sandbox.pki.proxy_client)
    other = sandbox.pki.client_context(sandbox.pki.structure_client)
    async with (
        httpx.AsyncClient(verify=own, trust_env=False) as proxy,
        httpx.AsyncClient(verify=other, trust_env=False) as thief,
    ):
        assert await call(proxy) == 200
        assert await call(thief) == 401
        sandbox.clock.advance(14401)
        assert await call(proxy) == 401


async def test_another_patient_s_document_is_neither_found_nor_given(caller: Caller) -> None:
    await caller.feed(SAMPLE)
    security = caller.security(patient=OTHER)
    query = messages.stored_query(messages.GET_DOCUMENTS, {"$XDSDocumentEntryUniqueId": f"('{SAMPLE.unique_id}')"})
    found = await caller.soap("registry", "urn:ihe:iti:2007:RegistryStoredQuery", query, security=security)
    assert found.codes == ["XDSPatientIdDoesNotMatch"]
    assert caller.sandbox.ledger.answers() == ()
    given = await caller.soap("repository", TD32, messages.retrieve(SAMPLE.unique_id), security=security)
    assert given.codes == ["XDSDocumentUniqueIdError"]


async def test_a_body_past_the_limit_is_refused_and_never_reaches_the_registry(caller: Caller) -> None:
    await caller.inspect.patch("/api/profile", json={"max_body_bytes": 5000})
    assert (await caller.feed(SAMPLE)).http == 413
    assert caller.sandbox.store.documents() == ()
    await caller.inspect.patch("/api/profile", json={"max_body_bytes": 500000})
    assert (await caller.feed(replace(SAMPLE, lot_id="1.2.250.1.999.11.9"))).status == SUCCESS


async def test_only_anonymous_replies_are_served(caller: Caller) -> None:
    body = messages.envelope(TD02, caller.security(), messages.existence_query())
    elsewhere = body.replace(b"addressing/anonymous</a:Address>", b"addressing/other</a:Address>")
    assert elsewhere != body
    answer = await caller.post("patients", "application/soap+xml", elsewhere)
    assert (answer.http, answer.subcode) == (500, "OnlyAnonymousAddressSupported")
