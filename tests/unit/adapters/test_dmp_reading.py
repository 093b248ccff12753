"""What an answer is taken for: faults, registry answers, TD0.2 answers, and everything that must not be believed."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from vaguemestre_agent.adapters.dmp.classification import Seen, Sign, outcome_of
from vaguemestre_agent.adapters.dmp.existence import read_existence
from vaguemestre_agent.adapters.dmp.reading import read_exchange
from vaguemestre_agent.adapters.dmp.registry import Found, presence_of, read_own_reference, read_registry_answer
from vaguemestre_agent.adapters.http import (
    Answered,
    FailedAfterFirstByte,
    FailedBeforeFirstByte,
    NotConnected,
    Symptom,
)
from vaguemestre_agent.profiles.loader import shipped_profile
from vaguemestre_core.outcomes import Certainty, ExistenceAnswer, Presence
from vaguemestre_documents.cda.build import build_cda_n1
from vaguemestre_documents.xds.metadata import document_entry_from_cda
from vaguemestre_testkit import cda_samples

PROFILE = shipped_profile("sandbox")
MESSAGE_ID = "urn:uuid:00000000-0000-4000-8000-000000000001"
SOAP_TYPE = "application/soap+xml; charset=UTF-8"
S = "http://www.w3.org/2003/05/soap-envelope"
STATUS = "urn:oasis:names:tc:ebxml-regrep:ResponseStatusType:"
RS = "urn:oasis:names:tc:ebxml-regrep:xsd:rs:3.0"
UNIQUE_ID = "1.2.250.1.999.1.1.20.1001"
OURS = replace(
    document_entry_from_cda(build_cda_n1(cda_samples.request()), visibility=frozenset()), hash_sha1="ab" * 20, size=12
)


def envelope(payload: str, relates_to: str | None = MESSAGE_ID) -> bytes:
    header = (
        ""
        if relates_to is None
        else f'<s:Header><a:RelatesTo xmlns:a="http://www.w3.org/2005/08/addressing">{relates_to}</a:RelatesTo></s:Header>'
    )
    return f'<s:Envelope xmlns:s="{S}">{header}<s:Body>{payload}</s:Body></s:Envelope>'.encode()


def registry(status: str, *errors: tuple[str, str]) -> str:
    lines = "".join(
        f'<r:RegistryError errorCode="{code}" codeContext="c"'
        f' severity="urn:oasis:names:tc:ebxml-regrep:ErrorSeverityType:{severity}"/>'
        for code, severity in errors
    )
    return (
        f'<r:RegistryResponse xmlns:r="{RS}" status="{status}">'
        f"<r:RegistryErrorList>{lines}</r:RegistryErrorList></r:RegistryResponse>"
    )


def fault(value: str, subcode: str = "") -> str:
    wsse = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd"
    inner = f'<s:Subcode><s:Value xmlns:w="{wsse}">{subcode}</s:Value></s:Subcode>' if subcode else ""
    return (
        f"<s:Fault><s:Code><s:Value>{value}</s:Value>{inner}</s:Code><s:Reason><s:Text>t</s:Text></s:Reason></s:Fault>"
    )


def answered(
    body: bytes,
    *,
    status: int = 200,
    content_type: str = SOAP_TYPE,
    complete: bool = True,
    body_started: bool = True,
    retry_after: str | None = None,
) -> Answered:
    headers: tuple[tuple[str, str], ...] = (("content-type", content_type),)
    if retry_after is not None:
        headers = (*headers, ("retry-after", retry_after))
    return Answered(status=status, headers=headers, body=body, complete=complete, body_started=body_started)


def feed_sign(answer: Answered) -> Seen:
    reading = read_exchange(answer, PROFILE, message_id=MESSAGE_ID)
    if reading.payload is None:
        assert reading.seen is not None
        return reading.seen
    return read_registry_answer(reading.payload, PROFILE.dmp.error_codes)


@pytest.mark.parametrize(
    ("payload", "sign", "service_code"),
    [
        (registry(STATUS + "Success"), Sign.SUCCESS, None),
        (registry(STATUS + "Success", ("XDSExtraMetadataNotSaved", "Warning")), Sign.SUCCESS, None),
        (registry(STATUS + "Success", ("XDSRegistryError", "Error")), Sign.UNEXPECTED_PAYLOAD, "XDSRegistryError"),
        (registry("urn:ihe:iti:2007:ResponseStatusType:PartialSuccess"), Sign.PARTIAL, None),
        (registry(STATUS + "Failure"), Sign.FAILURE_OTHER, None),
        (registry(STATUS + "Failure", ("XDSRegistryBusy", "Error")), Sign.FAILURE_BUSY, "XDSRegistryBusy"),
        (registry(STATUS + "Failure", ("urn:x:XDSRegistryBusy", "Error")), Sign.FAILURE_BUSY, "XDSRegistryBusy"),
        (registry(STATUS + "Failure", ("DMPClosed", "Error")), Sign.FAILURE_CLOSED, "DMPClosed"),
        (registry(STATUS + "Failure", ("DMPAccessDenied", "Error")), Sign.FAILURE_ACCESS, "DMPAccessDenied"),
        (registry(STATUS + "Failure", ("DMPInconnu", "Error")), Sign.FAILURE_OTHER, "DMPInconnu"),
        (registry("succes"), Sign.UNEXPECTED_PAYLOAD, None),
        ("<x/>", Sign.UNEXPECTED_PAYLOAD, None),
        (fault("s:Sender", "w:InvalidSecurityToken"), Sign.FAULT_SECURITY, "InvalidSecurityToken"),
        (fault("s:Sender", "w:MessageExpired"), Sign.FAULT_SECURITY_EXPIRED, "MessageExpired"),
        (fault("s:Sender"), Sign.FAULT_SENDER, "Sender"),
        (fault("s:MustUnderstand"), Sign.FAULT_SENDER, "MustUnderstand"),
        (fault("s:VersionMismatch"), Sign.FAULT_SENDER, "VersionMismatch"),
        (fault("s:Receiver"), Sign.FAULT_RECEIVER, "Receiver"),
        (fault("autre:Sender"), Sign.FAULT_RECEIVER, "Sender"),
        ("<s:Fault/>", Sign.FAULT_RECEIVER, None),
    ],
)
@pytest.mark.parametrize("status", [200, 500])
def test_soap_payload(payload: str, sign: Sign, service_code: str | None, status: int) -> None:
    is_fault = payload.startswith("<s:Fault")
    seen = feed_sign(answered(envelope(payload), status=status))
    if status == 500 and not is_fault:
        # Only a fault travels under an error status: a registry answer there contradicts itself.
        assert seen.sign is Sign.HTTP_500
        return
    assert (seen.sign, seen.service_code) == (sign, service_code)


SUCCESS = envelope(registry(STATUS + "Success"))


@pytest.mark.parametrize(
    ("answer", "sign"),
    [
        (answered(b""), Sign.EMPTY),
        (answered(b"  \r\n "), Sign.EMPTY),
        (answered(b"", complete=False), Sign.TRUNCATED),
        (answered(SUCCESS, complete=False), Sign.TRUNCATED),
        (answered(b"<html><body>OK</body></html>", content_type="text/html"), Sign.HTML),
        (answered(SUCCESS, content_type="text/html; charset=utf-8"), Sign.HTML),
        (answered(SUCCESS, content_type="application/octet-stream"), Sign.WRONG_TYPE),
        (answered(SUCCESS, content_type=""), Sign.WRONG_TYPE),
        (answered(SUCCESS[:-20]), Sign.NOT_XML),
        (answered(b"\x00\xff pas du xml"), Sign.NOT_XML),
        (answered(b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>'), Sign.NOT_XML),
        (answered(b"<a/>"), Sign.NOT_SOAP),
        (answered(f'<s:Envelope xmlns:s="{S}"/>'.encode()), Sign.NOT_SOAP),
        (answered(f'<s:Envelope xmlns:s="{S}"><s:Body/></s:Envelope>'.encode()), Sign.NOT_SOAP),
        (answered(envelope("<a/><b/>")), Sign.NOT_SOAP),
        (answered(envelope(registry(STATUS + "Success"), "urn:uuid:autre")), Sign.OTHER_MESSAGE),
        (answered(SUCCESS, content_type='multipart/related; boundary="x"'), Sign.TRUNCATED),
        (
            answered(b'{"code":"401","message":"No session found."}', status=401, content_type="application/json"),
            Sign.NO_SESSION,
        ),
        (answered(b'{"code":"401","message":"Session ID not found."}', status=401), Sign.API_401),
        (answered(b"", status=401), Sign.API_401),
        (answered(b'{"code":"401","message":"No session found."}', status=403), Sign.HTTP_403),
        (answered(b"", status=302), Sign.HTTP_3XX),
        (answered(b"", status=204), Sign.EMPTY),
    ],
)
def test_what_must_not_be_believed(answer: Answered, sign: Sign) -> None:
    assert feed_sign(answer).sign is sign


def test_success_without_relates_to_and_as_multipart() -> None:
    assert feed_sign(answered(envelope(registry(STATUS + "Success"), None))).sign is Sign.SUCCESS
    body = b"--x\r\nContent-Type: application/xop+xml\r\nContent-ID: <r>\r\n\r\n" + SUCCESS + b"\r\n--x--\r\n"
    packaged = answered(body, content_type='multipart/related; type="application/xop+xml"; start="<r>"; boundary="x"')
    assert feed_sign(packaged).sign is Sign.SUCCESS


@pytest.mark.parametrize(
    ("text", "seconds"), [("120", 120.0), ("0", 0.0), ("-1", None), ("Wed, 21 Oct", None), ("", None)]
)
def test_retry_after(text: str, seconds: float | None) -> None:
    assert feed_sign(answered(b"", status=429, retry_after=text)).retry_after_s == seconds


def test_an_answer_before_the_first_byte_is_certain_and_keeps_the_delay() -> None:
    outcome = outcome_of(feed_sign(answered(b"", status=429, body_started=False, retry_after="30")))
    assert (outcome.certainty, outcome.code, outcome.retry_after_s) == (Certainty.NOT_SENT, "DMP_HTTP_429", 30.0)


@pytest.mark.parametrize("symptom", Symptom)
def test_no_answer(symptom: Symptom) -> None:
    def certainty(exchange: NotConnected | FailedBeforeFirstByte | FailedAfterFirstByte) -> Certainty:
        seen = read_exchange(exchange, PROFILE, message_id=MESSAGE_ID).seen
        assert seen is not None
        return outcome_of(seen).certainty

    assert certainty(NotConnected(symptom=symptom)) is Certainty.NOT_SENT
    assert certainty(FailedBeforeFirstByte(symptom=symptom)) is Certainty.NOT_SENT
    assert certainty(FailedAfterFirstByte(symptom=symptom)) is Certainty.DOUBT


@given(
    body=st.binary(max_size=400) | st.builds(lambda cut: SUCCESS[:cut], st.integers(0, len(SUCCESS) - 1)),
    status=st.integers(200, 599),
    content_type=st.sampled_from([SOAP_TYPE, "text/html", "", "application/json", 'multipart/related; boundary="b"']),
    complete=st.booleans(),
)
def test_nothing_but_a_whole_success_is_a_delivery_or_a_refusal(
    body: bytes, status: int, content_type: str, complete: bool
) -> None:
    seen = feed_sign(answered(body, status=status, content_type=content_type, complete=complete))
    assert outcome_of(seen).certainty is Certainty.DOUBT


# --- TD3.1 -----------------------------------------------------------------------------------------------------------

QUERY = "urn:oasis:names:tc:ebxml-regrep:xsd:query:3.0"
RIM = "urn:oasis:names:tc:ebxml-regrep:xsd:rim:3.0"


def entry(unique_id: str = UNIQUE_ID, *, digest: str = "ab" * 20, size: str = "12", status: str = "Approved") -> str:
    slots = "".join(
        f'<m:Slot name="{name}"><m:ValueList><m:Value>{value}</m:Value></m:ValueList></m:Slot>'
        for name, value in (("hash", digest), ("size", size))
        if value
    )
    prefix = (
        "urn:asip:ci-sis:2010:StatusType:"
        if status in ("Deleted", "Archived")
        else ("urn:oasis:names:tc:ebxml-regrep:StatusType:")
    )
    return (
        f'<m:ExtrinsicObject id="urn:uuid:1" lid="urn:uuid:0" status="{prefix}{status}">{slots}'
        '<m:VersionInfo versionName="1"/>'
        '<m:ExternalIdentifier identificationScheme="urn:uuid:2e82c1f6-a085-4c72-9da3-8640a32e42ab"'
        f' value="{unique_id}"/></m:ExtrinsicObject>'
    )


def query_answer(content: str, status: str = STATUS + "Success") -> etree._Element:
    return etree.fromstring(
        f'<q:AdhocQueryResponse xmlns:q="{QUERY}" xmlns:m="{RIM}" status="{status}">{content}</q:AdhocQueryResponse>'
    )


def objects(content: str) -> etree._Element:
    return query_answer(f"<m:RegistryObjectList>{content}</m:RegistryObjectList>")


def test_found_and_absent() -> None:
    found = read_own_reference(objects(entry()), UNIQUE_ID, {})
    assert isinstance(found, Found)
    assert found.document is not None
    assert found.document.unique_id == UNIQUE_ID
    assert read_own_reference(objects(""), UNIQUE_ID, {}) == Found(document=None)


@pytest.mark.parametrize(
    "payload",
    [
        query_answer(""),  # no list at all: not an absence
        objects(entry("1.2.3")),
        objects('<m:ObjectRef id="urn:uuid:1"/>'),
        objects('<m:ExtrinsicObject id="urn:uuid:1"/>'),
        query_answer("<m:RegistryObjectList/>", "urn:ihe:iti:2007:ResponseStatusType:PartialSuccess"),
        query_answer("<m:RegistryObjectList/>", STATUS + "Failure"),
        query_answer("<m:RegistryObjectList/>", "ok"),
        etree.fromstring("<x/>"),
    ],
)
def test_an_absence_is_only_said_by_a_whole_answer_to_our_question(payload: etree._Element) -> None:
    assert isinstance(read_own_reference(payload, UNIQUE_ID, {}), Seen)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (entry(), Presence.SAME),
        (entry(digest="AB" * 20), Presence.SAME),
        (entry(digest=""), Presence.SAME),
        (entry(digest="", size=""), Presence.SAME),
        (entry(digest="cd" * 20), Presence.OTHER),
        (entry(size="13"), Presence.OTHER),
        (entry(status="Deprecated"), Presence.SAME),
        (entry(status="Archived"), Presence.SAME),
        (entry(status="Deleted", digest="cd" * 20), Presence.SAME),
    ],
)
def test_presence(text: str, expected: Presence) -> None:
    found = read_own_reference(objects(text), UNIQUE_ID, {})
    assert isinstance(found, Found)
    assert found.document is not None
    assert presence_of(found.document, OURS) is expected


@pytest.mark.parametrize(
    ("digest", "patient", "source", "expected"),
    [
        ("", OURS.patient_id, OURS.source_patient_id, Presence.SAME),
        ("", OURS.patient_id, None, Presence.SAME),
        ("", f"999{OURS.patient_id}", None, Presence.OTHER),
        ("", f"999{OURS.patient_id}", OURS.source_patient_id, Presence.OTHER),
        ("", None, f"999{OURS.source_patient_id}", Presence.OTHER),
        ("", "42^^^&1.2.3.4&ISO^PI", None, Presence.SAME),  # another authority's number: nothing to compare
        ("", "unreadable", None, Presence.SAME),
        # The very bytes, which name their patient: the registry may have merged two numbers since.
        ("ab" * 20, f"999{OURS.patient_id}", None, Presence.SAME),
    ],
)
def test_without_a_hash_the_patient_is_compared(
    digest: str, patient: str | None, source: str | None, expected: Presence
) -> None:
    found = read_own_reference(objects(entry(digest=digest, size="")), UNIQUE_ID, {})
    assert isinstance(found, Found)
    assert found.document is not None
    there = replace(found.document, patient_id=patient, source_patient_id=source)
    assert presence_of(there, OURS) is expected


# --- TD0.2 -----------------------------------------------------------------------------------------------------------


def existence_answer(
    *, acknowledgement: str = "AA", response: str = "OK", status: str | None = "active", lines: str = "", ens: str = ""
) -> etree._Element:
    patient = "" if status is None else f'<statusCode code="{status}"/>'
    observation = (
        f'<subjectOf><administrativeObservation><code code="RATTACHEMENT_ENS"/><value value="{ens}"/>'
        "</administrativeObservation></subjectOf>"
        if ens
        else ""
    )
    return etree.fromstring(
        f'<PRPA_IN201308UV02 xmlns="urn:hl7-org:v3">{lines}<acknowledgement typeCode="{acknowledgement}"/>'
        "<controlActProcess><subject><registrationEvent><subject1><patient>"
        f"{patient}{observation}</patient></subject1></registrationEvent></subject>"
        f'<queryAck><queryResponseCode code="{response}"/></queryAck></controlActProcess></PRPA_IN201308UV02>'
    )


AUTHORISED = '<attentionLine><keyWordText code="AUTORISATION"/><value code="VALIDE"/></attentionLine>'
FORBIDDEN = '<attentionLine><keyWordText code="AUTORISATION"/><value code="INEXISTANTE"/></attentionLine>'


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        (
            existence_answer(lines=AUTHORISED, ens="true"),
            ExistenceAnswer(exists=True, active=True, authorised=True, attached_to_ens=True, service_code="active"),
        ),
        (
            existence_answer(lines=FORBIDDEN, ens="false"),
            ExistenceAnswer(exists=True, active=True, authorised=False, attached_to_ens=False, service_code="active"),
        ),
        (existence_answer(), ExistenceAnswer(exists=True, active=True, service_code="active")),
        (
            existence_answer(status="terminated"),
            ExistenceAnswer(exists=True, active=False, code="DMP_CLOSED", service_code="terminated"),
        ),
        (
            existence_answer(response="NF", status=None),
            ExistenceAnswer(exists=False, code="DMP_ABSENT", service_code="NF"),
        ),
        (existence_answer(response="QE"), Seen(sign=Sign.FAILURE_OTHER, service_code="QE")),
        (existence_answer(acknowledgement="AE"), Seen(sign=Sign.FAILURE_OTHER, service_code="OK")),
        (existence_answer(status=None), Seen(sign=Sign.UNEXPECTED_PAYLOAD)),
        (etree.fromstring("<x/>"), Seen(sign=Sign.UNEXPECTED_PAYLOAD)),
    ],
)
def test_existence(payload: etree._Element, expected: ExistenceAnswer | Seen) -> None:
    assert read_existence(payload, PROFILE.existence) == expected
