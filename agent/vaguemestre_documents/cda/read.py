"""Read the header and the body of any CDA R2 document, level 1 or 3, ours or received.

Owns the values that XDS metadata and our checks need; lenient (what is absent is None), never repairs, never judges:
``check.py`` does. Values that hold persons do not print.
Source: HL7 CDA R2, CI-SIS Structuration minimale 1.16.8.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from enum import Enum
from typing import Final

from lxml import etree

from vaguemestre_core.contacts import CodedConcept
from vaguemestre_core.errors import InvalidInput
from vaguemestre_core.redaction import REDACTED
from vaguemestre_documents.cda.parse import DEFAULT_MAX_BYTES, parse_xml

NS: Final = {"h": "urn:hl7-org:v3"}
CLINICAL_DOCUMENT: Final = "{urn:hl7-org:v3}ClinicalDocument"


class BodyLevel(Enum):
    """Level of the body."""

    N1 = "N1"  # nonXMLBody
    N3 = "N3"  # structuredBody


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class HeaderId:
    """An instance identifier; either part may be absent."""

    root: str | None
    extension: str | None

    def __repr__(self) -> str:
        return f"HeaderId({REDACTED})"


@dataclass(frozen=True, slots=True, kw_only=True)
class HeaderCode:
    """A coded value as written; any part may be absent."""

    code: str | None
    code_system: str | None
    label: str | None

    def to_concept(self) -> CodedConcept | None:
        """Return the concept when its three parts are there and well formed, else None."""
        if self.code is None or self.code_system is None or self.label is None:
            return None
        try:
            return CodedConcept(code=self.code, code_system=self.code_system, label=self.label)
        except InvalidInput:
            return None


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class HeaderOrganization:
    """An organization."""

    id: HeaderId | None
    name: str | None
    practice_setting: HeaderCode | None

    def __repr__(self) -> str:
        return f"HeaderOrganization({REDACTED})"


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class HeaderPerson:
    """Someone who acts: author, legal authenticator, performer. A device has only ``device_name``."""

    id: HeaderId | None
    family: str | None
    given: str | None
    profession: HeaderCode | None
    function: HeaderCode | None
    organization: HeaderOrganization | None
    time: str | None
    device_name: str | None = None

    def __repr__(self) -> str:
        return f"HeaderPerson({REDACTED})"


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class HeaderPatient:
    """The patient as the document names him or her."""

    ids: tuple[HeaderId, ...]
    birth_name: str | None
    used_name: str | None
    given_names: str | None
    first_given_name: str | None
    gender: str | None
    birth_time: str | None
    birth_place_cog: str | None

    def __repr__(self) -> str:
        return f"HeaderPatient({REDACTED})"


@dataclass(frozen=True, slots=True, kw_only=True)
class HeaderEvent:
    """A documented act."""

    code: HeaderCode | None
    low: str | None
    high: str | None
    performer: HeaderPerson | None


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class CdaHeader:
    """The header of a document, as written."""

    template_ids: tuple[str, ...]
    id: HeaderId | None
    code: HeaderCode | None
    title: str | None
    effective_time: str | None
    confidentiality: HeaderCode | None
    language: str | None
    set_id: HeaderId | None
    version_number: int | None
    patient: HeaderPatient | None
    authors: tuple[HeaderPerson, ...]
    legal_authenticator: HeaderPerson | None
    custodian: HeaderOrganization | None
    events: tuple[HeaderEvent, ...]
    replaced_ids: tuple[HeaderId, ...]
    facility: HeaderCode | None
    level: BodyLevel | None
    body_media_type: str | None

    def __repr__(self) -> str:
        return f"CdaHeader({REDACTED})"


def parse_cda(content: bytes, *, max_bytes: int = DEFAULT_MAX_BYTES) -> etree._Element:
    """Return the ClinicalDocument element.

    Raises:
        InvalidInput: those of ``parse_xml``; ``CDA_ROOT_INVALID`` when the root is not a ClinicalDocument.
    """
    root = parse_xml(content, max_bytes=max_bytes)
    if root.tag != CLINICAL_DOCUMENT:
        raise InvalidInput("CDA_ROOT_INVALID")
    return root


def read_cda(content: bytes, *, max_bytes: int = DEFAULT_MAX_BYTES) -> CdaHeader:
    """Return the header of a document. Raises like ``parse_cda``."""
    return read_header(parse_cda(content, max_bytes=max_bytes))


def read_header(root: etree._Element) -> CdaHeader:
    """Return the header of a parsed ClinicalDocument."""
    authenticator = _first(root, "h:legalAuthenticator")
    organization = _first(root, "h:custodian/h:assignedCustodian/h:representedCustodianOrganization")
    text = _first(root, "h:component/h:nonXMLBody/h:text")
    level = None
    if _first(root, "h:component/h:nonXMLBody") is not None:
        level = BodyLevel.N1
    elif _first(root, "h:component/h:structuredBody") is not None:
        level = BodyLevel.N3
    return CdaHeader(
        template_ids=tuple(value for item in _all(root, "h:templateId") if (value := item.get("root")) is not None),
        id=_id(_first(root, "h:id")),
        code=_code(_first(root, "h:code")),
        title=_text(_first(root, "h:title")),
        effective_time=_value(root, "h:effectiveTime"),
        confidentiality=_code(_first(root, "h:confidentialityCode")),
        language=_attribute(root, "h:languageCode", "code"),
        set_id=_id(_first(root, "h:setId")),
        version_number=_integer(_value(root, "h:versionNumber")),
        patient=_patient(_first(root, "h:recordTarget/h:patientRole")),
        authors=tuple(_person(item, "h:assignedAuthor") for item in _all(root, "h:author")),
        legal_authenticator=None if authenticator is None else _person(authenticator, "h:assignedEntity"),
        custodian=None if organization is None else _organization(organization),
        events=tuple(_event(item) for item in _all(root, "h:documentationOf/h:serviceEvent")),
        replaced_ids=tuple(
            found
            for item in _all(root, "h:relatedDocument[@typeCode='RPLC']/h:parentDocument/h:id")
            if (found := _id(item)) is not None
        ),
        facility=_code(_first(root, "h:componentOf/h:encompassingEncounter/h:location/h:healthCareFacility/h:code")),
        level=level,
        body_media_type=None if text is None else text.get("mediaType"),
    )


def read_n1_body(root: etree._Element) -> bytes:
    """Return the bytes embedded in a level 1 document.

    Raises:
        InvalidInput: ``CDA_BODY_UNREADABLE`` (not_n1, base64, empty).
    """
    text = _first(root, "h:component/h:nonXMLBody/h:text")
    if text is None:
        raise InvalidInput("CDA_BODY_UNREADABLE", reason="not_n1")
    written = joined_text(text)
    if text.get("representation", "TXT") != "B64":
        content = written.encode()
    else:
        try:
            content = base64.b64decode("".join(written.split()), validate=True)
        except (binascii.Error, ValueError):
            raise InvalidInput("CDA_BODY_UNREADABLE", reason="base64") from None
    if not content:
        raise InvalidInput("CDA_BODY_UNREADABLE", reason="empty")
    return content


# --- parts ---------------------------------------------------------------------------------------------------------


def _all(parent: etree._Element, path: str) -> list[etree._Element]:
    return parent.findall(path, NS)


def _first(parent: etree._Element, path: str) -> etree._Element | None:
    return parent.find(path, NS)


def _attribute(parent: etree._Element, path: str, name: str) -> str | None:
    found = _first(parent, path)
    return None if found is None else found.get(name)


def _value(parent: etree._Element, path: str) -> str | None:
    return _attribute(parent, path, "value")


def _text(element: etree._Element | None) -> str | None:
    if element is None:
        return None
    text = " ".join(joined_text(element).split())
    return text or None


def joined_text(element: etree._Element) -> str:
    """Return all the text under an element (comments were dropped by the parser)."""
    return "".join(str(part) for part in element.itertext())


def _integer(text: str | None) -> int | None:
    if text is None or not text.isascii() or not text.isdecimal() or len(text) > 9:
        return None
    return int(text)


def _id(element: etree._Element | None) -> HeaderId | None:
    if element is None or element.get("nullFlavor") is not None:
        return None
    return HeaderId(root=element.get("root"), extension=element.get("extension"))


def _code(element: etree._Element | None) -> HeaderCode | None:
    if element is None or element.get("code") is None:
        return None
    return HeaderCode(code=element.get("code"), code_system=element.get("codeSystem"), label=element.get("displayName"))


def _organization(element: etree._Element) -> HeaderOrganization:
    return HeaderOrganization(
        id=_id(_first(element, "h:id")),
        name=_text(_first(element, "h:name")),
        practice_setting=_code(_first(element, "h:standardIndustryClassCode")),
    )


def _person(element: etree._Element, role_path: str) -> HeaderPerson:
    role = _first(element, role_path)
    if role is None:
        role = etree.Element("absent")
    organization = _first(role, "h:representedOrganization")
    device = _first(role, "h:assignedAuthoringDevice")
    name = _first(role, "h:assignedPerson/h:name")
    return HeaderPerson(
        id=_id(_first(role, "h:id")),
        family=None if name is None else _text(_first(name, "h:family")),
        given=None if name is None else _text(_first(name, "h:given")),
        profession=_code(_first(role, "h:code")),
        function=_code(_first(element, "h:functionCode")),
        organization=None if organization is None else _organization(organization),
        time=_value(element, "h:time"),
        device_name=None if device is None else _text(_first(device, "h:softwareName")),
    )


def _patient(role: etree._Element | None) -> HeaderPatient | None:
    if role is None:
        return None
    base = "h:patient/h:name"
    return HeaderPatient(
        ids=tuple(found for item in _all(role, "h:id") if (found := _id(item)) is not None),
        birth_name=_text(_first(role, f"{base}/h:family[@qualifier='BR']")),
        used_name=_text(_first(role, f"{base}/h:family[@qualifier='CL']")),
        given_names=next(
            (_text(item) for item in _all(role, f"{base}/h:given") if item.get("qualifier") is None), None
        ),
        first_given_name=_text(_first(role, f"{base}/h:given[@qualifier='BR']")),
        gender=_attribute(role, "h:patient/h:administrativeGenderCode", "code"),
        birth_time=_value(role, "h:patient/h:birthTime"),
        birth_place_cog=_text(_first(role, "h:patient/h:birthplace/h:place/h:addr/h:county")),
    )


def _event(element: etree._Element) -> HeaderEvent:
    performer = _first(element, "h:performer")
    low = _value(element, "h:effectiveTime/h:low")
    return HeaderEvent(
        code=_code(_first(element, "h:code")),
        low=low if low is not None else _value(element, "h:effectiveTime"),
        high=_value(element, "h:effectiveTime/h:high"),
        performer=None if performer is None else _person(performer, "h:assignedEntity"),
    )
