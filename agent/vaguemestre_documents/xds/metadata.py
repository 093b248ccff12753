"""XDS metadata of a document, drawn from its CDA and from nothing else, and of a submission set.

Owns the mapping CDA header → DocumentEntry (one function, so that both cannot drift); the visibility masks are the
only thing that the CDA does not hold. Times become UTC without offset.
Source: CI-SIS volet Partage de documents as known by the DMP sample messages 2.05, the HL7v2 guide and the kit's
CDAHeaderToXDM mapping.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Final, TypeVar

from vaguemestre_core.contacts import CodedConcept, is_oid, require_oid
from vaguemestre_core.errors import InvalidInput
from vaguemestre_core.identities import INS_OIDS
from vaguemestre_core.redaction import REDACTED
from vaguemestre_documents.cda.parse import DEFAULT_MAX_BYTES
from vaguemestre_documents.cda.read import (
    BodyLevel,
    CdaHeader,
    HeaderCode,
    HeaderId,
    HeaderPatient,
    HeaderPerson,
    read_cda,
)
from vaguemestre_documents.codes import (
    CLASSES,
    CONFIDENTIALITY,
    DOCUMENT_TYPES,
    N1_FORMATS,
    N3_FORMATS,
    VISIBILITY,
    Confidentiality,
    MediaType,
    Visibility,
)
from vaguemestre_documents.hl7time import Hl7Time
from vaguemestre_documents.xds import hl7v2

T = TypeVar("T")

XDS_DOCUMENT_MIME_TYPE: Final = "text/xml"


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class EntryAuthor:
    """An author in HL7 v2 types."""

    person: str
    institution: str | None
    specialty: str | None
    role: str | None

    def __repr__(self) -> str:
        return f"EntryAuthor({REDACTED})"


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class DocumentEntry:
    """XDSDocumentEntry: everything as it goes on the wire. Times are UTC digits; ``hash_sha1`` is hexadecimal.

    ``replaced_unique_id`` is the uniqueId of the version that this one replaces, to look up its entryUUID.
    """

    unique_id: str
    set_id: str
    version_number: int
    title: str
    patient_id: str
    source_patient_id: str
    source_patient_info: tuple[str, ...]
    authors: tuple[EntryAuthor, ...]
    legal_authenticator: str | None
    creation_time: str
    service_start_time: str
    service_stop_time: str | None
    language: str
    class_code: CodedConcept
    type_code: CodedConcept
    format_code: CodedConcept
    confidentiality_codes: tuple[CodedConcept, ...]
    facility_type_code: CodedConcept
    practice_setting_code: CodedConcept
    event_codes: tuple[CodedConcept, ...]
    mime_type: str
    hash_sha1: str
    size: int
    replaced_unique_id: str | None = None

    def __repr__(self) -> str:
        return f"DocumentEntry({REDACTED})"


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class SubmissionSet:
    """XDSSubmissionSet. ``content_type`` is a setting of the profile; ``submission_time`` is UTC digits."""

    unique_id: str
    source_id: str
    submission_time: str
    content_type: CodedConcept
    patient_id: str
    author: EntryAuthor
    title: str | None = None

    def __post_init__(self) -> None:
        require_oid(self.unique_id, field="submission_set.unique_id")
        require_oid(self.source_id, field="submission_set.source_id")

    def __repr__(self) -> str:
        return f"SubmissionSet({REDACTED})"


def require_visibility(visibility: frozenset[Visibility]) -> None:
    """Refuse a set of masks that would leave nobody to read the document.

    Raises:
        InvalidInput: ``VISIBILITY_COMBINATION_FORBIDDEN``.
    """
    if {Visibility.INVISIBLE_PATIENT, Visibility.MASQUE_PS} <= visibility:
        raise InvalidInput("VISIBILITY_COMBINATION_FORBIDDEN")


def document_entry_from_cda(
    cda: bytes,
    *,
    visibility: frozenset[Visibility],
    class_code: CodedConcept | None = None,
    format_code: CodedConcept | None = None,
    max_bytes: int = DEFAULT_MAX_BYTES,
) -> DocumentEntry:
    """Return the entry of a document.

    ``class_code`` and ``format_code`` are used only for a type or a model that our tables do not know.

    Raises:
        InvalidInput: those of ``read_cda``; ``XDS_ATTRIBUTE_MISSING`` with the attribute's name;
            ``XDS_CLASS_UNKNOWN``, ``XDS_FORMAT_UNKNOWN``; ``VISIBILITY_COMBINATION_FORBIDDEN``.
    """
    require_visibility(visibility)
    header = read_cda(cda, max_bytes=max_bytes)
    if header.id is None or header.id.extension is not None or not is_oid(header.id.root or ""):
        raise InvalidInput("XDS_ATTRIBUTE_MISSING", attribute="uniqueId")
    patient = _need(header.patient, "patientId")
    event = header.events[0] if header.events else None
    event = _need(event, "serviceStartTime")
    performer = _need(event.performer, "practiceSettingCode")
    organization = _need(performer.organization, "practiceSettingCode")
    creation = _need(header.effective_time, "creationTime")
    start = _need(event.low, "serviceStartTime")
    type_code = _concept(header.code, "typeCode")
    return DocumentEntry(
        unique_id=_need(header.id.root, "uniqueId"),
        set_id=_identifier(_need(header.set_id, "setId")),
        version_number=_need(header.version_number, "versionNumber"),
        title=_need(header.title, "title"),
        patient_id=_patient_id(patient),
        source_patient_id=_source_patient_id(patient),
        source_patient_info=_source_patient_info(patient),
        authors=_authors(header),
        legal_authenticator=_person(header.legal_authenticator),
        creation_time=Hl7Time.parse(creation).to_xds(),
        service_start_time=Hl7Time.parse(start).to_xds(),
        service_stop_time=None if event.high is None else Hl7Time.parse(event.high).to_xds(),
        language=_need(header.language, "languageCode"),
        class_code=_class_code(type_code, class_code),
        type_code=type_code,
        format_code=_format_code(header, format_code),
        confidentiality_codes=_confidentiality(header, visibility),
        facility_type_code=_concept(header.facility, "healthcareFacilityTypeCode"),
        practice_setting_code=_concept(organization.practice_setting, "practiceSettingCode"),
        event_codes=_event_codes(header),
        mime_type=XDS_DOCUMENT_MIME_TYPE,
        hash_sha1=hashlib.sha1(cda, usedforsecurity=False).hexdigest(),
        size=len(cda),
        replaced_unique_id=header.replaced_ids[0].root if header.replaced_ids else None,
    )


def _need(value: T | None, attribute: str) -> T:
    if value is None:
        raise InvalidInput("XDS_ATTRIBUTE_MISSING", attribute=attribute)
    return value


def _concept(code: HeaderCode | None, attribute: str) -> CodedConcept:
    return _need(None if code is None else code.to_concept(), attribute)


def _identifier(item: HeaderId) -> str:
    root = _need(item.root, "setId")
    return root if item.extension is None else f"{root}^{item.extension}"


def _class_code(type_code: CodedConcept, given: CodedConcept | None) -> CodedConcept:
    known = DOCUMENT_TYPES.get(type_code.code)
    if known is not None and known.concept.code_system == type_code.code_system:
        return CLASSES[known.class_code]
    if given is None:
        raise InvalidInput("XDS_CLASS_UNKNOWN")
    return given


def _format_code(header: CdaHeader, given: CodedConcept | None) -> CodedConcept:
    if header.level is BodyLevel.N1:
        try:
            return N1_FORMATS[MediaType(header.body_media_type)]
        except ValueError:
            raise InvalidInput("XDS_FORMAT_UNKNOWN") from None
    # A model and its variants share a beginning: the longest OID is the most specific.
    for template in sorted(header.template_ids, key=len, reverse=True):
        if template in N3_FORMATS:
            return N3_FORMATS[template]
    if given is None:
        raise InvalidInput("XDS_FORMAT_UNKNOWN")
    return given


def _confidentiality(header: CdaHeader, visibility: frozenset[Visibility]) -> tuple[CodedConcept, ...]:
    written = header.confidentiality
    try:
        level = Confidentiality(None if written is None else written.code)
    except ValueError:
        raise InvalidInput("XDS_ATTRIBUTE_MISSING", attribute="confidentialityCode") from None
    return (CONFIDENTIALITY[level], *(VISIBILITY[mask] for mask in Visibility if mask in visibility))


def _event_codes(header: CdaHeader) -> tuple[CodedConcept, ...]:
    concepts = (None if event.code is None else event.code.to_concept() for event in header.events)
    return tuple(concept for concept in concepts if concept is not None)


# --- people ----------------------------------------------------------------------------------------------------------


def _split(patient: HeaderPatient) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """Return the INS ids and the local ids of a patient as (value, OID)."""
    pairs = [(item.extension, item.root) for item in patient.ids]
    complete = [(value, oid) for value, oid in pairs if value and oid]
    return (
        [pair for pair in complete if pair[1] in INS_OIDS],
        [pair for pair in complete if pair[1] not in INS_OIDS],
    )


def _patient_id(patient: HeaderPatient) -> str:
    ins, local = _split(patient)
    value, oid = _need(next(iter([*ins, *local]), None), "patientId")
    return hl7v2.cx(value=value, oid=oid)


def _source_patient_id(patient: HeaderPatient) -> str:
    ins, local = _split(patient)
    value, oid = _need(next(iter([*local, *ins]), None), "sourcePatientId")
    return hl7v2.cx(value=value, oid=oid)


def _source_patient_info(patient: HeaderPatient) -> tuple[str, ...]:
    family = patient.birth_name or patient.used_name or ""
    given = patient.first_given_name or patient.given_names or ""
    info = [f"PID-5|{hl7v2.escape(family)}^{hl7v2.escape(given)}^^^^^L"]
    if patient.birth_time is not None:
        info.append(f"PID-7|{Hl7Time.parse(patient.birth_time).to_cda()[:8]}")
    if patient.gender is not None:
        info.append(f"PID-8|{'U' if patient.gender == 'UN' else patient.gender}")
    return tuple(info)


def _person(person: HeaderPerson | None) -> str | None:
    if person is None or person.id is None or person.id.root is None or person.id.extension is None:
        return None
    value, oid = person.id.extension, person.id.root
    if person.device_name is not None:
        return hl7v2.xcn_device(value=value, oid=oid, name=person.device_name)
    return hl7v2.xcn(value=value, oid=oid, family=person.family or "", given=person.given or "")


def _authors(header: CdaHeader) -> tuple[EntryAuthor, ...]:
    authors: list[EntryAuthor] = []
    for person in header.authors:
        organization = person.organization
        institution = None
        if organization is not None and organization.id is not None and organization.name is not None:
            value, oid = organization.id.extension, organization.id.root
            if value is not None and oid is not None:
                institution = hl7v2.xon(name=organization.name, value=value, oid=oid)
        profession = None if person.profession is None else person.profession.to_concept()
        specialty = None
        if profession is not None:
            specialty = hl7v2.coded(code=profession.code, label=profession.label, code_system=profession.code_system)
        authors.append(
            EntryAuthor(
                person=_need(_person(person), "authorPerson"),
                institution=institution,
                specialty=specialty,
                role=None if person.function is None else person.function.label,
            )
        )
    if not authors:
        raise InvalidInput("XDS_ATTRIBUTE_MISSING", attribute="author")
    return tuple(authors)
