"""The messages: VIHF and its signature, MTOM read by an independent parser, a resend identical but for the VIHF."""

from __future__ import annotations

import asyncio
import datetime as dt
import email
import email.policy
import logging
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

import pytest
from cryptography import x509
from lxml import etree
from signxml.algorithms import DigestAlgorithm, SignatureMethod
from signxml.verifier import SignatureConfiguration, XMLVerifier

from vaguemestre_agent.adapters.dmp.adapter import DmpEndpoint, EsanteDmp
from vaguemestre_agent.adapters.dmp.caller import caller_of, components
from vaguemestre_agent.adapters.dmp.mtom import Part, build_package, root_part
from vaguemestre_agent.adapters.dmp.vihf import build_vihf, roles_of
from vaguemestre_agent.adapters.http import TlsFiles
from vaguemestre_agent.adapters.signing.software import SoftwareSigner
from vaguemestre_agent.profiles.loader import shipped_profile
from vaguemestre_agent.profiles.model import AuthenticationMode, VihfProfile
from vaguemestre_core.contacts import CodedConcept
from vaguemestre_core.errors import InvalidInput, UnexpectedError
from vaguemestre_core.outcomes import Certainty, Presence
from vaguemestre_core.signing import SignatureAlgorithm
from vaguemestre_documents.prepared import PreparedDocument
from vaguemestre_drivers.cps.signing import require_signed_info
from vaguemestre_testkit import cda_samples
from vaguemestre_testkit.sendings import (
    DOCTOR,
    PRODUCT,
    SeededChance,
    SystemTime,
    frozen_ids,
    prepared,
    sending_context,
)
from vaguemestre_testkit.tls_server import TestPki, answer, read_request, tls_server

PROFILE = shipped_profile("sandbox")
NOW = dt.datetime(2026, 11, 24, 9, 0, 0, 123456, tzinfo=dt.UTC)
ENTRY = PreparedDocument.from_bytes(prepared()).entry
NS = {
    "s": "http://www.w3.org/2003/05/soap-envelope",
    "a": "http://www.w3.org/2005/08/addressing",
    "saml": "urn:oasis:names:tc:SAML:2.0:assertion",
    "ds": "http://www.w3.org/2000/09/xmldsig#",
    "hl7": "urn:hl7-org:v3",
    "xdsb": "urn:ihe:iti:xds-b:2007",
    "xop": "http://www.w3.org/2004/08/xop/include",
    "rim": "urn:oasis:names:tc:ebxml-regrep:xsd:rim:3.0",
    "query": "urn:oasis:names:tc:ebxml-regrep:xsd:query:3.0",
}
SUCCESS = (
    b'<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope"><s:Body>'
    b'<r:RegistryResponse xmlns:r="urn:oasis:names:tc:ebxml-regrep:xsd:rs:3.0"'
    b' status="urn:oasis:names:tc:ebxml-regrep:ResponseStatusType:Success"/></s:Body></s:Envelope>'
)
SOAP = (("Content-Type", "application/soap+xml; charset=UTF-8"),)


def signer(pki: TestPki) -> SoftwareSigner:
    return SoftwareSigner.from_files(pki.client_cert, pki.client_key)


async def vihf(pki: TestPki, profile: VihfProfile = PROFILE.vihf) -> etree._Element:
    content = await build_vihf(
        caller_of(ENTRY, DOCTOR),
        PRODUCT,
        profile,
        issuer="CN=LOGICIEL",
        assertion_id="_0f0e0d0c",
        now=NOW,
        signer=signer(pki) if profile.signed else None,
    )
    return etree.fromstring(content)


def attributes(assertion: etree._Element) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for element in assertion.iterfind("saml:AttributeStatement/saml:Attribute", NS):
        for value in element.iterfind("saml:AttributeValue", NS):
            coded = value.find("*")
            text = value.text if coded is None else f"{coded.get('code')}|{coded.get('codeSystem')}"
            found.setdefault(element.get("Name") or "", []).append(text or "")
    return found


async def test_vihf_says_who_where_about_whom_and_with_what(pki: TestPki) -> None:
    assertion = await vihf(pki)
    assert (assertion.get("ID"), assertion.get("Version")) == ("_0f0e0d0c", "2.0")
    assert assertion.get("IssueInstant") == "2026-11-24T09:00:00.123Z"
    assert assertion.findtext("saml:Issuer", None, NS) == "CN=CABINET ESSAI,C=FR"
    assert assertion.findtext("saml:Subject/saml:NameID", None, NS) == DOCTOR
    assert attributes(assertion) == {
        "Identifiant_Structure": ["499700000012003"],
        "Secteur_Activite": ["SA07^1.2.250.1.71.4.2.4"],
        "urn:oasis:names:tc:xspa:1.0:subject:subject-id": ["Alix ESSAI"],
        "urn:oasis:names:tc:xacml:2.0:subject:role": ["10|1.2.250.1.71.1.2.7", "SM26|1.2.250.1.71.4.2.5"],
        "VIHF_Version": ["3.0"],
        "Authentification_mode": ["INDIRECTE_RENFORCEE"],
        "urn:oasis:names:tc:xacml:2.0:resource:resource-id": [
            f"{cda_samples.MATRICULE}^^^&1.2.250.1.213.1.4.10&ISO^NH"
        ],
        "Ressource_URN": ["urn:dmp"],
        "urn:oasis:names:tc:xspa:1.0:subject:purposeofuse": ["normal|1.2.250.1.213.1.1.4.248"],
        "LPS_ID": ["0001"],
        "LPS_Nom": ["LOGICIEL D'ESSAI"],
        "LPS_Version": ["1.0"],
        "LPS_ID_HOMOLOGATION_DMP": ["DMP-ESSAI-1"],
    }


async def test_the_profile_decides_version_spelling_mode_and_signature(pki: TestPki) -> None:
    direct = replace(
        PROFILE.vihf,
        version="4.0",
        mode_attribute="Authentification_Mode",
        mode=AuthenticationMode.DIRECTE,
        signed=False,
    )
    assertion = await vihf(pki, direct)
    found = attributes(assertion)
    assert (found["VIHF_Version"], found["Authentification_Mode"]) == (["4.0"], ["DIRECTE"])
    assert "urn:oasis:names:tc:xspa:1.0:subject:subject-id" not in found
    assert "Authentification_mode" not in found
    assert assertion.find("ds:Signature", NS) is None
    assert assertion.findtext("saml:Issuer", None, NS) == "CN=LOGICIEL"


@pytest.mark.parametrize(
    ("algorithm", "method", "digest"),
    [
        (SignatureAlgorithm.RSA_SHA256, SignatureMethod.RSA_SHA256, DigestAlgorithm.SHA256),
        (SignatureAlgorithm.RSA_SHA1, SignatureMethod.RSA_SHA1, DigestAlgorithm.SHA1),
        (SignatureAlgorithm.RSA_PSS_SHA256, SignatureMethod.SHA256_RSA_MGF1, DigestAlgorithm.SHA256),
    ],
)
async def test_vihf_signature_is_verified_by_another_library(
    pki: TestPki, algorithm: SignatureAlgorithm, method: SignatureMethod, digest: DigestAlgorithm
) -> None:
    assertion = await vihf(pki, replace(PROFILE.vihf, algorithm=algorithm))
    assert [etree.QName(child).localname for child in assertion][:3] == ["Issuer", "Signature", "Subject"]
    info = assertion.find("ds:Signature/ds:SignedInfo", NS)
    assert info is not None
    require_signed_info(etree.tostring(info, method="c14n", exclusive=True))  # what a card accepts to sign
    verified = XMLVerifier().verify(
        etree.tostring(assertion),
        x509_cert=x509.load_pem_x509_certificate(pki.client_cert.read_bytes()),
        expect_config=SignatureConfiguration(
            signature_methods=frozenset({method}), digest_algorithms=frozenset({digest}), location="./"
        ),
    )
    result = verified[0] if isinstance(verified, list) else verified
    assert result.signed_xml is not None
    assert result.signed_xml.get("ID") == "_0f0e0d0c"


@pytest.mark.parametrize(
    ("code", "label", "expected"),
    [
        ("G15_10/SM26", "Médecin - Qualifié en Médecine Générale (SM)", ["10", "SM26"]),
        ("G15_60", "Infirmier", ["60"]),
    ],
)
def test_roles(code: str, label: str, expected: list[str]) -> None:
    concept = CodedConcept(code=code, code_system="1.2.250.1.213.1.1.4.5", label=label)
    assert [role.code for role in roles_of(concept, PROFILE.vihf)] == expected


def test_hl7_components_are_unescaped() -> None:
    assert components(r"A\S\B^C\T\D^\E\\F\\R\^") == ("A^B", "C&D", "\\|~", "")


def test_an_author_without_structure_calls_nobody() -> None:
    lonely = replace(ENTRY, authors=(replace(ENTRY.authors[0], institution=None),))
    with pytest.raises(InvalidInput, match="PREPARED_UNREADABLE"):
        caller_of(lonely, DOCTOR)


def test_a_profile_that_signs_needs_a_signer(pki: TestPki) -> None:
    client = DmpEndpoint(base_url="https://127.0.0.1:1", tls=TlsFiles(ca_file=pki.ca)).open_client()
    with pytest.raises(InvalidInput, match="SIGNER_INVALID"):
        EsanteDmp(client, PROFILE, SystemTime(), SeededChance(), signer=None)


# --- the wire --------------------------------------------------------------------------------------------------------


class Hours(SystemTime):
    """A clock that gains an hour each time it is read: what depends on the moment of sending shows."""

    def __init__(self) -> None:
        self._reads = 0

    def now(self) -> dt.datetime:
        self._reads += 1
        return NOW + dt.timedelta(hours=self._reads)


@dataclass
class Recorded:
    """Requests that a hand-made proxy received."""

    heads: list[str] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)


@asynccontextmanager
async def against(
    pki: TestPki, *answers: tuple[int, bytes, tuple[tuple[str, str], ...]]
) -> AsyncIterator[tuple[EsanteDmp, Recorded]]:
    recorded = Recorded()
    remaining = list(answers)

    async def behaviour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await read_request(reader)
        recorded.heads.append(request.head)
        recorded.bodies.append(request.body)
        status, body, headers = remaining.pop(0)
        await answer(writer, status, body, headers)

    async with tls_server(pki, behaviour) as server:
        client = DmpEndpoint(base_url=server.url, tls=TlsFiles(ca_file=pki.ca)).open_client()
        try:
            yield EsanteDmp(client, PROFILE, Hours(), SeededChance(), signer=signer(pki)), recorded
        finally:
            await client.aclose()


async def nothing() -> None:
    """No commitment."""


def header(head: str, name: str) -> str:
    return next(line.partition(":")[2].strip() for line in head.splitlines() if line.lower().startswith(name + ":"))


async def test_feeding_is_an_mtom_package_that_another_parser_reads(pki: TestPki) -> None:
    ids, context = frozen_ids(), sending_context()
    async with against(pki, (200, SUCCESS, SOAP)) as (dmp, recorded):
        signature = await dmp.sign(prepared(), ids, context)
        outcome = await dmp.submit(prepared(), ids, signature, context, nothing)
    assert outcome.certainty is Certainty.DELIVERED
    head, body = recorded.heads[0], recorded.bodies[0]
    assert head.startswith("POST /send/dmp/repository HTTP/1.1")
    content_type = header(head, "content-type")
    message = email.message_from_bytes(
        b"Content-Type: " + content_type.encode() + b"\r\n\r\n" + body, policy=email.policy.HTTP
    )
    assert message.get_content_type() == "multipart/related"
    assert message.get_param("type") == "application/xop+xml"
    assert message.get_param("start-info") == "application/soap+xml"
    assert message.get_boundary() == ids.boundary
    parts = [part for part in message.walk() if not part.is_multipart()]
    assert [part.get_content_type() for part in parts] == ["application/xop+xml", "text/xml", "text/xml"]
    assert parts[0]["Content-ID"] == message.get_param("start")
    assert parts[0].get_param("type") == "application/soap+xml"
    raw = body.split(b"--" + ids.boundary.encode())
    envelope = etree.fromstring(raw[1].partition(b"\r\n\r\n")[2].removesuffix(b"\r\n"))
    includes = envelope.findall("s:Body/xdsb:ProvideAndRegisterDocumentSetRequest/xdsb:Document/xop:Include", NS)
    assert [f"<{(i.get('href') or '').removeprefix('cid:')}>" for i in includes] == [p["Content-ID"] for p in parts[1:]]
    # The documents travel byte for byte.
    assert raw[2].partition(b"\r\n\r\n")[2].removesuffix(b"\r\n") == PreparedDocument.from_bytes(prepared()).cda
    assert raw[3].partition(b"\r\n\r\n")[2].removesuffix(b"\r\n") == signature
    assert envelope.findtext("s:Header/a:MessageID", None, NS) == ids.message_id
    assert envelope.findtext("s:Header/a:Action", None, NS) == "urn:ihe:iti:2007:ProvideAndRegisterDocumentSet-b"
    assert envelope.find("s:Header/a:To", NS) is not None
    assert envelope.findtext("s:Header/a:ReplyTo/a:Address", None, NS) == f"{NS['a']}/anonymous"
    # The session is in the Cookie header and nowhere else.
    assert header(head, "cookie") == "proxy_session_id=biscuit"
    assert b"biscuit" not in body


ASSERTION = re.compile(rb"<saml2:Assertion .*?</saml2:Assertion>", re.DOTALL)


@pytest.mark.req("SC.DMP/ALI/PROG.02")
async def test_a_resend_is_identical_but_for_the_vihf(pki: TestPki) -> None:
    ids = frozen_ids()
    async with against(pki, (500, b"", ()), (200, SUCCESS, SOAP)) as (dmp, recorded):
        signature = await dmp.sign(prepared(), ids, sending_context())
        first = await dmp.submit(prepared(), ids, signature, sending_context("biscuit-1"), nothing)
        second = await dmp.submit(prepared(), ids, signature, sending_context("biscuit-2"), nothing)
    assert (first.certainty, second.certainty) == (Certainty.DOUBT, Certainty.DELIVERED)
    one, two = recorded.bodies
    assert one != two
    assert len(ASSERTION.findall(one)) == 1
    assert ASSERTION.findall(one) != ASSERTION.findall(two)
    assert ASSERTION.sub(b"", one) == ASSERTION.sub(b"", two)
    assert header(recorded.heads[0], "content-type") == header(recorded.heads[1], "content-type")


async def test_each_call_has_a_vihf_of_its_own(pki: TestPki) -> None:
    async with against(pki, *[(500, b"", ())] * 3) as (dmp, recorded):
        for _ in range(3):
            await dmp.look_up(prepared(), sending_context())
    found = [re.search(rb' ID="([^"]+)"', body) for body in recorded.bodies]
    assert len({match[1] for match in found if match is not None}) == 3


async def test_the_lookup_asks_for_our_own_uniqueid_and_nothing_else(pki: TestPki) -> None:
    async with against(pki, (500, b"", ())) as (dmp, recorded):
        reference = await dmp.look_up(prepared(), sending_context())
    assert (reference.presence, reference.code) == (Presence.UNKNOWN, "DMP_NO_ANSWER")
    envelope = etree.fromstring(recorded.bodies[0])
    query = envelope.find("s:Body/query:AdhocQueryRequest", NS)
    assert query is not None
    option = query.find("query:ResponseOption", NS)
    assert option is not None
    assert option.get("returnType") == "LeafClass"
    asked = query.findall("rim:AdhocQuery/rim:Slot", NS)
    assert [slot.get("name") for slot in asked] == ["$XDSDocumentEntryUniqueId"]
    assert [value.text for value in query.iterfind(".//rim:Value", NS)] == [f"('{cda_samples.DOCUMENT_ID}')"]


async def test_existence_asks_about_the_ins_of_the_document(pki: TestPki) -> None:
    async with against(pki, (500, b"", ())) as (dmp, recorded):
        existence = await dmp.test_existence(prepared(), sending_context())
    assert (existence.exists, existence.code) == (None, "DMP_NO_ANSWER")
    assert recorded.heads[0].startswith("POST /send/dmp/patients HTTP/1.1")
    question = etree.fromstring(recorded.bodies[0]).find("s:Body/hl7:PRPA_IN201307UV02", NS)
    assert question is not None
    value = question.find(".//hl7:patientIdentifier/hl7:value", NS)
    assert value is not None
    assert (value.get("root"), value.get("extension")) == ("1.2.250.1.213.1.4.10", cda_samples.MATRICULE)
    reason = question.find("hl7:controlActProcess/hl7:reasonCode", NS)
    assert reason is not None
    assert reason.get("code") == "TEST_EXST"


async def test_nobody_and_no_session_in_logs_or_results(pki: TestPki, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    context = sending_context("biscuit-canari")
    async with against(pki, (200, SUCCESS, SOAP), (500, b"", ()), (500, b"", ())) as (dmp, _):
        signature = await dmp.sign(prepared(), frozen_ids(), context)
        results = [
            await dmp.submit(prepared(), frozen_ids(), signature, context, nothing),
            await dmp.look_up(prepared(), context),
            await dmp.test_existence(prepared(), context),
        ]
    assert [record.message for record in caplog.records if record.name.startswith("vaguemestre")] == [
        "dmp.exchange"
    ] * 3
    text = caplog.text + repr(results) + repr([vars(record) for record in caplog.records])
    for canary in ("biscuit-canari", cda_samples.MATRICULE, "EXEMPLE", "ESSAI", DOCTOR, "/send/"):
        assert canary not in text, canary


def test_a_boundary_found_in_a_part_is_refused() -> None:
    part = Part(content_id="a", media_type="text/xml", content=b"x\r\n--limite--\r\n")
    for boundary in ("limite", "", "a b", "é"):
        with pytest.raises(UnexpectedError, match="MIME_BOUNDARY_INVALID"):
            build_package(b"<a/>", (part,), boundary=boundary, action="x")


def test_root_part_of_what_we_build_and_of_broken_packages() -> None:
    part = Part(content_id="a", media_type="text/xml", content=b"\r\n\r\nbinaire\x00")
    content_type, body = build_package(b"<racine/>", (part,), boundary="limite", action="x")
    assert root_part(content_type, body) == b"<racine/>"
    assert root_part(content_type, body[:-9]) is None
    assert root_part('multipart/related; boundary="autre"', body) is None
    assert root_part("multipart/related", body) is None
    assert root_part('multipart/related; boundary="limite"; start="<absent>"', body) is None
