"""Everything that a level 1 CDA is made of, as one frozen value.

Owns the cross-field rules of a document (version and replacement, identifiers, recipients); never reads a clock
nor draws an identifier: times and identifiers are given.
Source: CI-SIS Structuration minimale 1.16.8.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from vaguemestre_core.contacts import CodedConcept, Telecom, require_oid, require_text
from vaguemestre_core.errors import InvalidInput
from vaguemestre_core.identities import PatientIdentity
from vaguemestre_core.professionals import Professional, Structure, is_ps_idnat, is_struct_idnat
from vaguemestre_core.redaction import REDACTED
from vaguemestre_documents.codes import Confidentiality, MediaType
from vaguemestre_documents.hl7time import Hl7Time, TimePrecision

TITLE_MAX_LENGTH = 128
SUPPORTED_MEDIA_TYPES = frozenset(item.value for item in MediaType)


def require_media_type(value: str) -> MediaType:
    """Return the media type of a level 1 body.

    Raises:
        InvalidInput: ``BODY_PNG_REFUSED`` (PNG is not in the CI-SIS list: convert it to JPEG or PDF),
            ``BODY_MEDIA_TYPE_REFUSED`` for the rest.
    """
    if value == "image/png":
        raise InvalidInput("BODY_PNG_REFUSED")
    if value not in SUPPORTED_MEDIA_TYPES:
        raise InvalidInput("BODY_MEDIA_TYPE_REFUSED")
    return MediaType(value)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Body:
    """The body, embedded byte for byte (LGC.MDV.03)."""

    media_type: MediaType
    content: bytes

    def __post_init__(self) -> None:
        if not self.content:
            raise InvalidInput("BODY_EMPTY")

    def __repr__(self) -> str:
        return f"Body({self.media_type.value}, {len(self.content)} bytes)"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplacedVersion:
    """The version that this one replaces: its id and, when known, its number."""

    document_id: str
    version_number: int | None = None

    def __post_init__(self) -> None:
        require_oid(self.document_id, field="replaces.document_id")
        if self.version_number is not None and self.version_number < 1:
            raise InvalidInput("VERSION_INVALID", reason="replaced_number")


@dataclass(frozen=True, slots=True, kw_only=True)
class Participation:
    """A professional acting for a structure."""

    professional: Professional
    structure: Structure


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """The acte principal: when it was done (a day is enough for an old one), what, and by whom.

    ``start`` is the business date that a historical document keeps (SC.DMP/HISTO.03).
    """

    start: Hl7Time
    performer: Participation
    end: Hl7Time | None = None
    code: CodedConcept | None = None

    def __post_init__(self) -> None:
        require_act_order(self.start, self.end)


def require_act_order(start: Hl7Time, end: Hl7Time | None) -> None:
    """Refuse an end before its start, compared at the lesser precision. Raises ``ACT_DATES_INVALID``."""
    if end is None:
        return
    first, last = start.to_xds(), end.to_xds()
    shortest = min(len(first), len(last))
    if last[:shortest] < first[:shortest]:
        raise InvalidInput("ACT_DATES_INVALID")


@dataclass(frozen=True, slots=True, kw_only=True)
class Encounter:
    """The encounter: its kind (JDV_J142), dates, and where (JDV_J02)."""

    kind: CodedConcept
    facility: CodedConcept
    start: Hl7Time
    end: Hl7Time | None = None


class RecipientKind(Enum):
    """Who is an intended recipient."""

    PROFESSIONAL = "professional"
    STRUCTURE = "structure"
    PERSON = "person"


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Recipient:
    """An intended recipient, named in the document (DOC/va1.09).

    Raises:
        InvalidInput: ``RECIPIENT_INVALID`` (name, ps_id, structure_id).
    """

    kind: RecipientKind
    family_name: str | None = None
    given_name: str | None = None
    ps_idnat: str | None = None
    struct_idnat: str | None = None
    structure_name: str | None = None
    telecoms: tuple[Telecom, ...] = ()

    def __post_init__(self) -> None:
        named = self.structure_name if self.kind is RecipientKind.STRUCTURE else self.family_name
        if named is None:
            raise InvalidInput("RECIPIENT_INVALID", reason="name")
        if self.given_name is not None and self.family_name is None:
            raise InvalidInput("RECIPIENT_INVALID", reason="name")
        for text in (self.family_name, self.given_name, self.structure_name):
            if text is not None:
                require_text(text, field="recipient", max_length=128)
        if self.ps_idnat is not None and not is_ps_idnat(self.ps_idnat):
            raise InvalidInput("RECIPIENT_INVALID", reason="ps_id")
        if self.struct_idnat is not None and not is_struct_idnat(self.struct_idnat):
            raise InvalidInput("RECIPIENT_INVALID", reason="structure_id")

    def __repr__(self) -> str:
        return f"Recipient({REDACTED})"


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class CdaRequest:
    """A level 1 document to build.

    ``document_id`` and ``set_id`` are OID roots (at most 64 characters): the DMP refuses an extension.

    Raises:
        InvalidInput: ``OID_INVALID``, ``VERSION_INVALID``, ``TEXT_INVALID`` (title), ``HL7_TIME_INVALID``,
            ``PATIENT_ID_MISSING`` (an identity that is not qualifiée needs a local identifier).
    """

    document_id: str
    set_id: str
    version_number: int
    document_type: CodedConcept
    title: str
    created_at: Hl7Time
    patient: PatientIdentity
    author: Participation
    authored_at: Hl7Time
    legal_authenticator: Participation
    signed_at: Hl7Time
    custodian: Structure
    act: Act
    encounter: Encounter
    body: Body
    confidentiality: Confidentiality = Confidentiality.NORMAL
    recipients: tuple[Recipient, ...] = ()
    replaces: ReplacedVersion | None = None

    def __post_init__(self) -> None:
        require_oid(self.document_id, field="document_id")
        require_oid(self.set_id, field="set_id")
        if self.document_id == self.set_id:
            raise InvalidInput("OID_INVALID", field="set_id", reason="same_as_document_id")
        require_text(self.title, field="title", max_length=TITLE_MAX_LENGTH)
        for instant in (self.created_at, self.authored_at, self.signed_at):
            if instant.precision is not TimePrecision.SECOND:
                raise InvalidInput("HL7_TIME_INVALID", reason="precision")
        self._require_version()
        if self.patient.transmissible_ins() is None and self.patient.local_id is None:
            raise InvalidInput("PATIENT_ID_MISSING")

    def _require_version(self) -> None:
        if self.version_number < 1:
            raise InvalidInput("VERSION_INVALID", reason="number")
        if self.replaces is None:
            return
        if self.replaces.document_id == self.document_id:
            raise InvalidInput("VERSION_INVALID", reason="replaces_itself")
        if self.version_number == 1:
            raise InvalidInput("VERSION_INVALID", reason="first_replaces")
        if self.replaces.version_number is not None and self.replaces.version_number >= self.version_number:
            raise InvalidInput("VERSION_INVALID", reason="not_higher")

    def __repr__(self) -> str:
        return f"CdaRequest({REDACTED})"
