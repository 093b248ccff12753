"""XDS metadata to and from ebRIM 3.0: the RegistryObjectList of a submission, the ExtrinsicObjects of an answer.

Owns the ebRIM shape; never the SOAP around it, never the choice of the codes.
Source: IHE ITI TF-3 (XDS.b metadata), DMP sample messages 2.05.00 (slots, order, charset attributes).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from itertools import count
from typing import Final

from lxml import etree

from vaguemestre_core.contacts import CodedConcept
from vaguemestre_core.errors import InvalidInput
from vaguemestre_core.redaction import REDACTED
from vaguemestre_documents.cda.parse import DEFAULT_MAX_BYTES, parse_xml
from vaguemestre_documents.codes import Confidentiality
from vaguemestre_documents.xds.metadata import DocumentEntry, EntryAuthor, SubmissionSet

RIM: Final = "urn:oasis:names:tc:ebxml-regrep:xsd:rim:3.0"
LCM: Final = "urn:oasis:names:tc:ebxml-regrep:xsd:lcm:3.0"
_XML_LANG: Final = "{http://www.w3.org/XML/1998/namespace}lang"

STABLE_DOCUMENT: Final = "urn:uuid:7edca82f-054d-47f2-a032-9b2a5b5186c1"
HAS_MEMBER: Final = "urn:oasis:names:tc:ebxml-regrep:AssociationType:HasMember"
_SIGNS: Final = "urn:ihe:iti:2007:AssociationType:signs"
_RPLC: Final = "urn:ihe:iti:2007:AssociationType:RPLC"

_DOC_AUTHOR: Final = "urn:uuid:93606bcf-9494-43ec-9b4e-a7748d1a838d"
_DOC_CLASS: Final = "urn:uuid:41a5887f-8865-4c09-adf7-e362475b143a"
_DOC_TYPE: Final = "urn:uuid:f0306f51-975f-434e-a61c-c59651d33983"
_DOC_FORMAT: Final = "urn:uuid:a09d5840-386c-46f2-b5ad-9c3699a4309d"
DOC_CONFIDENTIALITY: Final = "urn:uuid:f4f85eac-e6cb-4883-b524-f2705394840f"
_DOC_FACILITY: Final = "urn:uuid:f33fb8ac-18af-42cc-ae0e-ed0b0bdb91e1"
_DOC_PRACTICE: Final = "urn:uuid:cccf5598-8b07-4b77-a05e-ae952c785ead"
_DOC_EVENT: Final = "urn:uuid:2c6b8cb7-8b2a-4051-b291-b1ae6a575ef4"
_DOC_PATIENT_ID: Final = "urn:uuid:58a6f841-87b3-4a3e-92fd-a8ffeff98427"
_DOC_UNIQUE_ID: Final = "urn:uuid:2e82c1f6-a085-4c72-9da3-8640a32e42ab"
_LEVELS: Final = frozenset(level.value for level in Confidentiality)
_SET_NODE: Final = "urn:uuid:a54d6aa5-d40d-43f9-88c5-b4633d873bdd"
_SET_AUTHOR: Final = "urn:uuid:a7058bb9-b4e4-4307-ba5b-e3f0ab85e12d"
_SET_CONTENT_TYPE: Final = "urn:uuid:aa543740-bdda-424e-8c96-df4873be8500"
_SET_PATIENT_ID: Final = "urn:uuid:6b5aea1a-874d-4603-a4bc-96a0a7b38446"
_SET_SOURCE_ID: Final = "urn:uuid:554ac39e-e3fe-47fe-b233-965d2a147832"
_SET_UNIQUE_ID: Final = "urn:uuid:96fdda7c-d067-4183-912e-bf5ee74998a8"

ORIGINAL: Final = (("SubmissionSetStatus", "Original"),)
SUBMISSION_SET_OBJECT: Final = "SubmissionSet01"
SIGNATURE_OBJECT: Final = "Signature01"


def document_object_id(position: int) -> str:
    """Return the symbolic id of the nth document (from 1): also the id of its part in the message."""
    return f"Document{position:02d}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """A submission: its set, its documents, its signature entry, and the entryUUID each document replaces.

    ``replaced_entry_uuids`` has one item per document, None where nothing is replaced.
    """

    submission_set: SubmissionSet
    documents: tuple[DocumentEntry, ...]
    replaced_entry_uuids: tuple[str | None, ...]
    signature: DocumentEntry | None = None
    include_hash_size: bool = False

    def __post_init__(self) -> None:
        if not self.documents or len(self.documents) != len(self.replaced_entry_uuids):
            raise InvalidInput("SUBMISSION_INVALID", reason="documents")
        everybody = {self.submission_set.patient_id, *(entry.patient_id for entry in self.documents)}
        if len(everybody) != 1:
            raise InvalidInput("SUBMISSION_INVALID", reason="several_patients")


def build_submit_objects_request(submission: Submission) -> etree._Element:
    """Return the ``lcm:SubmitObjectsRequest`` element of a submission."""
    writer = ObjectWriter()
    root = etree.Element(f"{{{LCM}}}SubmitObjectsRequest", nsmap={"lcm": LCM, "rim": RIM})
    objects = etree.SubElement(root, f"{{{RIM}}}RegistryObjectList")
    writer.submission_set(objects, submission.submission_set)
    members: list[str] = []
    for position, entry in enumerate(submission.documents, start=1):
        members.append(document_object_id(position))
        writer.document(objects, entry, members[-1], include_hash_size=submission.include_hash_size)
    if submission.signature is not None:
        members.append(SIGNATURE_OBJECT)
        writer.document(
            objects,
            submission.signature,
            SIGNATURE_OBJECT,
            include_hash_size=submission.include_hash_size and submission.signature.size > 0,
        )
    for member in members:
        writer.association(objects, HAS_MEMBER, SUBMISSION_SET_OBJECT, member, slots=ORIGINAL)
    if submission.signature is not None:
        writer.association(objects, _SIGNS, SIGNATURE_OBJECT, SUBMISSION_SET_OBJECT, slots=ORIGINAL)
    for position, replaced in enumerate(submission.replaced_entry_uuids, start=1):
        if replaced is not None:
            writer.association(objects, _RPLC, document_object_id(position), replaced)
    return root


def serialise_submit_objects_request(submission: Submission) -> bytes:
    """Return the request as UTF-8 bytes without XML declaration, the same for the same submission."""
    return etree.tostring(build_submit_objects_request(submission), encoding="UTF-8", xml_declaration=False)


class ObjectWriter:
    """Writes ebRIM elements, numbering classifications, identifiers and associations in order."""

    def __init__(self) -> None:
        self._classifications = count(1)
        self._identifiers = count(1)
        self._associations = count(1)

    def submission_set(self, parent: etree._Element, item: SubmissionSet) -> None:
        """Write the RegistryPackage of a submission."""
        package = _sub(parent, "RegistryPackage", id=SUBMISSION_SET_OBJECT)
        _slot(package, "submissionTime", item.submission_time)
        if item.title is not None:
            _localized(package, "Name", item.title)
        self._author(package, _SET_AUTHOR, SUBMISSION_SET_OBJECT, item.author)
        self.coded(package, _SET_CONTENT_TYPE, SUBMISSION_SET_OBJECT, item.content_type)
        _sub(
            package,
            "Classification",
            classificationNode=_SET_NODE,
            classifiedObject=SUBMISSION_SET_OBJECT,
            id=f"cla{next(self._classifications)}",
        )
        for scheme, value, name in (
            (_SET_PATIENT_ID, item.patient_id, "XDSSubmissionSet.patientId"),
            (_SET_SOURCE_ID, item.source_id, "XDSSubmissionSet.sourceId"),
            (_SET_UNIQUE_ID, item.unique_id, "XDSSubmissionSet.uniqueId"),
        ):
            self._identifier(package, scheme, SUBMISSION_SET_OBJECT, value, name)

    def document(
        self, parent: etree._Element, entry: DocumentEntry, object_id: str, *, include_hash_size: bool
    ) -> None:
        """Write the ExtrinsicObject of a document."""
        extrinsic = _sub(parent, "ExtrinsicObject", id=object_id, mimeType=entry.mime_type, objectType=STABLE_DOCUMENT)
        _slot(extrinsic, "creationTime", entry.creation_time)
        if include_hash_size:
            _slot(extrinsic, "hash", entry.hash_sha1)
        _slot(extrinsic, "languageCode", entry.language)
        if entry.legal_authenticator is not None:
            _slot(extrinsic, "legalAuthenticator", entry.legal_authenticator)
        _slot(extrinsic, "serviceStartTime", entry.service_start_time)
        if entry.service_stop_time is not None:
            _slot(extrinsic, "serviceStopTime", entry.service_stop_time)
        if include_hash_size:
            _slot(extrinsic, "size", str(entry.size))
        _slot(extrinsic, "sourcePatientId", entry.source_patient_id)
        if entry.source_patient_info:
            _slot(extrinsic, "sourcePatientInfo", *entry.source_patient_info)
        _localized(extrinsic, "Name", entry.title)
        for author in entry.authors:
            self._author(extrinsic, _DOC_AUTHOR, object_id, author)
        for scheme, concept in (
            (_DOC_CLASS, entry.class_code),
            (_DOC_TYPE, entry.type_code),
            *((DOC_CONFIDENTIALITY, concept) for concept in entry.confidentiality_codes),
            (_DOC_FORMAT, entry.format_code),
            (_DOC_FACILITY, entry.facility_type_code),
            (_DOC_PRACTICE, entry.practice_setting_code),
            *((_DOC_EVENT, concept) for concept in entry.event_codes),
        ):
            self.coded(extrinsic, scheme, object_id, concept)
        self._identifier(extrinsic, _DOC_PATIENT_ID, object_id, entry.patient_id, "XDSDocumentEntry.patientId")
        self._identifier(extrinsic, _DOC_UNIQUE_ID, object_id, entry.unique_id, "XDSDocumentEntry.uniqueId")

    def association(
        self,
        parent: etree._Element,
        kind: str,
        source: str,
        target: str,
        *,
        slots: tuple[tuple[str, str], ...] = (),
    ) -> None:
        """Write an association with its slots."""
        association = _sub(
            parent,
            "Association",
            associationType=kind,
            id=f"assoc{next(self._associations)}",
            sourceObject=source,
            targetObject=target,
        )
        for name, value in slots:
            _slot(association, name, value)

    def _author(self, parent: etree._Element, scheme: str, object_id: str, author: EntryAuthor) -> None:
        element = self._classification(parent, scheme, object_id)
        _slot(element, "authorPerson", author.person)
        if author.role is not None:
            _slot(element, "authorRole", author.role)
        if author.specialty is not None:
            _slot(element, "authorSpecialty", author.specialty)
        if author.institution is not None:
            _slot(element, "authorInstitution", author.institution)

    def coded(self, parent: etree._Element, scheme: str, object_id: str, concept: CodedConcept) -> etree._Element:
        """Write a coded classification and return it."""
        element = self._classification(parent, scheme, object_id)
        element.set("nodeRepresentation", concept.code)
        _slot(element, "codingScheme", concept.code_system)
        _localized(element, "Name", concept.label)
        return element

    def _classification(self, parent: etree._Element, scheme: str, object_id: str) -> etree._Element:
        return _sub(
            parent,
            "Classification",
            classificationScheme=scheme,
            classifiedObject=object_id,
            id=f"cla{next(self._classifications)}",
        )

    def _identifier(self, parent: etree._Element, scheme: str, object_id: str, value: str, name: str) -> None:
        element = _sub(
            parent,
            "ExternalIdentifier",
            id=f"ei{next(self._identifiers)}",
            identificationScheme=scheme,
            registryObject=object_id,
            value=value,
        )
        _localized(element, "Name", name)


def _sub(parent: etree._Element, tag: str, **attributes: str) -> etree._Element:
    return etree.SubElement(parent, f"{{{RIM}}}{tag}", attributes)


def _slot(parent: etree._Element, name: str, *values: str) -> None:
    listed = _sub(_sub(parent, "Slot", name=name), "ValueList")
    for value in values:
        _sub(listed, "Value").text = value


def _localized(parent: etree._Element, tag: str, text: str) -> None:
    localized = _sub(_sub(parent, tag), "LocalizedString", charset="UTF8", value=text)
    localized.set(_XML_LANG, "FR")


# --- reading an answer -----------------------------------------------------------------------------------------------


class Availability(Enum):
    """What the registry says of an entry."""

    APPROVED = "urn:oasis:names:tc:ebxml-regrep:StatusType:Approved"
    DEPRECATED = "urn:oasis:names:tc:ebxml-regrep:StatusType:Deprecated"
    ARCHIVED = "urn:asip:ci-sis:2010:StatusType:Archived"
    DELETED = "urn:asip:ci-sis:2010:StatusType:Deleted"
    OTHER = "other"


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class RegisteredDocument:
    """An entry as the registry gives it back. ``status`` is its raw value; what is not given is None.

    ``entry_uuid`` changes at each change of metadata, ``lid`` does not. ``extrinsic`` is the whole entry, to be left as
    it is: a change of metadata gives it back.
    """

    unique_id: str
    entry_uuid: str
    lid: str | None
    version: str | None
    hash_sha1: str | None
    size: int | None
    status: str | None
    availability: Availability
    repository_unique_id: str | None
    patient_id: str | None
    source_patient_id: str | None
    confidentiality_codes: tuple[str, ...]
    extrinsic: etree._Element | None = field(default=None, compare=False)

    @property
    def visibility(self) -> frozenset[str]:
        """The visibility codes among the confidentiality codes."""
        return frozenset(self.confidentiality_codes) - _LEVELS

    @property
    def version_number(self) -> int | None:
        """The version as a number, from 1, when the registry gives one."""
        version = self.version
        return int(version) if version is not None and version.isascii() and version.isdecimal() else None

    def __repr__(self) -> str:
        return f"RegisteredDocument({REDACTED})"


def parse_extrinsic_objects(xml: bytes, *, max_bytes: int = DEFAULT_MAX_BYTES) -> tuple[RegisteredDocument, ...]:
    """Return the stable document entries found anywhere in an answer (TD3.1), in its order.

    Raises:
        InvalidInput: those of ``parse_xml``; ``REGISTRY_ANSWER_INVALID`` for an entry without uniqueId or id.
    """
    root = parse_xml(xml, max_bytes=max_bytes)
    return tuple(
        _registered(element)
        for element in root.iter(f"{{{RIM}}}ExtrinsicObject")
        if element.get("objectType", STABLE_DOCUMENT) == STABLE_DOCUMENT
    )


def _registered(element: etree._Element) -> RegisteredDocument:
    identifiers = {
        item.get("identificationScheme"): item.get("value") for item in element.findall(f"{{{RIM}}}ExternalIdentifier")
    }
    unique_id, entry_uuid = identifiers.get(_DOC_UNIQUE_ID), element.get("id")
    if unique_id is None or entry_uuid is None:
        raise InvalidInput("REGISTRY_ANSWER_INVALID")
    version = element.find(f"{{{RIM}}}VersionInfo")
    size = _slot_value(element, "size")
    status = element.get("status")
    return RegisteredDocument(
        unique_id=unique_id,
        entry_uuid=entry_uuid,
        lid=element.get("lid"),
        version=None if version is None else version.get("versionName"),
        hash_sha1=_slot_value(element, "hash"),
        size=int(size) if size is not None and size.isascii() and size.isdecimal() else None,
        status=status,
        availability=_availability(status),
        repository_unique_id=_slot_value(element, "repositoryUniqueId"),
        patient_id=identifiers.get(_DOC_PATIENT_ID),
        source_patient_id=_slot_value(element, "sourcePatientId"),
        confidentiality_codes=tuple(
            code
            for item in element.findall(f"{{{RIM}}}Classification")
            if item.get("classificationScheme") == DOC_CONFIDENTIALITY
            and (code := item.get("nodeRepresentation")) is not None
        ),
        extrinsic=element,
    )


def _availability(status: str | None) -> Availability:
    try:
        return Availability(status)
    except ValueError:
        return Availability.OTHER


def _slot_value(element: etree._Element, name: str) -> str | None:
    for slot in element.findall(f"{{{RIM}}}Slot"):
        if slot.get("name") == name:
            value = slot.find(f"{{{RIM}}}ValueList/{{{RIM}}}Value")
            return None if value is None or value.text is None else value.text.strip()
    return None
