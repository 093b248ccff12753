"""TD0.2: asks whether a DMP exists for an INS (PRPA_IN201307UV02) and reads the answer (PRPA_IN201308UV02).

Owns both messages. Identity traits of the answer are not read: a LPS must not show them.
Source: DMP sample messages 02.05.00 (TD0.2); HL7 V3 Patient Registry.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from lxml import etree

from vaguemestre_agent.adapters.dmp.classification import Seen, Sign
from vaguemestre_agent.adapters.dmp.soap import code_text
from vaguemestre_agent.profiles.model import ExistenceProfile
from vaguemestre_core.outcomes import ExistenceAnswer
from vaguemestre_core.redaction import REDACTED

ACTION: Final = "urn:hl7-org:v3:PRPA_IN201307UV02"
HL7: Final = "urn:hl7-org:v3"
_XSI: Final = "http://www.w3.org/2001/XMLSchema-instance"
_INTERACTION: Final = "2.16.840.1.113883.1.6"
_REASON_SYSTEM: Final = "1.2.250.1.213.1.1.4.11"
_ENS: Final = "RATTACHEMENT_ENS"
_AUTHORISATION: Final = "AUTORISATION"


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class ExistenceQuestion:
    """What is asked.

    Attributes:
        matricule, oid: the INS.
        sender_oid: OID under which the message is numbered.
        sender_name: name of the LPS.
        message_extension, query_extension: new UUID texts.
        asked_at: aware instant.
    """

    matricule: str
    oid: str
    sender_oid: str
    sender_name: str
    message_extension: str
    query_extension: str
    asked_at: datetime

    def __repr__(self) -> str:
        return f"ExistenceQuestion({REDACTED})"


def build_question(question: ExistenceQuestion, profile: ExistenceProfile) -> bytes:
    """Return the payload, serialised without XML declaration."""
    root = etree.Element(_hl7("PRPA_IN201307UV02"), {"ITSVersion": "XML_1.0"}, nsmap={"hl7": HL7, "xsi": _XSI})
    _add(root, "id", root=question.sender_oid, extension=question.message_extension)
    _add(root, "creationTime", value=question.asked_at.astimezone(UTC).strftime("%Y%m%d%H%M%S"))
    _add(root, "interactionId", root=_INTERACTION, extension="PRPA_IN201307UV02")
    _add(root, "processingCode", code=profile.processing_code.value)
    _add(root, "processingModeCode", code="T")
    _add(root, "acceptAckCode", code="AL")
    for role, type_code, oid, name in (
        ("receiver", "RCV", profile.receiver_oid, profile.receiver_name),
        ("sender", "SND", question.sender_oid, question.sender_name),
    ):
        device = _add(_add(root, role, typeCode=type_code), "device", classCode="DEV", determinerCode="INSTANCE")
        _add(device, "id", root=oid)
        _add(device, "softwareName").text = name
    _add(root, "attentionLine").set(f"{{{_XSI}}}nil", "true")
    control = _add(root, "controlActProcess", classCode="CACT", moodCode="EVN")
    _add(
        control,
        "reasonCode",
        code="TEST_EXST",
        codeSystem=_REASON_SYSTEM,
        displayName="Test d'existence de dossier",
    )
    query = _add(control, "queryByParameter")
    _add(query, "queryId", root=question.sender_oid, extension=question.query_extension)
    _add(query, "statusCode", code="new")
    parameters = _add(query, "parameterList")
    _add(parameters, "dataSource").set(f"{{{_XSI}}}nil", "true")
    patient = _add(parameters, "patientIdentifier")
    _add(patient, "value", root=question.oid, extension=question.matricule)
    _add(patient, "semanticsText").text = "Patient.id"
    return etree.tostring(root, encoding="UTF-8", xml_declaration=False)


def read_existence(payload: etree._Element, profile: ExistenceProfile) -> ExistenceAnswer | Seen:
    """Return the answer, or what was seen instead of one."""
    if payload.tag != _hl7("PRPA_IN201308UV02"):
        return Seen(sign=Sign.UNEXPECTED_PAYLOAD)
    acknowledgement = _attribute(payload, "acknowledgement", "typeCode")
    response = _attribute(payload, "controlActProcess/queryAck/queryResponseCode", "code")
    if acknowledgement != "AA" or response not in ("OK", "NF"):
        detail = _attribute(payload, "acknowledgement/acknowledgementDetail/code", "code") or response or ""
        return Seen(sign=Sign.FAILURE_OTHER, service_code=code_text(detail) or None)
    if response == "NF":
        return ExistenceAnswer(exists=False, code="DMP_ABSENT", service_code="NF")
    status = _attribute(payload, "controlActProcess/subject/registrationEvent/subject1/patient/statusCode", "code")
    if status is None:
        return Seen(sign=Sign.UNEXPECTED_PAYLOAD)
    is_active = status in profile.active_statuses
    return ExistenceAnswer(
        exists=True,
        active=is_active,
        authorised=_authorised(payload, profile),
        attached_to_ens=_attached(payload),
        code="OK" if is_active else "DMP_CLOSED",
        service_code=code_text(status),
    )


def _authorised(payload: etree._Element, profile: ExistenceProfile) -> bool | None:
    for line in payload.iterfind(_path("attentionLine")):
        if _attribute(line, "keyWordText", "code") == _AUTHORISATION:
            return _attribute(line, "value", "code") in profile.authorised_values
    return None


def _attached(payload: etree._Element) -> bool | None:
    path = "controlActProcess/subject/registrationEvent/subject1/patient/subjectOf/administrativeObservation"
    for observation in payload.iterfind(_path(path)):
        if _attribute(observation, "code", "code") == _ENS:
            value = _attribute(observation, "value", "value")
            return {"true": True, "false": False}.get(value or "")
    return None


def _hl7(name: str) -> str:
    return f"{{{HL7}}}{name}"


def _path(path: str) -> str:
    return "/".join(_hl7(step) for step in path.split("/"))


def _attribute(element: etree._Element, path: str, name: str) -> str | None:
    found = element.find(_path(path))
    return None if found is None else found.get(name)


def _add(parent: etree._Element, tag: str, **attributes: str) -> etree._Element:
    return etree.SubElement(parent, _hl7(tag), attributes)
