"""ITI-41 and ITI-57 lots: the metadata of a submission as values.

Owns the reading of ebRIM. It judges nothing; `agreement` does.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from lxml import etree

from vaguemestre_sandbox import xmlsafe
from vaguemestre_sandbox.mtom import Package
from vaguemestre_sandbox.xmlsafe import LCM, RIM, XDSB, XOP, q

DOCUMENT_ENTRY: Final = "urn:uuid:7edca82f-054d-47f2-a032-9b2a5b5186c1"
SUBMISSION_SET_NODE: Final = "urn:uuid:a54d6aa5-d40d-43f9-88c5-b4633d873bdd"
AUTHOR: Final = "urn:uuid:93606bcf-9494-43ec-9b4e-a7748d1a838d"
CLASS_CODE: Final = "urn:uuid:41a5887f-8865-4c09-adf7-e362475b143a"
TYPE_CODE: Final = "urn:uuid:f0306f51-975f-434e-a61c-c59651d33983"
FORMAT_CODE: Final = "urn:uuid:a09d5840-386c-46f2-b5ad-9c3699a4309d"
CONFIDENTIALITY: Final = "urn:uuid:f4f85eac-e6cb-4883-b524-f2705394840f"
FACILITY: Final = "urn:uuid:f33fb8ac-18af-42cc-ae0e-ed0b0bdb91e1"
PRACTICE_SETTING: Final = "urn:uuid:cccf5598-8b07-4b77-a05e-ae952c785ead"
EVENT_CODE: Final = "urn:uuid:2c6b8cb7-8b2a-4051-b291-b1ae6a575ef4"
ENTRY_PATIENT: Final = "urn:uuid:58a6f841-87b3-4a3e-92fd-a8ffeff98427"
ENTRY_UNIQUE_ID: Final = "urn:uuid:2e82c1f6-a085-4c72-9da3-8640a32e42ab"
SET_AUTHOR: Final = "urn:uuid:a7058bb9-b4e4-4307-ba5b-e3f0ab85e12d"
SET_CONTENT_TYPE: Final = "urn:uuid:aa543740-bdda-424e-8c96-df4873be8500"
SET_PATIENT: Final = "urn:uuid:6b5aea1a-874d-4603-a4bc-96a0a7b38446"
SET_SOURCE: Final = "urn:uuid:554ac39e-e3fe-47fe-b233-965d2a147832"
SET_UNIQUE_ID: Final = "urn:uuid:96fdda7c-d067-4183-912e-bf5ee74998a8"
HAS_MEMBER: Final = "urn:oasis:names:tc:ebxml-regrep:AssociationType:HasMember"
REPLACES: Final = "urn:ihe:iti:2007:AssociationType:RPLC"
UPDATE_STATUS: Final = "urn:ihe:iti:2010:AssociationType:UpdateAvailabilityStatus"
SIGNS: Final = "urn:ihe:iti:2007:AssociationType:signs"
SIGNATURE_FORMAT: Final = "http://www.w3.org/2000/09/xmldsig#"


class MalformedLotError(ValueError):
    """The request is not a readable lot."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Coded:
    """One coded classification: code, coding scheme, label."""

    code: str
    system: str
    label: str


@dataclass(frozen=True, slots=True, kw_only=True)
class XdsAuthor:
    """One author classification, HL7 v2 texts as sent."""

    person: str
    institutions: tuple[str, ...]
    roles: tuple[str, ...]
    specialties: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One ExtrinsicObject, document or signature."""

    element: etree._Element
    symbolic_id: str
    mime_type: str
    object_type: str
    unique_id: str
    patient_id: str
    title: str
    authors: tuple[XdsAuthor, ...]
    class_codes: tuple[Coded, ...]
    type_codes: tuple[Coded, ...]
    format_codes: tuple[Coded, ...]
    confidentiality: tuple[Coded, ...]
    facilities: tuple[Coded, ...]
    practice_settings: tuple[Coded, ...]
    events: tuple[Coded, ...]

    def slot(self, name: str) -> tuple[str, ...]:
        """Return the values of one slot, empty when absent."""
        return slot_values(self.element, name)

    @property
    def is_signature(self) -> bool:
        """True for the signature document of the lot."""
        return any(code.code == SIGNATURE_FORMAT for code in self.format_codes)


@dataclass(frozen=True, slots=True, kw_only=True)
class SubmissionSet:
    """The RegistryPackage of the lot."""

    symbolic_id: str
    unique_id: str
    source_id: str
    patient_id: str
    submission_time: str
    title: str
    authors: tuple[XdsAuthor, ...]
    content_types: tuple[Coded, ...]
    is_classified: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """One association."""

    kind: str
    source: str
    target: str
    status: str
    slots: tuple[tuple[str, str], ...] = ()

    def slot(self, name: str) -> str:
        """Return the first value of one slot, empty when absent."""
        return next((value for found, value in self.slots if found == name), "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Lot:
    """A whole submission. `contents` maps symbolic ids to the bytes received."""

    submission: SubmissionSet
    package: etree._Element
    entries: tuple[Entry, ...]
    links: tuple[Link, ...]
    contents: tuple[tuple[str, bytes], ...]

    def content_of(self, entry: Entry) -> bytes | None:
        """Return the bytes of one entry, or None."""
        return next((data for name, data in self.contents if name == entry.symbolic_id), None)

    @property
    def documents(self) -> tuple[Entry, ...]:
        """The entries that are not signatures."""
        return tuple(entry for entry in self.entries if not entry.is_signature)


def slot_values(element: etree._Element, name: str) -> tuple[str, ...]:
    """Return the values of a direct Slot child."""
    for slot in element.iterfind(q(RIM, "Slot")):
        if slot.get("name") == name:
            path = f"{q(RIM, 'ValueList')}/{q(RIM, 'Value')}"
            return tuple(xmlsafe.text_of(value) for value in slot.iterfind(path))
    return ()


def localized(element: etree._Element, name: str = "Name") -> str:
    """Return the text of Name or Description."""
    return xmlsafe.attribute(xmlsafe.child(element, q(RIM, name), q(RIM, "LocalizedString")), "value")


def external(element: etree._Element, scheme: str) -> str:
    """Return the value of an ExternalIdentifier, empty when absent or repeated."""
    values = [
        found.get("value") or ""
        for found in element.iterfind(q(RIM, "ExternalIdentifier"))
        if found.get("identificationScheme") == scheme
    ]
    return values[0] if len(values) == 1 else ""


def _codes(element: etree._Element, scheme: str) -> tuple[Coded, ...]:
    return tuple(
        Coded(
            code=found.get("nodeRepresentation") or "",
            system=next(iter(slot_values(found, "codingScheme")), ""),
            label=localized(found),
        )
        for found in element.iterfind(q(RIM, "Classification"))
        if found.get("classificationScheme") == scheme
    )


def _authors(element: etree._Element, scheme: str) -> tuple[XdsAuthor, ...]:
    return tuple(
        XdsAuthor(
            person=next(iter(slot_values(found, "authorPerson")), ""),
            institutions=slot_values(found, "authorInstitution"),
            roles=slot_values(found, "authorRole"),
            specialties=slot_values(found, "authorSpecialty"),
        )
        for found in element.iterfind(q(RIM, "Classification"))
        if found.get("classificationScheme") == scheme
    )


def _entry(element: etree._Element) -> Entry:
    return Entry(
        element=element,
        symbolic_id=element.get("id") or "",
        mime_type=element.get("mimeType") or "",
        object_type=element.get("objectType") or "",
        unique_id=external(element, ENTRY_UNIQUE_ID),
        patient_id=external(element, ENTRY_PATIENT),
        title=localized(element),
        authors=_authors(element, AUTHOR),
        class_codes=_codes(element, CLASS_CODE),
        type_codes=_codes(element, TYPE_CODE),
        format_codes=_codes(element, FORMAT_CODE),
        confidentiality=_codes(element, CONFIDENTIALITY),
        facilities=_codes(element, FACILITY),
        practice_settings=_codes(element, PRACTICE_SETTING),
        events=_codes(element, EVENT_CODE),
    )


def _submission(element: etree._Element, objects: etree._Element) -> SubmissionSet:
    symbolic_id = element.get("id") or ""
    classified = any(
        found.get("classificationNode") == SUBMISSION_SET_NODE and found.get("classifiedObject") == symbolic_id
        for parent in (element, objects)
        for found in parent.iterfind(q(RIM, "Classification"))
    )
    return SubmissionSet(
        symbolic_id=symbolic_id,
        unique_id=external(element, SET_UNIQUE_ID),
        source_id=external(element, SET_SOURCE),
        patient_id=external(element, SET_PATIENT),
        submission_time=next(iter(slot_values(element, "submissionTime")), ""),
        title=localized(element),
        authors=_authors(element, SET_AUTHOR),
        content_types=_codes(element, SET_CONTENT_TYPE),
        is_classified=classified,
    )


def read_lot(payload: etree._Element, package: Package | None) -> Lot:
    """Return the lot of a ProvideAndRegisterDocumentSetRequest. Raises MalformedLotError."""
    if payload.tag != q(XDSB, "ProvideAndRegisterDocumentSetRequest"):
        raise MalformedLotError("not a ProvideAndRegisterDocumentSetRequest")
    objects = xmlsafe.child(payload, q(LCM, "SubmitObjectsRequest"), q(RIM, "RegistryObjectList"))
    if objects is None:
        raise MalformedLotError("no RegistryObjectList")
    contents: list[tuple[str, bytes]] = []
    for element in payload.iterfind(q(XDSB, "Document")):
        include = element.find(q(XOP, "Include"))
        if include is None or package is None:
            raise MalformedLotError("documents travel as XOP parts")
        data = package.by_reference(include.get("href") or "")
        if data is None:
            raise MalformedLotError("an xop:Include names no part")
        contents.append((element.get("id") or "", data))
    return _lot(objects, tuple(contents))


def read_change(payload: etree._Element) -> Lot:
    """Return the lot of an ITI-57 SubmitObjectsRequest, which carries no document. Raises MalformedLotError."""
    if payload.tag != q(LCM, "SubmitObjectsRequest"):
        raise MalformedLotError("not a SubmitObjectsRequest")
    objects = xmlsafe.child(payload, q(RIM, "RegistryObjectList"))
    if objects is None:
        raise MalformedLotError("no RegistryObjectList")
    return _lot(objects, ())


def _lot(objects: etree._Element, contents: tuple[tuple[str, bytes], ...]) -> Lot:
    packages = objects.findall(q(RIM, "RegistryPackage"))
    if len(packages) != 1:
        raise MalformedLotError("exactly one RegistryPackage is expected")
    return Lot(
        submission=_submission(packages[0], objects),
        package=packages[0],
        entries=tuple(_entry(element) for element in objects.iterfind(q(RIM, "ExtrinsicObject"))),
        links=tuple(_link(element) for element in objects.iterfind(q(RIM, "Association"))),
        contents=contents,
    )


def _link(element: etree._Element) -> Link:
    slots = tuple(
        (name, next(iter(slot_values(element, name)), ""))
        for name in (slot.get("name") or "" for slot in element.iterfind(q(RIM, "Slot")))
    )
    return Link(
        kind=element.get("associationType") or "",
        source=element.get("sourceObject") or "",
        target=element.get("targetObject") or "",
        status=next(iter(slot_values(element, "SubmissionSetStatus")), ""),
        slots=slots,
    )
