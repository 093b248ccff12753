"""Reading a CDA R2 document as the registry does: the facts that XDS metadata must repeat.

Owns its own reading of the header, shared with nobody. Values keep the form of the document, instants excepted,
which become XDS text (UTC, same precision).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from typing import Final

from lxml import etree

from vaguemestre_sandbox import xmlsafe
from vaguemestre_sandbox.xmlsafe import HL7, UnreadableXmlError, hl7_child, q

INS_OIDS: Final = frozenset(f"1.2.250.1.213.1.4.{arc}" for arc in (8, 9, 10, 11))
_TIME: Final = re.compile(r"(\d{4}(?:\d{2}(?:\d{2}(?:\d{4}(?:\d{2})?)?)?)?)([+-]\d{4})?")
XDS_SD_TEMPLATE: Final = "1.3.6.1.4.1.19376.1.2.20"


class UnreadableCdaError(ValueError):
    """The bytes are not a CDA R2 document."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CdaCode:
    """code and codeSystem of a coded element."""

    code: str
    system: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CdaPerson:
    """An assigned person: identifier, names, and the organisation."""

    id_root: str
    id_extension: str
    family: str
    given: str
    specialty: CdaCode
    organisation_id: str
    organisation_name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CdaFacts:
    """What the header says. Empty text = absent. `patients`: (matricule, OID) of INS identifiers only."""

    id_root: str
    id_extension: str
    code: CdaCode
    title: str
    effective_time: str
    confidentiality: CdaCode
    language: str
    set_id: str
    version_number: str
    template_ids: tuple[str, ...]
    patients: tuple[tuple[str, str], ...]
    patient_ids: tuple[tuple[str, str], ...]
    patient_family: str
    patient_givens: tuple[str, ...]
    patient_sex: str
    patient_birth: str
    authors: tuple[CdaPerson, ...]
    legal_authenticator: CdaPerson | None
    service_start: str
    service_stop: str
    practice_setting: CdaCode
    facility: CdaCode
    events: tuple[CdaCode, ...]
    replaces: str
    body_media_type: str


def xds_time(text: str) -> str:
    """Return a CDA instant as XDS text: UTC when it has hours, else the date as it is; empty when unreadable."""
    found = _TIME.fullmatch(text)
    if found is None:
        return ""
    digits, offset = found[1], found[2]
    if len(digits) <= 8:
        return digits
    if offset is None:
        return ""
    sign = -1 if offset[0] == "-" else 1
    zone = timezone(sign * timedelta(hours=int(offset[1:3]), minutes=int(offset[3:5])))
    shape = "%Y%m%d%H%M%S" if len(digits) == 14 else "%Y%m%d%H%M"
    try:
        instant = datetime.strptime(digits, shape).replace(tzinfo=zone)
    except ValueError:
        return ""
    return instant.astimezone(UTC).strftime(shape)


def read_cda(data: bytes) -> CdaFacts:
    """Return the facts of a CDA document. Raises UnreadableCdaError."""
    try:
        root = xmlsafe.parse(data)
    except UnreadableXmlError as error:
        raise UnreadableCdaError(str(error)) from error
    if root.tag != q(HL7, "ClinicalDocument"):
        raise UnreadableCdaError("the root element is not ClinicalDocument")
    role = hl7_child(root, "recordTarget", "patientRole")
    patient = hl7_child(role, "patient")
    event = hl7_child(root, "documentationOf", "serviceEvent")
    period = hl7_child(event, "effectiveTime")
    identifier = hl7_child(root, "id")
    ids = _ids(role)
    legal = hl7_child(root, "legalAuthenticator", "assignedEntity")
    return CdaFacts(
        id_root=xmlsafe.attribute(identifier, "root"),
        id_extension=xmlsafe.attribute(identifier, "extension"),
        code=_code(hl7_child(root, "code")),
        title=" ".join(xmlsafe.text_of(hl7_child(root, "title")).split()),
        effective_time=xds_time(xmlsafe.attribute(hl7_child(root, "effectiveTime"), "value")),
        confidentiality=_code(hl7_child(root, "confidentialityCode")),
        language=xmlsafe.attribute(hl7_child(root, "languageCode"), "code"),
        set_id=xmlsafe.attribute(hl7_child(root, "setId"), "root"),
        version_number=xmlsafe.attribute(hl7_child(root, "versionNumber"), "value"),
        template_ids=tuple(found.get("root") or "" for found in root.iterfind(q(HL7, "templateId"))),
        patients=tuple((extension, oid) for extension, oid in ids if oid in INS_OIDS),
        patient_ids=ids,
        patient_family=_family(patient),
        patient_givens=_givens(patient),
        patient_sex=xmlsafe.attribute(hl7_child(patient, "administrativeGenderCode"), "code"),
        patient_birth=xmlsafe.attribute(hl7_child(patient, "birthTime"), "value"),
        authors=tuple(
            _person(hl7_child(found, "assignedAuthor"), "assignedPerson") for found in root.iterfind(q(HL7, "author"))
        ),
        legal_authenticator=None if legal is None else _person(legal, "assignedPerson"),
        service_start=xds_time(
            xmlsafe.attribute(hl7_child(period, "low"), "value") or xmlsafe.attribute(period, "value")
        ),
        service_stop=xds_time(xmlsafe.attribute(hl7_child(period, "high"), "value")),
        practice_setting=_code(
            hl7_child(event, "performer", "assignedEntity", "representedOrganization", "standardIndustryClassCode")
        ),
        facility=_code(
            hl7_child(root, "componentOf", "encompassingEncounter", "location", "healthCareFacility", "code")
        ),
        events=tuple(
            _code(code)
            for found in root.iterfind(f"{q(HL7, 'documentationOf')}/{q(HL7, 'serviceEvent')}")
            if (code := found.find(q(HL7, "code"))) is not None and code.get("code")
        ),
        replaces=_replaces(root),
        body_media_type=xmlsafe.attribute(hl7_child(root, "component", "nonXMLBody", "text"), "mediaType"),
    )


def body_of(data: bytes) -> tuple[str, str] | None:
    """Return (media type, base64 text) of a level 1 body, or None."""
    text = hl7_child(xmlsafe.parse(data), "component", "nonXMLBody", "text")
    if text is None or text.get("representation") != "B64":
        return None
    return text.get("mediaType") or "", "".join((text.text or "").split())


def _code(element: etree._Element | None) -> CdaCode:
    return CdaCode(code=xmlsafe.attribute(element, "code"), system=xmlsafe.attribute(element, "codeSystem"))


def _ids(role: etree._Element | None) -> tuple[tuple[str, str], ...]:
    if role is None:
        return ()
    return tuple((found.get("extension") or "", found.get("root") or "") for found in role.iterfind(q(HL7, "id")))


def _family(patient: etree._Element | None) -> str:
    name = hl7_child(patient, "name")
    if name is None:
        return ""
    families = name.findall(q(HL7, "family"))
    birth = [found for found in families if found.get("qualifier") == "BR"]
    return xmlsafe.text_of(next(iter(birth or families), None))


def _givens(patient: etree._Element | None) -> tuple[str, ...]:
    """Every reading of the given names that XDS may repeat: first birth given name, or the whole list."""
    name = hl7_child(patient, "name")
    if name is None:
        return ()
    return tuple(xmlsafe.text_of(found) for found in name.iterfind(q(HL7, "given")))


def _person(element: etree._Element | None, person: str) -> CdaPerson:
    identifier = hl7_child(element, "id")
    name = hl7_child(element, person, "name")
    organisation = hl7_child(element, "representedOrganization")
    return CdaPerson(
        id_root=xmlsafe.attribute(identifier, "root"),
        id_extension=xmlsafe.attribute(identifier, "extension"),
        family=xmlsafe.text_of(hl7_child(name, "family")),
        given=xmlsafe.text_of(hl7_child(name, "given")),
        specialty=_code(hl7_child(element, "code")),
        organisation_id=xmlsafe.attribute(hl7_child(organisation, "id"), "extension"),
        organisation_name=xmlsafe.text_of(hl7_child(organisation, "name")),
    )


def _replaces(root: etree._Element) -> str:
    for related in root.iterfind(q(HL7, "relatedDocument")):
        if related.get("typeCode") == "RPLC":
            return xmlsafe.attribute(hl7_child(related, "parentDocument", "id"), "root")
    return ""
