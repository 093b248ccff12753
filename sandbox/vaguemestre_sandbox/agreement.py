"""What the simulated registry refuses in a lot: structure, code tables, and any disagreement with the CDA.

Pure: a lot and facts in, findings out. Each finding carries an IHE ITI error code. Source: the list of XDS fields
that the CDA fixes, and the national metadata rules.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from vaguemestre_sandbox import nomenclature as nos
from vaguemestre_sandbox.cdafacts import XDS_SD_TEMPLATE, CdaCode, CdaFacts, CdaPerson
from vaguemestre_sandbox.xdslot import (
    DOCUMENT_ENTRY,
    HAS_MEMBER,
    REPLACES,
    SIGNS,
    Coded,
    Entry,
    Lot,
    SubmissionSet,
    XdsAuthor,
)

METADATA: Final = "XDSRegistryMetadataError"
REPOSITORY_METADATA: Final = "XDSRepositoryMetadataError"
_OID: Final = re.compile(r"[0-2](?:\.(?:0|[1-9][0-9]*))+")
_PATIENT: Final = re.compile(r"([^\^&]+)\^\^\^&([0-9.]+)&ISO\^NH(?:\^.*)?")
_UTC_TIME: Final = re.compile(r"\d{14}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One reason to refuse: IHE error code, text, and the object it is about."""

    code: str
    context: str
    location: str = ""


def patient_key(cx: str) -> str:
    """Return `matricule^oid` of a CX patient identifier, empty when malformed."""
    found = _PATIENT.fullmatch(cx)
    return f"{found[1]}^{found[2]}" if found else ""


def check_structure(lot: Lot, *, signature_required: bool) -> Iterator[Finding]:
    """Yield what is wrong in the lot before any document is read."""
    yield from _check_submission(lot.submission)
    if not lot.documents:
        yield Finding(code="XDSMissingDocumentMetadata", context="the lot has no document entry")
    known = {entry.symbolic_id for entry in lot.entries}
    if len(known) != len(lot.entries):
        yield Finding(code=METADATA, context="two entries carry the same id")
    unique_ids = [lot.submission.unique_id, *(entry.unique_id for entry in lot.entries)]
    if len(set(unique_ids)) != len(unique_ids):
        yield Finding(code="XDSRegistryDuplicateUniqueIdInMessage", context="a uniqueId appears twice in the lot")
    for name, _ in lot.contents:
        if name not in known:
            yield Finding(code="XDSMissingDocumentMetadata", context="a document has no entry", location=name)
    for entry in lot.entries:
        yield from _check_membership(lot, entry)
    yield from _check_signature_entry(lot, required=signature_required)


def _check_submission(submission: SubmissionSet) -> Iterator[Finding]:
    if not submission.is_classified:
        yield Finding(code=METADATA, context="RegistryPackage is not classified as a submission set")
    for name, value in (("uniqueId", submission.unique_id), ("sourceId", submission.source_id)):
        if not is_oid(value):
            yield Finding(code=METADATA, context=f"submission set {name} is not an OID")
    if not _UTC_TIME.fullmatch(submission.submission_time):
        yield Finding(code=METADATA, context="submissionTime is not a UTC instant to the second")
    if not submission.authors:
        yield Finding(code=METADATA, context="submission set has no author")
    if [code.system for code in submission.content_types] != [nos.CONTENT_TYPE_SYSTEM]:
        yield Finding(code=METADATA, context="contentTypeCode is missing or of another coding scheme")


def _check_signature_entry(lot: Lot, *, required: bool) -> Iterator[Finding]:
    signatures = [entry for entry in lot.entries if entry.is_signature]
    if required and len(signatures) != 1:
        yield Finding(code=METADATA, context="the lot has no signature document, or several")
    for entry in signatures:
        wanted = (SIGNS, entry.symbolic_id, lot.submission.symbolic_id)
        if wanted not in {(link.kind, link.source, link.target) for link in lot.links}:
            yield Finding(code=METADATA, context="association signs is missing", location=entry.symbolic_id)


def _check_membership(lot: Lot, entry: Entry) -> Iterator[Finding]:
    here = entry.symbolic_id
    members = [link for link in lot.links if link.kind == HAS_MEMBER and link.target == here]
    if len(members) != 1 or members[0].source != lot.submission.symbolic_id or members[0].status != "Original":
        yield Finding(code=METADATA, context="association HasMember Original is missing", location=here)
    if entry.object_type != DOCUMENT_ENTRY:
        yield Finding(code=METADATA, context="objectType is not a stable document entry", location=here)
    if lot.content_of(entry) is None:
        yield Finding(code="XDSMissingDocument", context="an entry has no document", location=here)
    if entry.patient_id != lot.submission.patient_id and patient_key(entry.patient_id) != patient_key(
        lot.submission.patient_id
    ):
        yield Finding(code="XDSPatientIdDoesNotMatch", context="entry and lot name two patients", location=here)
    if not is_oid(entry.unique_id):
        yield Finding(code=METADATA, context="uniqueId is not an OID of 64 characters at most", location=here)
    if entry.mime_type not in ("text/xml", "application/xslt+xml"):
        yield Finding(code=METADATA, context="mimeType", location=here)


def is_oid(text: str) -> bool:
    """Tell an OID of at most 64 characters without leading zeros in its arcs."""
    return len(text) <= 64 and _OID.fullmatch(text) is not None


def check_document(entry: Entry, content: bytes, facts: CdaFacts, *, hash_required: bool) -> Iterator[Finding]:
    """Yield every disagreement between one entry and its CDA, and what the DMP refuses in that CDA."""
    for context in (
        *_cda_faults(facts),
        *_identity(entry, facts),
        *_codes(entry, facts),
        *_confidentiality(entry, facts),
        *_instants(entry, facts),
        *_people(entry, facts),
        *_patient(entry, facts),
    ):
        yield Finding(code=METADATA, context=context, location=entry.symbolic_id)
    for context in _integrity(entry, content, required=hash_required):
        yield Finding(code=REPOSITORY_METADATA, context=context, location=entry.symbolic_id)


def _cda_faults(facts: CdaFacts) -> Iterator[str]:
    if facts.id_extension:
        yield "ClinicalDocument/id: root and extension together are refused"
    if not facts.set_id or not facts.version_number.isdigit() or int(facts.version_number) < 1:
        yield "ClinicalDocument: setId or versionNumber is missing"
    if facts.confidentiality.system == nos.VISIBILITY_SYSTEM or facts.confidentiality.code in nos.VISIBILITY_CODES:
        yield "ClinicalDocument/confidentialityCode: visibility codes exist only in metadata"
    elif (facts.confidentiality.code not in ("N", "R", "V")) or (
        facts.confidentiality.system != nos.CONFIDENTIALITY_SYSTEM
    ):
        yield "ClinicalDocument/confidentialityCode is not N, R or V"
    if not facts.patients:
        yield "recordTarget: no matricule INS"
    elif facts.patient_ids[0] != facts.patients[0]:
        yield "recordTarget: the matricule INS is not the first identifier"
    if "2.16.840.1.113883.2.8.2.1" not in facts.template_ids or "1.2.250.1.213.1.1.1.1" not in facts.template_ids:
        yield "ClinicalDocument: the two common templateId are missing"
    if facts.legal_authenticator is None or not facts.authors:
        yield "ClinicalDocument: author or legalAuthenticator is missing"


def _identity(entry: Entry, facts: CdaFacts) -> Iterator[str]:
    if entry.unique_id != facts.id_root:
        yield "uniqueId differs from ClinicalDocument/id"
    if " ".join(entry.title.split()) != facts.title or not facts.title:
        yield "title differs from ClinicalDocument/title"
    if len(entry.title) > 128:
        yield "title is longer than 128 characters"
    if entry.slot("languageCode") != (facts.language,) or facts.language != "fr-FR":
        yield "languageCode is not that of the CDA (fr-FR)"


def _single(codes: tuple[Coded, ...], name: str) -> Iterator[str]:
    if len(codes) != 1:
        yield f"{name} must appear exactly once"
    elif not codes[0].label:
        yield f"{name} has no label"


def _differs(codes: tuple[Coded, ...], wanted: CdaCode) -> bool:
    return [(code.code, code.system) for code in codes] != [(wanted.code, wanted.system)]


def _codes(entry: Entry, facts: CdaFacts) -> Iterator[str]:
    for name, codes in (
        ("classCode", entry.class_codes),
        ("typeCode", entry.type_codes),
        ("formatCode", entry.format_codes),
        ("healthcareFacilityTypeCode", entry.facilities),
        ("practiceSettingCode", entry.practice_settings),
    ):
        yield from _single(codes, name)
    classes = nos.class_of_type().get((facts.code.code, facts.code.system))
    if classes is None:
        yield "ClinicalDocument/code is not in the table of document types"
    if _differs(entry.type_codes, facts.code):
        yield "typeCode differs from ClinicalDocument/code"
    for found in entry.class_codes:
        if found.system != nos.CLASS_SYSTEM or (classes is not None and found.code not in classes):
            yield "classCode is not the class of the document type"
    for found in entry.format_codes:
        if (found.code, found.system) not in _formats(facts):
            yield "formatCode is not that of the CDA's templates and body"
    if _differs(entry.facilities, facts.facility) or facts.facility.system != nos.FACILITY_SYSTEM:
        yield "healthcareFacilityTypeCode differs from healthCareFacility/code"
    if (
        _differs(entry.practice_settings, facts.practice_setting)
        or facts.practice_setting.system != nos.PRACTICE_SYSTEM
    ):
        yield "practiceSettingCode differs from standardIndustryClassCode of the performer"
    if {(code.code, code.system) for code in entry.events} != {(code.code, code.system) for code in facts.events}:
        yield "eventCodeList differs from serviceEvent/code"


def _formats(facts: CdaFacts) -> frozenset[tuple[str, str]]:
    if XDS_SD_TEMPLATE in facts.template_ids:
        known = nos.N1_FORMATS.get(facts.body_media_type)
        return frozenset() if known is None else frozenset({(known, nos.IHE_FORMAT_SYSTEM)})
    table = nos.format_of_template()
    return frozenset(pair for template in facts.template_ids for pair in table.get(template, frozenset()))


def _confidentiality(entry: Entry, facts: CdaFacts) -> Iterator[str]:
    codes = [(code.code, code.system) for code in entry.confidentiality]
    if not codes or codes[0] != (facts.confidentiality.code, facts.confidentiality.system):
        yield "the first confidentialityCode is not that of the CDA"
    if len(set(codes)) != len(codes) or len(codes) > 4:
        yield "confidentialityCode is repeated"
    masks = {code for code, system in codes[1:] if system == nos.VISIBILITY_SYSTEM}
    if len(masks) != len(codes[1:]) or not masks <= nos.VISIBILITY_CODES:
        yield "confidentialityCode is not in the visibility table"
    if {"INVISIBLE_PATIENT", "MASQUE_PS"} <= masks:
        yield "INVISIBLE_PATIENT and MASQUE_PS together are refused"


def _instants(entry: Entry, facts: CdaFacts) -> Iterator[str]:
    for name, wanted, required in (
        ("creationTime", facts.effective_time, True),
        ("serviceStartTime", facts.service_start, True),
        ("serviceStopTime", facts.service_stop or facts.service_start, bool(facts.service_stop)),
    ):
        values = entry.slot(name)
        if not values and not required:
            continue
        if len(values) != 1 or not wanted or not _same_instant(values[0], wanted):
            yield f"{name} is not the CDA's instant in UTC"


def _same_instant(given: str, wanted: str) -> bool:
    # An instant to the minute may be completed to the second; a bare date stays a date.
    return given == wanted or (len(wanted) == 12 and given == wanted + "00")


def _people(entry: Entry, facts: CdaFacts) -> Iterator[str]:
    if len(entry.authors) != len(facts.authors):
        yield "the number of authors differs"
    for sent, author in zip(entry.authors, facts.authors, strict=False):
        if not _same_person(sent.person, author):
            yield "authorPerson differs from the CDA"
        if not _same_institution(sent, author):
            yield "authorInstitution differs from the CDA"
        specialties = {(text.split("^")[0], text.split("^")[-1]) for text in sent.specialties}
        if specialties != {(author.specialty.code, author.specialty.system)}:
            yield "authorSpecialty differs from the CDA"
    legal = entry.slot("legalAuthenticator")
    if facts.legal_authenticator is not None and (
        len(legal) != 1 or not _same_person(legal[0], facts.legal_authenticator)
    ):
        yield "legalAuthenticator differs from the CDA"


def _same_person(xcn: str, person: CdaPerson) -> bool:
    parts = xcn.split("^")
    return len(parts) == 13 and [parts[0], parts[1], parts[2], parts[8], parts[9]] == [
        person.id_extension,
        person.family,
        person.given,
        f"&{person.id_root}&ISO",
        "D",
    ]


def _same_institution(sent: XdsAuthor, author: CdaPerson) -> bool:
    if not author.organisation_id and not author.organisation_name:
        return not sent.institutions
    parts = sent.institutions[0].split("^") if len(sent.institutions) == 1 else []
    return len(parts) == 10 and [parts[0], parts[5], parts[6], parts[9]] == [
        author.organisation_name,
        "&1.2.250.1.71.4.2.2&ISO",
        "IDNST",
        author.organisation_id,
    ]


def _patient(entry: Entry, facts: CdaFacts) -> Iterator[str]:
    if patient_key(entry.patient_id) not in {f"{matricule}^{oid}" for matricule, oid in facts.patients}:
        yield "patientId is not the matricule INS of the CDA"
    source = entry.slot("sourcePatientId")
    found = re.fullmatch(r"([^\^&]+)\^\^\^&([0-9.]+)&ISO\^(?:PI|NH)(?:\^.*)?", source[0]) if source else None
    if found is None or (found[1], found[2]) not in facts.patient_ids:
        yield "sourcePatientId is not an identifier of the CDA's patient"
    info = dict(line.split("|", 1) for line in entry.slot("sourcePatientInfo") if "|" in line)
    name = info.get("PID-5", "").split("^")
    if name[0] != facts.patient_family or (name[1] if len(name) > 1 else "") not in facts.patient_givens:
        yield "sourcePatientInfo PID-5 differs from the CDA"
    if info.get("PID-7", "")[:8] != facts.patient_birth[:8]:
        yield "sourcePatientInfo PID-7 differs from the CDA"
    if info.get("PID-8", "") != facts.patient_sex:
        yield "sourcePatientInfo PID-8 differs from the CDA"


def _integrity(entry: Entry, content: bytes, *, required: bool) -> Iterator[str]:
    digest, size = entry.slot("hash"), entry.slot("size")
    if required and (not digest or not size):
        yield "hash and size are required"
    if digest and digest[0].lower() != hashlib.sha1(content).hexdigest():  # noqa: S324 - XDS fixes SHA-1
        yield "hash differs from the document received"
    if size and size[0] != str(len(content)):
        yield "size differs from the document received"


def replaced_unique_ids(lot: Lot, entry: Entry) -> tuple[str, ...]:
    """Return the entryUUIDs that `entry` replaces."""
    return tuple(link.target for link in lot.links if link.kind == REPLACES and link.source == entry.symbolic_id)
