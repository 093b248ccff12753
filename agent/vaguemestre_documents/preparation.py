"""Prepare a document: from what an LGC gave to the exact bytes that will leave and their XDS entry.

Owns the order of the steps (look, read the metadata, build or check, draw the entry, check again); pure: identifiers
and the time are given, the same request gives the same result. Runs in the worker process.
"""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import dataclass, field
from typing import Final

from vaguemestre_core.errors import InvalidInput
from vaguemestre_core.identities import IdentityStatus
from vaguemestre_core.redaction import REDACTED
from vaguemestre_documents.body_inspection import DEFAULT_MAX_BODY_BYTES, BodyReport, inspect_body
from vaguemestre_documents.cda.build import build_cda_n1
from vaguemestre_documents.cda.check import check_tree
from vaguemestre_documents.cda.parse import DEFAULT_MAX_BYTES
from vaguemestre_documents.cda.read import BodyLevel, CdaHeader, parse_cda, read_header, read_n1_body
from vaguemestre_documents.cda.request import (
    Act,
    Body,
    CdaRequest,
    Participation,
    ReplacedVersion,
    require_media_type,
)
from vaguemestre_documents.codes import MediaType
from vaguemestre_documents.document_metadata import DocumentMetadata, MetadataInvalid, ReadyMetadata
from vaguemestre_documents.footer import paragraphs
from vaguemestre_documents.hl7time import Hl7Time
from vaguemestre_documents.metadata_parsing import parse_document_metadata, parse_ready_metadata
from vaguemestre_documents.metadata_schema import MetadataFinding
from vaguemestre_documents.pdf.faults import SENTENCES as PDF_SENTENCES
from vaguemestre_documents.pdf.policy import FooterPolicy, PdfaMode, PdfPolicy
from vaguemestre_documents.prepared import PreparedDocument
from vaguemestre_documents.scancodes.ins_writing import ins_symbol
from vaguemestre_documents.sentences import SENTENCES
from vaguemestre_documents.xds.metadata import document_entry_from_cda

# Media types under which an LGC gives a CDA that it made itself.
READY_CDA_MEDIA_TYPES: Final = frozenset({"application/xml", "text/xml", "application/hl7-cda+xml"})


@dataclass(frozen=True, slots=True, kw_only=True)
class FrozenIdentifiers:
    """Identifiers drawn once at acceptance. A ready CDA brings its own and these are not used."""

    document_id: str
    set_id: str
    version: int
    replaces: ReplacedVersion | None = None


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class PreparationRequest:
    """What was given. ``metadata`` is a JSON object in UTF-8; ``now`` is aware and its offset is the one written."""

    media_type: str
    body: bytes
    metadata: bytes
    identifiers: FrozenIdentifiers
    now: dt.datetime
    for_dmp: bool
    max_body_bytes: int = DEFAULT_MAX_BODY_BYTES
    pdf: PdfPolicy = field(default_factory=PdfPolicy)
    footer: FooterPolicy = field(default_factory=FooterPolicy)

    def __repr__(self) -> str:
        return f"PreparationRequest({REDACTED}, {self.media_type!r}, {len(self.body)} bytes)"


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparationResult:
    """The document as it will leave, and what is worth showing without stopping it."""

    document: PreparedDocument
    level: BodyLevel
    is_pdfa_claimed: bool | None
    warnings: tuple[MetadataFinding, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparationFailure:
    """Why no document can be made: at least one finding, the first is the one to show."""

    findings: tuple[MetadataFinding, ...]


def is_ready_cda(media_type: str) -> bool:
    """Return whether a body of this media type is a CDA that the LGC made itself."""
    return _bare(media_type) in READY_CDA_MEDIA_TYPES


def prepare(request: PreparationRequest) -> PreparationResult | PreparationFailure:
    """Return the prepared document, or why there is none. Raises nothing for what the client gave."""
    try:
        metadata = load_metadata(request.metadata, media_type=request.media_type)
        if isinstance(metadata, ReadyMetadata):
            return _check_ready(request, metadata)
        return _build(request, metadata)
    except MetadataInvalid as error:
        return PreparationFailure(findings=error.findings)
    except _Refused as refused:
        return PreparationFailure(findings=refused.findings)
    except InvalidInput as error:
        sentence = SENTENCES[error.code]
        pointer = "/body" if error.code.startswith(("BODY_", "CDA_", "XML_", "XDS_")) else ""
        return PreparationFailure(findings=(MetadataFinding(code=error.code, pointer=pointer, sentence=sentence),))


def load_metadata(text: bytes, *, media_type: str) -> DocumentMetadata | ReadyMetadata:
    """Return the metadata of a body of this media type.

    Raises:
        InvalidInput: ``METADATA_NOT_JSON``; MetadataInvalid with its findings.
    """
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        raise InvalidInput("METADATA_NOT_JSON") from None
    if not isinstance(value, dict):
        raise InvalidInput("METADATA_NOT_JSON")
    return parse_ready_metadata(value) if is_ready_cda(media_type) else parse_document_metadata(value)


class _Refused(Exception):
    """Findings of our own check stop the document."""

    def __init__(self, findings: tuple[MetadataFinding, ...]) -> None:
        super().__init__("refused")
        self.findings = findings


def _bare(media_type: str) -> str:
    return media_type.partition(";")[0].strip().lower()


def _build(request: PreparationRequest, metadata: DocumentMetadata) -> PreparationResult:
    media_type = require_media_type(_bare(request.media_type))
    report = inspect_body(media_type, request.body, max_bytes=request.max_body_bytes)
    coded = _with_ins_code(request.body, metadata, media_type, report)
    given, added = _with_footer(request, coded, metadata, media_type, report)
    content, report, converted = _conform(request.pdf, given, media_type, report)
    cda = build_cda_n1(_cda_request(request, metadata, Body(media_type=media_type, content=content)))
    is_qualified = metadata.patient.status is IdentityStatus.QUALIFIEE
    header, warnings = _checked(cda, for_dmp=request.for_dmp, is_ins_allowed=is_qualified)
    entry = document_entry_from_cda(cda, visibility=metadata.visibility, class_code=metadata.document_type.class_code)
    return _result(PreparedDocument(cda=cda, entry=entry), header, report, (*warnings, *added, *converted))


def _with_ins_code(body: bytes, metadata: DocumentMetadata, media_type: MediaType, report: BodyReport) -> bytes:
    """Return the body with the Datamatrix INS that the practice program asked for, or refuse the document."""
    if not metadata.with_ins_code:
        return body
    try:
        drawn = ins_symbol(metadata.patient)
    except InvalidInput as error:
        sentence = SENTENCES[error.code]
        raise _Refused((MetadataFinding(code=error.code, pointer="/ins_code", sentence=sentence),)) from None
    if media_type is not MediaType.PDF:
        raise _Refused(_pdf_findings("INS_CODE_NOT_POSSIBLE"))
    # Loaded in the worker only, like all that reads a PDF.
    from vaguemestre_documents.pdf.ins_stamp import StampLeftOut, with_ins_code
    from vaguemestre_documents.pdf.values import PdfRefused

    try:
        return with_ins_code(body, drawn, claims_pdfa=report.is_pdfa_claimed is True)
    except StampLeftOut:
        raise _Refused(_pdf_findings("INS_CODE_NOT_POSSIBLE")) from None
    except PdfRefused as refused:
        raise _Refused(_pdf_findings("INS_CODE_NOT_POSSIBLE", refused.fault)) from None


def _with_footer(
    request: PreparationRequest, body: bytes, metadata: DocumentMetadata, media_type: MediaType, report: BodyReport
) -> tuple[bytes, tuple[MetadataFinding, ...]]:
    """Return the body with what the practice wants below its last page, and what to say of it."""
    said = paragraphs(request.footer, metadata)
    if not said:
        return body, ()
    if media_type is not MediaType.PDF:
        return body, _pdf_findings("FOOTER_LEFT_OUT")
    # Loaded in the worker only, like all that reads a PDF.
    from vaguemestre_documents.pdf.footer import FooterLeftOut, with_footer
    from vaguemestre_documents.pdf.values import PdfRefused

    try:
        return with_footer(body, said, claims_pdfa=report.is_pdfa_claimed is True), ()
    except FooterLeftOut:
        return body, _pdf_findings("FOOTER_LEFT_OUT")
    except PdfRefused as refused:
        raise _Refused(_pdf_findings("FOOTER_NOT_POSSIBLE", refused.fault)) from None


def _conform(
    policy: PdfPolicy, body: bytes, media_type: MediaType, report: BodyReport
) -> tuple[bytes, BodyReport, tuple[MetadataFinding, ...]]:
    """Return the body to embed as the policy wants PDF, and what to say of it."""
    if media_type is not MediaType.PDF or policy.mode is PdfaMode.ACCEPT:
        return body, report, ()
    # Loaded in the worker only, and only by who asks for it: a native parser has no place in the agent's own process.
    from vaguemestre_documents.pdf.conformity import Converted, convert, pdfa_faults

    faults = pdfa_faults(body)
    if not faults:
        return body, report, ()
    if policy.mode is PdfaMode.REQUIRE:
        raise _Refused(_pdf_findings("PDFA_REQUIRED", *faults))
    outcome = convert(body, policy)
    if isinstance(outcome, Converted):
        return outcome.content, BodyReport(is_pdfa_claimed=True), _pdf_findings("PDFA_CONVERTED")
    raise _Refused(_pdf_findings("PDFA_NOT_POSSIBLE", *outcome))


def _require_pdfa(policy: PdfPolicy, content: bytes) -> None:
    """Refuse a ready CDA whose PDF is not PDF/A-1 where the policy wants one: it leaves byte for byte or not at all."""
    if policy.mode is PdfaMode.ACCEPT:
        return
    from vaguemestre_documents.pdf.conformity import pdfa_faults

    faults = pdfa_faults(content)
    if faults:
        raise _Refused(_pdf_findings("PDFA_REQUIRED", *faults))


def _pdf_findings(*codes: str) -> tuple[MetadataFinding, ...]:
    return tuple(MetadataFinding(code=str(code), pointer="/body", sentence=PDF_SENTENCES[code]) for code in codes)


def _cda_request(request: PreparationRequest, metadata: DocumentMetadata, body: Body) -> CdaRequest:
    now = Hl7Time.from_instant(request.now)
    replaces = request.identifiers.replaces or metadata.replaces
    return CdaRequest(
        document_id=request.identifiers.document_id,
        set_id=metadata.set_id or request.identifiers.set_id,
        version_number=_version(request.identifiers.version, replaces),
        replaces=replaces,
        document_type=metadata.document_type.concept,
        title=metadata.title,
        created_at=metadata.created_at or now,
        patient=metadata.patient,
        author=Participation(professional=metadata.author, structure=metadata.structure),
        authored_at=metadata.authored_at or metadata.created_at or now,
        legal_authenticator=Participation(professional=metadata.legal_authenticator, structure=metadata.structure),
        signed_at=metadata.signed_at or metadata.created_at or now,
        custodian=metadata.custodian,
        act=Act(
            start=metadata.act_start,
            end=metadata.act_end,
            code=metadata.act_code,
            performer=Participation(professional=metadata.performer, structure=metadata.structure),
        ),
        encounter=metadata.encounter,
        body=body,
        confidentiality=metadata.confidentiality,
        recipients=metadata.recipients,
    )


def _version(frozen: int, replaces: ReplacedVersion | None) -> int:
    """Return a number above that of the replaced version, which the LGC may know better than the agent."""
    if replaces is None:
        return frozen
    return max(frozen, (replaces.version_number or 1) + 1)


def _check_ready(request: PreparationRequest, metadata: ReadyMetadata) -> PreparationResult:
    cda = request.body
    if not cda.strip():
        raise InvalidInput("BODY_EMPTY")
    if len(cda) > request.max_body_bytes:
        raise InvalidInput("BODY_TOO_LARGE", max_bytes=request.max_body_bytes)
    is_qualified = metadata.identity_status is IdentityStatus.QUALIFIEE
    header, warnings = _checked(cda, for_dmp=request.for_dmp, is_ins_allowed=is_qualified)
    _require_agreement(header, metadata)
    report = BodyReport(is_pdfa_claimed=None)
    if header.level is BodyLevel.N1:
        content = read_n1_body(parse_cda(cda))
        inner = require_media_type(header.body_media_type or "")
        report = inspect_body(inner, content)
        if inner is MediaType.PDF:
            _require_pdfa(request.pdf, content)
    entry = document_entry_from_cda(
        cda,
        visibility=metadata.visibility,
        class_code=metadata.document_type.class_code,
        format_code=metadata.format_code,
    )
    return _result(PreparedDocument(cda=cda, entry=entry), header, report, warnings)


def _checked(cda: bytes, *, for_dmp: bool, is_ins_allowed: bool) -> tuple[CdaHeader, tuple[MetadataFinding, ...]]:
    """Return the header and the warnings of our check; raise when it finds an error."""
    root = parse_cda(cda, max_bytes=DEFAULT_MAX_BYTES)
    findings = check_tree(root, for_dmp=for_dmp, is_ins_allowed=is_ins_allowed)
    errors = tuple(
        MetadataFinding(code=item.rule.code, pointer=item.path, sentence=item.rule.sentence)
        for item in findings
        if item.is_error
    )
    if errors:
        raise _Refused(errors)
    warnings = tuple(
        MetadataFinding(code=item.rule.code, pointer=item.path, sentence=item.rule.sentence) for item in findings
    )
    return read_header(root), warnings


def _require_agreement(header: CdaHeader, metadata: ReadyMetadata) -> None:
    """Refuse a ready CDA that is not the one its metadata speak of: another type, patient or author."""
    declared = metadata.document_type.concept
    written = header.code
    faults: list[str] = []
    if written is None or (written.code, written.code_system) != (declared.code, declared.code_system):
        faults.append("/type_code")
    ids = set() if header.patient is None else {(item.root, item.extension) for item in header.patient.ids}
    if metadata.identity_status is IdentityStatus.QUALIFIEE and metadata.ins is not None:
        if (metadata.ins.oid, metadata.ins.matricule) not in ids:
            faults.append("/patient/ins")
    elif metadata.local_id is not None and (metadata.local_id.oid, metadata.local_id.value) not in ids:
        faults.append("/patient/local_id")
    signatory = () if header.legal_authenticator is None else (header.legal_authenticator,)
    acting = {person.id.extension for person in (*header.authors, *signatory) if person.id is not None}
    if metadata.rpps.ps_idnat not in acting:
        faults.append("/author/rpps")
    if faults:
        sentence = SENTENCES["CDA_METADATA_MISMATCH"]
        raise _Refused(
            tuple(
                MetadataFinding(code="CDA_METADATA_MISMATCH", pointer=pointer, sentence=sentence) for pointer in faults
            )
        )


def _result(
    document: PreparedDocument, header: CdaHeader, report: BodyReport, warnings: tuple[MetadataFinding, ...]
) -> PreparationResult:
    assert header.level is not None  # the structure check refuses a document without body
    if report.is_pdfa_claimed is False:
        warnings = (*warnings, *_pdf_findings("PDFA_NOT_CLAIMED"))
    return PreparationResult(
        document=document,
        level=header.level,
        is_pdfa_claimed=report.is_pdfa_claimed,
        warnings=warnings,
    )
