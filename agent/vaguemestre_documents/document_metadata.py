"""The metadata of a document as typed values: of one that we build, of one that the LGC made, and their summary.

Owns the values and the error that carries findings; ``metadata_parsing`` makes them from JSON.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Final

from vaguemestre_core.contacts import (
    CodedConcept,
)
from vaguemestre_core.errors import InvalidInput
from vaguemestre_core.facts import patient_keys
from vaguemestre_core.identities import (
    IdentityAttribute,
    IdentityStatus,
    Ins,
    LocalPatientId,
    PatientIdentity,
)
from vaguemestre_core.professionals import Professional, Rpps, Structure
from vaguemestre_core.redaction import REDACTED, Personal
from vaguemestre_documents.cda.request import Encounter, Recipient, ReplacedVersion
from vaguemestre_documents.codes import (
    Confidentiality,
    Visibility,
)
from vaguemestre_documents.hl7time import Hl7Time
from vaguemestre_documents.metadata_schema import MetadataFinding

if TYPE_CHECKING:
    pass


class MetadataInvalid(InvalidInput):
    """The metadata break their schema or a rule; ``findings`` says where and why, at least one."""

    default_code: ClassVar[str] = "METADATA_INVALID"

    def __init__(self, findings: tuple[MetadataFinding, ...]) -> None:
        super().__init__(None, pointer=findings[0].pointer, reason=findings[0].code, count=len(findings))
        self.findings = findings


@dataclass(frozen=True, slots=True, kw_only=True)
class DeclaredType:
    """A document type with its XDS class."""

    concept: CodedConcept
    class_code: CodedConcept


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentSummary:
    """What intake needs of any document: under whose name, for whom, of which type, and what guards look at.

    ``patient_keys`` name the patient for pseudonyms, the INS first when there is one. ``structure_id`` is the
    Struct_IdNat of the author's structure, None for a CDA that the LGC made; ``episode`` is the LGC's opaque reference
    of the episode of care, None when it did not say.
    """

    type_code: str
    title: Personal
    ps_idnat: str
    patient_keys: tuple[Personal, ...]
    identity_status: IdentityStatus
    has_ins: bool
    is_identity_doubtful: bool
    visibility: frozenset[Visibility]
    structure_id: str | None
    episode: str | None


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class DocumentMetadata:
    """Metadata of a document that we build. Times absent are those of the preparation.

    ``with_ins_code`` asks for the Datamatrix INS below the first page of the PDF.
    """

    document_type: DeclaredType
    title: str
    patient: PatientIdentity
    author: Professional
    legal_authenticator: Professional
    performer: Professional
    structure: Structure
    custodian: Structure
    act_start: Hl7Time
    act_end: Hl7Time | None
    act_code: CodedConcept | None
    encounter: Encounter
    created_at: Hl7Time | None
    authored_at: Hl7Time | None
    signed_at: Hl7Time | None
    confidentiality: Confidentiality
    visibility: frozenset[Visibility]
    recipients: tuple[Recipient, ...]
    set_id: str | None
    replaces: ReplacedVersion | None
    episode: str | None
    with_ins_code: bool = False

    def summary(self) -> DocumentSummary:
        """Return what intake needs."""
        patient = self.patient
        return DocumentSummary(
            type_code=self.document_type.concept.code,
            title=Personal(self.title),
            ps_idnat=self.author.rpps.ps_idnat,
            patient_keys=patient_keys(patient.ins, patient.local_id),
            identity_status=patient.status,
            has_ins=patient.ins is not None,
            is_identity_doubtful=_is_doubtful(patient.attributes),
            visibility=self.visibility,
            structure_id=self.structure.struct_idnat,
            episode=self.episode,
        )

    def __repr__(self) -> str:
        return f"DocumentMetadata({REDACTED})"


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class ReadyMetadata:
    """Metadata of a CDA that the LGC made: enough to check that it is what it is said to be."""

    document_type: DeclaredType
    title: str
    identity_status: IdentityStatus
    ins: Ins | None
    local_id: LocalPatientId | None
    attributes: frozenset[IdentityAttribute]
    rpps: Rpps
    visibility: frozenset[Visibility]
    format_code: CodedConcept | None
    episode: str | None

    def summary(self) -> DocumentSummary:
        """Return what intake needs."""
        return DocumentSummary(
            type_code=self.document_type.concept.code,
            title=Personal(self.title),
            ps_idnat=self.rpps.ps_idnat,
            patient_keys=patient_keys(self.ins, self.local_id),
            identity_status=self.identity_status,
            has_ins=self.ins is not None,
            is_identity_doubtful=_is_doubtful(self.attributes),
            visibility=self.visibility,
            structure_id=None,
            episode=self.episode,
        )

    def __repr__(self) -> str:
        return f"ReadyMetadata({REDACTED})"


_DOUBTFUL: Final = frozenset({IdentityAttribute.DOUTEUSE, IdentityAttribute.FICTIVE})


def _is_doubtful(attributes: frozenset[IdentityAttribute]) -> bool:
    return bool(attributes & _DOUBTFUL)
