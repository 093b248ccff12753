"""TD0.2: does this patient have a DMP, and may this professional consult it.

Reads PRPA_IN201307UV02, writes PRPA_IN201308UV02. Source: the official sample messages.
"""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Final

from lxml import etree

from vaguemestre_sandbox import xmlsafe
from vaguemestre_sandbox.clock import hl7
from vaguemestre_sandbox.nomenclature import DOCTORS
from vaguemestre_sandbox.settings import DmpProfile
from vaguemestre_sandbox.soap import SoapFaultError
from vaguemestre_sandbox.store import PatientRow, SandboxStore
from vaguemestre_sandbox.vihf import Vihf
from vaguemestre_sandbox.xmlsafe import HL7, XSI, hl7_child, q

ACTION: Final = "urn:hl7-org:v3:PRPA_IN201307UV02"
ANSWER_ACTION: Final = "urn:hl7-org:v3:PRPA_IN201308UV02"
_DMP_ID: Final = "1.2.250.1.213.4.1.1.1"
_REASON_SYSTEM: Final = "1.2.250.1.213.1.1.4.11"


def answer_existence(
    payload: etree._Element,
    vihf: Vihf,
    *,
    store: SandboxStore,
    profile: DmpProfile,
    now: datetime,
    lie_unknown: bool = False,
) -> etree._Element:
    """Return the answer about one patient. Raises SoapFaultError when the message breaks a rule."""
    if payload.tag != q(HL7, "PRPA_IN201307UV02"):
        raise SoapFaultError("Body is not PRPA_IN201307UV02")
    if xmlsafe.attribute(hl7_child(payload, "interactionId"), "extension") != "PRPA_IN201307UV02":
        raise SoapFaultError("interactionId")
    if xmlsafe.attribute(hl7_child(payload, "receiver", "device", "id"), "root") != _DMP_ID:
        raise SoapFaultError("receiver is not the DMP")
    control = hl7_child(payload, "controlActProcess")
    reason = hl7_child(control, "reasonCode")
    if (xmlsafe.attribute(reason, "code"), xmlsafe.attribute(reason, "codeSystem")) != (
        "TEST_EXST",
        _REASON_SYSTEM,
    ):
        raise SoapFaultError("reasonCode is not TEST_EXST")
    query = hl7_child(control, "queryByParameter")
    value = hl7_child(query, "parameterList", "patientIdentifier", "value")
    key = f"{xmlsafe.attribute(value, 'extension')}^{xmlsafe.attribute(value, 'root')}"
    if key != vihf.patient:
        raise SoapFaultError("resource-id of the VIHF is not the patient of the query")
    patient = store.patient(key)
    if lie_unknown or (patient is not None and patient.dmp == "none"):
        patient = None
    return _build(payload, vihf, patient, profile, now)


def _build(
    payload: etree._Element, vihf: Vihf, patient: PatientRow | None, profile: DmpProfile, now: datetime
) -> etree._Element:
    root = etree.Element(q(HL7, "PRPA_IN201308UV02"), ITSVersion="XML_1.0", nsmap={"hl7": HL7, "xsi": XSI})
    _add(root, "id", root=str(uuid.uuid4()))
    _add(root, "creationTime", value=hl7(now))
    _add(root, "interactionId", root="2.16.840.1.113883.1.6", extension="PRPA_IN201308UV02")
    _add(root, "processingCode", code="P")
    _add(root, "processingModeCode", code="T")
    _add(root, "acceptAckCode", code="NE")
    sender = hl7_child(payload, "sender", "device", "id")
    for role, kind, identifier in (
        ("receiver", "RCV", xmlsafe.attribute(sender, "root")),
        ("sender", "SND", _DMP_ID),
    ):
        device = _add(_add(root, role, typeCode=kind), "device", classCode="DEV", determinerCode="INSTANCE")
        _add(device, "id", root=identifier)
        _add(device, "softwareName").text = "DMP" if role == "sender" else "LPS"
    if patient is not None:
        doctor = next((found for found in DOCTORS if found.national_id == vihf.name_id), None)
        line = _add(root, "attentionLine")
        _add(line, "keyWordText", code="AUTORISATION", codeSystem="1.2.250.1.213.4.1.2.6.1")
        authorization = _add(line, "value", code=patient.authorization, codeSystem="1.2.250.1.213.4.1.2.6.2")
        authorization.set(q(XSI, "type"), "CV")
        line = _add(root, "attentionLine")
        _add(line, "keyWordText", code="STATUT_MT", codeSystem="1.2.250.1.213.4.1.2.6.3")
        _boolean(line, doctor is not None and doctor.is_treating_doctor)
    acknowledgement = _add(root, "acknowledgement", typeCode="AA")
    _copy_id(_add(acknowledgement, "targetMessage"), "id", hl7_child(payload, "id"))
    control = _add(root, "controlActProcess", classCode="CACT", moodCode="EVN")
    _add(control, "reasonCode", code="TEST_EXST", codeSystem=_REASON_SYSTEM)
    if patient is not None:
        _subject(control, patient, profile)
    ack = _add(control, "queryAck")
    _copy_id(ack, "queryId", hl7_child(payload, "controlActProcess", "queryByParameter", "queryId"))
    _add(ack, "queryResponseCode", code="NF" if patient is None else "OK")
    return root


def _subject(control: etree._Element, patient: PatientRow, profile: DmpProfile) -> None:
    subject = _add(control, "subject", typeCode="SUBJ", contextConductionInd="false")
    event = _add(subject, "registrationEvent", classCode="REG", moodCode="EVN")
    _add(event, "statusCode", code="completed")
    element = _add(_add(event, "subject1", typeCode="SBJ"), "patient", classCode="PAT")
    _add(element, "id", root=patient.oid, extension=patient.matricule)
    status = "active" if patient.dmp == "open" else profile.closed_status_code
    _add(element, "statusCode", code=status)
    person = _add(element, "patientPerson", classCode="PSN", determinerCode="INSTANCE")
    name = _add(person, "name")
    _add(name, "given").text = patient.given
    _add(name, "family", qualifier="SP").text = patient.family
    _add(person, "administrativeGenderCode", code=patient.sex)
    _add(person, "birthTime", value=patient.birth)
    for code, system, value in (
        ("COMPTE_INTERNET_OUVERT", "1.2.250.1.213.4.1.2.9", patient.internet_account),
        ("RATTACHEMENT_ENS", "1.2.250.1.213.4.1.2.3", patient.ens),
    ):
        observation = _add(
            _add(element, "subjectOf", typeCode="SBJ"),
            "administrativeObservation",
            classCode="OBS",
            moodCode="EVN",
        )
        _add(observation, "code", code=code, codeSystem=system)
        _boolean(observation, value)
    custodian = _add(event, "custodian", typeCode="CST")
    _add(_add(custodian, "assignedEntity", classCode="ASSIGNED"), "id", root=_DMP_ID)


def _add(parent: etree._Element, name: str, **attributes: str) -> etree._Element:
    return etree.SubElement(parent, q(HL7, name), attributes)


def _boolean(parent: etree._Element, value: bool) -> None:
    _add(parent, "value", value="true" if value else "false").set(q(XSI, "type"), "BL")


def _copy_id(parent: etree._Element, name: str, source: etree._Element | None) -> None:
    attributes = {key: text for key in ("root", "extension") if (text := xmlsafe.attribute(source, key))}
    _add(parent, name, **attributes)
