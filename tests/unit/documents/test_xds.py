"""XDS metadata come from the CDA alone; serialised and read back they stay the same."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
from dataclasses import replace

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree
from signxml.verifier import SignatureConfiguration, XMLVerifier

from vaguemestre_core.contacts import CodedConcept
from vaguemestre_core.errors import InvalidInput
from vaguemestre_core.identities import IdentityStatus
from vaguemestre_core.signing import SignatureAlgorithm
from vaguemestre_documents.cda.build import build_cda_n1
from vaguemestre_documents.cda.request import ReplacedVersion
from vaguemestre_documents.codes import Confidentiality, Visibility
from vaguemestre_documents.hl7time import Hl7Time
from vaguemestre_documents.xds import hl7v2
from vaguemestre_documents.xds.entry_json import entry_from_json, entry_to_json
from vaguemestre_documents.xds.metadata import DocumentEntry, SubmissionSet, document_entry_from_cda
from vaguemestre_documents.xds.registry_objects import (
    RIM,
    Availability,
    Submission,
    parse_extrinsic_objects,
    serialise_submit_objects_request,
)
from vaguemestre_documents.xds.submission_signature import (
    XADES_1_1_1,
    XADES_1_3_2,
    Canonicalization,
    SignatureRequest,
    SignatureSettings,
    SignedDocument,
    sign_submission_set,
    signature_entry,
)
from vaguemestre_testkit import cda_samples

CDA = build_cda_n1(cda_samples.request())
NO_MASK: frozenset[Visibility] = frozenset()
INS_CX = f"{cda_samples.MATRICULE}^^^&1.2.250.1.213.1.4.10&ISO^NH"


def entry(masks: frozenset[Visibility] = NO_MASK) -> DocumentEntry:
    return document_entry_from_cda(CDA, visibility=masks)


def submission_set() -> SubmissionSet:
    return SubmissionSet(
        unique_id="1.2.250.1.999.1.1.30.1",
        source_id="1.2.250.1.999.1.1",
        submission_time=Hl7Time.from_instant(cda_samples.NOW).to_xds(),
        content_type=CodedConcept(code="04", code_system="1.2.250.1.213.2.2", label="Hospitalisation de jour"),
        patient_id=INS_CX,
        author=entry().authors[0],
    )


def test_every_attribute_comes_from_the_cda() -> None:
    found = entry()
    assert found.unique_id == cda_samples.DOCUMENT_ID
    assert found.patient_id == INS_CX
    assert found.source_patient_id == f"P-000042^^^&{cda_samples.LOCAL_OID}&ISO^PI"
    assert found.source_patient_info == ("PID-5|EXEMPLE^LINA^^^^^L", "PID-7|20260218", "PID-8|F")
    assert found.creation_time == "20261123091500"
    assert found.service_start_time == "20261123090000"
    assert (found.type_code.code, found.class_code.code) == ("11488-4", "10")
    assert found.format_code.code == "urn:ihe:iti:xds-sd:pdf:2008"
    assert found.format_code.code_system == "1.3.6.1.4.1.19376.1.2.3"
    assert (found.facility_type_code.code, found.practice_setting_code.code) == ("SA07", "AMBULATOIRE")
    assert found.legal_authenticator == "899700000012^ESSAI^Alix^^^^^^&1.2.250.1.71.4.2.1&ISO^D^^^IDNPS"
    author = found.authors[0]
    assert author.person == found.legal_authenticator
    assert author.institution == ("CABINET MEDICAL DR ESSAI^^^^^&1.2.250.1.71.4.2.2&ISO^IDNST^^^499700000012003")
    assert author.specialty == "G15_10/SM26^Médecin - Qualifié en Médecine Générale (SM)^1.2.250.1.213.1.1.4.5"
    assert (found.hash_sha1, found.size) == (hashlib.sha1(CDA).hexdigest(), len(CDA))


@pytest.mark.req("SC.DMP/HISTO.03")
def test_a_historical_act_keeps_its_day_in_the_metadata() -> None:
    request = cda_samples.request()
    act = replace(request.act, start=Hl7Time.from_day(dt.date(2021, 3, 4)))
    found = document_entry_from_cda(build_cda_n1(replace(request, act=act)), visibility=NO_MASK)
    assert (found.service_start_time, found.creation_time) == ("20210304", "20261123091500")


def test_masks_are_added_after_the_confidentiality_of_the_cda() -> None:
    cda = build_cda_n1(replace(cda_samples.request(), confidentiality=Confidentiality.RESTRICTED))
    masks = frozenset({Visibility.INVISIBLE_REPRESENTANTS_LEGAUX, Visibility.INVISIBLE_PATIENT})
    found = document_entry_from_cda(cda, visibility=masks)
    assert [item.code for item in found.confidentiality_codes] == [
        "R",
        "INVISIBLE_PATIENT",
        "INVISIBLE_REPRESENTANTS_LEGAUX",
    ]
    assert b"INVISIBLE" not in cda


def test_a_document_that_nobody_could_read_is_refused() -> None:
    with pytest.raises(InvalidInput) as refused:
        entry(frozenset({Visibility.INVISIBLE_PATIENT, Visibility.MASQUE_PS}))
    assert refused.value.code == "VISIBILITY_COMBINATION_FORBIDDEN"


def test_a_type_without_class_needs_one() -> None:
    unknown = CodedConcept(code="101881-1", code_system="2.16.840.1.113883.6.1", label="Carte d'implant")
    cda = build_cda_n1(replace(cda_samples.request(), document_type=unknown))
    with pytest.raises(InvalidInput) as refused:
        document_entry_from_cda(cda, visibility=NO_MASK)
    assert refused.value.code == "XDS_CLASS_UNKNOWN"
    given_class = CodedConcept(code="90", code_system="1.2.250.1.213.1.1.4.1", label="Autre document patient")
    assert document_entry_from_cda(cda, visibility=NO_MASK, class_code=given_class).class_code == given_class


def test_without_ins_the_local_number_files_the_document() -> None:
    cda = build_cda_n1(cda_samples.request(IdentityStatus.RECUPEREE))
    found = document_entry_from_cda(cda, visibility=NO_MASK)
    assert found.patient_id == found.source_patient_id == f"P-000042^^^&{cda_samples.LOCAL_OID}&ISO^PI"


def test_an_entry_survives_json() -> None:
    replaced = ReplacedVersion(document_id="1.2.3", version_number=1)
    request = replace(cda_samples.request(), version_number=2, replaces=replaced)
    for found in (entry(), document_entry_from_cda(build_cda_n1(request), visibility=NO_MASK)):
        assert entry_from_json(entry_to_json(found)) == found
    with pytest.raises(InvalidInput):
        entry_from_json({**entry_to_json(entry()), "size": "1"})


@given(st.text(min_size=1), st.sampled_from(["1.2.3", "1.2.250.1.213.1.4.8"]))
def test_a_patient_identifier_is_read_back(value: str, oid: str) -> None:
    assert hl7v2.parse_cx(hl7v2.cx(value=value, oid=oid)) == (value, oid)


def test_separators_in_names_are_escaped() -> None:
    written = hl7v2.xcn(value="8" + "9" * 11, oid="1.2.250.1.71.4.2.1", family="A^B", given="C&D")
    assert written.split("^")[1:3] == ["A\\S\\B", "C\\T\\D"]
    assert hl7v2.xcn(value="3123/7", oid="1.2.250.1.71.4.2.1", family="A", given="B").endswith("^EI")


def test_the_registry_objects_carry_the_set_the_document_and_their_links() -> None:
    signature = signature_entry(
        entry(), unique_id="1.2.4", submission_time=Hl7Time.from_instant(cda_samples.NOW), signature=b"<x/>"
    )
    submission = Submission(
        submission_set=submission_set(),
        documents=(entry(frozenset({Visibility.MASQUE_PS})),),
        replaced_entry_uuids=("urn:uuid:00000000-0000-0000-0000-000000000001",),
        signature=signature,
    )
    xml = serialise_submit_objects_request(submission)
    root = etree.fromstring(xml)
    kinds = [
        (item.get("associationType", "").rsplit(":", 1)[1], item.get("sourceObject"), item.get("targetObject"))
        for item in root.iter(f"{{{RIM}}}Association")
    ]
    assert kinds == [
        ("HasMember", "SubmissionSet01", "Document01"),
        ("HasMember", "SubmissionSet01", "Signature01"),
        ("signs", "Signature01", "SubmissionSet01"),
        ("RPLC", "Document01", "urn:uuid:00000000-0000-0000-0000-000000000001"),
    ]
    document, signed = parse_extrinsic_objects(xml)
    assert (document.unique_id, document.hash_sha1, document.size) == (cda_samples.DOCUMENT_ID, None, None)
    assert document.confidentiality_codes == ("N", "MASQUE_PS")
    assert signed.confidentiality_codes == ("N", "MASQUE_PS", "INVISIBLE_PATIENT")
    ids = [item.get("id") for item in root.iter() if item.get("id") is not None]
    assert len(ids) == len(set(ids))
    assert xml == serialise_submit_objects_request(submission)


def test_hash_and_size_are_sent_when_asked() -> None:
    submission = Submission(
        submission_set=submission_set(), documents=(entry(),), replaced_entry_uuids=(None,), include_hash_size=True
    )
    (document,) = parse_extrinsic_objects(serialise_submit_objects_request(submission))
    assert (document.hash_sha1, document.size) == (entry().hash_sha1, len(CDA))


def test_a_submission_is_about_one_patient() -> None:
    with pytest.raises(InvalidInput):
        Submission(
            submission_set=replace(submission_set(), patient_id="1^^^&1.2.3&ISO^PI"),
            documents=(entry(),),
            replaced_entry_uuids=(None,),
        )


ANSWER = """<q:AdhocQueryResponse xmlns:q="urn:oasis:names:tc:ebxml-regrep:xsd:query:3.0" xmlns:r="{rim}">
<r:RegistryObjectList><r:ExtrinsicObject id="urn:uuid:1" lid="urn:uuid:2" status="{status}"
 objectType="urn:uuid:7edca82f-054d-47f2-a032-9b2a5b5186c1">
<r:Slot name="hash"><r:ValueList><r:Value>ab</r:Value></r:ValueList></r:Slot>
<r:Slot name="size"><r:ValueList><r:Value> 12 </r:Value></r:ValueList></r:Slot>
<r:VersionInfo versionName="3"/>
<r:ExternalIdentifier identificationScheme="urn:uuid:2e82c1f6-a085-4c72-9da3-8640a32e42ab" value="1.2.3"/>
</r:ExtrinsicObject></r:RegistryObjectList></q:AdhocQueryResponse>"""


@pytest.mark.parametrize(
    ("status", "availability"), [(item.value, item) for item in Availability] + [("urn:new", Availability.OTHER)]
)
def test_a_registry_answer_is_read(status: str, availability: Availability) -> None:
    (found,) = parse_extrinsic_objects(ANSWER.format(rim=RIM, status=status).encode())
    assert (found.unique_id, found.entry_uuid, found.lid, found.version) == ("1.2.3", "urn:uuid:1", "urn:uuid:2", "3")
    assert (found.hash_sha1, found.size, found.status, found.availability) == ("ab", 12, status, availability)


def test_an_entry_without_unique_id_is_no_answer() -> None:
    broken = ANSWER.format(rim=RIM, status="x").replace("2e82c1f6", "00000000")
    with pytest.raises(InvalidInput):
        parse_extrinsic_objects(broken.encode())


@pytest.fixture(scope="module")
def key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@pytest.fixture(scope="module")
def certificate(key: rsa.RSAPrivateKey) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "899700000012")])
    start = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).serial_number(5)
    builder = builder.public_key(key.public_key()).not_valid_before(start)
    return builder.not_valid_after(start + dt.timedelta(days=3650)).sign(key, hashes.SHA256())


def _request(settings: SignatureSettings, certificate: x509.Certificate, cda: bytes = CDA) -> SignatureRequest:
    return SignatureRequest(
        submission_set_id="1.2.250.1.999.1.1.30.1",
        documents=(SignedDocument(unique_id=cda_samples.DOCUMENT_ID, content=cda),),
        certificates=(certificate.public_bytes(serialization.Encoding.DER),),
        signed_at=cda_samples.NOW,
        settings=settings,
    )


@pytest.mark.parametrize("xades", [XADES_1_1_1, XADES_1_3_2])
@pytest.mark.parametrize("method", list(Canonicalization))
def test_another_library_verifies_the_signature(
    key: rsa.RSAPrivateKey, certificate: x509.Certificate, method: Canonicalization, xades: str
) -> None:
    settings = SignatureSettings(
        signature=SignatureAlgorithm.RSA_SHA256,
        canonicalization=method,
        xades_namespace=xades,
    )
    request = _request(settings, certificate)

    def sign(content: bytes) -> bytes:
        return key.sign(content, padding.PKCS1v15(), hashes.SHA256())

    signed = sign_submission_set(request, sign=sign)
    assert signed == sign_submission_set(request, sign=sign)
    config = SignatureConfiguration(expect_references=2, location=".")
    verified = XMLVerifier().verify(signed, x509_cert=certificate, expect_config=config, id_attribute="Id")
    assert isinstance(verified, list)
    assert len(verified) == 2
    canonical = etree.tostring(
        etree.ElementTree(etree.fromstring(CDA)),
        method="c14n",
        exclusive=method is Canonicalization.EXCLUSIVE,
    )
    digest = base64.b64encode(hashlib.sha256(canonical).digest())
    assert digest in signed


def test_the_defaults_are_those_of_the_samples(key: rsa.RSAPrivateKey, certificate: x509.Certificate) -> None:
    seen: list[bytes] = []

    def sign(content: bytes) -> bytes:
        seen.append(content)
        return key.sign(content, padding.PKCS1v15(), hashes.SHA1())  # the samples' algorithm

    signed = etree.fromstring(sign_submission_set(_request(SignatureSettings(), certificate), sign=sign))
    value = signed.findtext("{*}SignatureValue")
    assert value is not None
    key.public_key().verify(base64.b64decode(value), seen[0], padding.PKCS1v15(), hashes.SHA1())
    assert b"rsa-sha1" in seen[0]
    references = [item.get("URI") for item in signed.iter("{http://www.w3.org/2000/09/xmldsig#}Reference")]
    assert references == [
        "#IHEManifest",
        "#S0-SignedProperties",
        "urn:oid:1.2.250.1.999.1.1.30.1",
        f"urn:oid:{cda_samples.DOCUMENT_ID}",
    ]


def test_comments_of_a_received_document_count_in_its_digest(
    key: rsa.RSAPrivateKey, certificate: x509.Certificate
) -> None:
    commented = CDA.replace(b"<title>", b"<!-- vu --><title>")

    def sign(content: bytes) -> bytes:
        return key.sign(content, padding.PKCS1v15(), hashes.SHA256())

    def signed(cda: bytes, method: Canonicalization) -> bytes:
        return sign_submission_set(_request(SignatureSettings(canonicalization=method), certificate, cda), sign=sign)

    with_comments, without = Canonicalization.C14N_WITH_COMMENTS, Canonicalization.C14N
    assert signed(CDA, without) == signed(commented, without)
    assert signed(CDA, with_comments) != signed(commented, with_comments)
