"""What an export says of a document in structured form: who, born when, sex, INS, date, type; JSON and CSV.

Owns the shape of the manifest (docs/export.md). Source: PORT/va1.01. Values only: the files are written elsewhere.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Final

from vaguemestre_core.errors import InvalidInput
from vaguemestre_core.identities import INS_OIDS
from vaguemestre_core.redaction import REDACTED
from vaguemestre_documents.cda.read import CdaHeader, read_cda
from vaguemestre_documents.document_metadata import DocumentMetadata
from vaguemestre_documents.preparation import is_ready_cda, load_metadata

MANIFEST_FORMAT: Final = "vaguemestre-export/1"
_FORMULA: Final = frozenset("=+-@\t\r")  # a spreadsheet would run a cell that begins so


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Described:
    """The patient and the document as the document itself names them; absent parts are empty.

    Attributes:
        birth_date: as the document writes it (YYYYMMDD, or less).
        date: effective time of the document (HL7, with its offset), empty when none was built.
    """

    birth_name: str = ""
    used_name: str = ""
    given_names: str = ""
    birth_date: str = ""
    sex: str = ""
    ins: str = ""
    ins_oid: str = ""
    date: str = ""
    type_code: str = ""
    type_system: str = ""
    type_label: str = ""
    title: str = ""

    def __repr__(self) -> str:
        return f"Described({REDACTED})"


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportedFile:
    """One file of the export."""

    path: str
    sha256: str
    media_type: str


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class ExportedDocument:
    """One version of a document in the manifest.

    Attributes:
        accepted_at: ISO 8601, UTC.
        state: of its order, for example ``sent``.
        missing: why there is no content: ``BODY_GONE`` (its days have passed), ``BODY_UNREADABLE``; empty: there is.
    """

    number: int
    described: Described
    client_ref: str
    accepted_at: str
    state: str
    unique_id: str
    set_id: str
    version: int
    missing: str = ""
    files: tuple[ExportedFile, ...] = ()

    def __repr__(self) -> str:
        return f"ExportedDocument({REDACTED}, {self.number})"

    def members(self) -> Mapping[str, str | int]:
        """Return its flat members, in the order of the table."""
        return {
            "number": self.number,
            **asdict(self.described),
            "client_ref": self.client_ref,
            "accepted_at": self.accepted_at,
            "state": self.state,
            "unique_id": self.unique_id,
            "set_id": self.set_id,
            "version": self.version,
            "missing": self.missing,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportManifest:
    """What an export holds.

    Attributes:
        since, until: first and last day asked, ISO 8601; made_at: ISO 8601, UTC.
    """

    made_at: str
    since: str
    until: str
    documents: Sequence[ExportedDocument] = field(repr=False)

    def to_json(self) -> bytes:
        """Return the manifest as JSON."""
        content = {
            "format": MANIFEST_FORMAT,
            "made_at": self.made_at,
            "since": self.since,
            "until": self.until,
            "documents": [
                {**document.members(), "files": [asdict(file) for file in document.files]}
                for document in self.documents
            ],
        }
        return json.dumps(content, ensure_ascii=False, indent=1).encode()

    def to_csv(self) -> bytes:
        """Return the manifest as a table that a French spreadsheet opens: UTF-8 with mark, semicolons."""
        out = io.StringIO(newline="")
        names = [*_COLUMNS, "files"]
        writer = csv.writer(out, delimiter=";", lineterminator="\r\n")
        writer.writerow(names)
        for document in self.documents:
            members = document.members()
            files = " ".join(file.path for file in document.files)
            writer.writerow([_safe(str(members[name])) for name in _COLUMNS] + [files])
        return out.getvalue().encode("utf-8-sig")


_COLUMNS: Final = tuple(
    ExportedDocument(
        number=0,
        described=Described(),
        client_ref="",
        accepted_at="",
        state="",
        unique_id="",
        set_id="",
        version=0,
    ).members()
)


def _safe(cell: str) -> str:
    return f"'{cell}" if cell[:1] in _FORMULA else cell


def describe(metadata: bytes, media_type: str, body: bytes, cda: bytes | None) -> Described:
    """Return what is said of a document: by its CDA when there is one, else by the metadata it was given with."""
    if cda is None and is_ready_cda(media_type):
        cda = body
    try:
        if cda is not None:
            return _by_header(read_cda(cda))
        given = load_metadata(metadata, media_type=media_type)
    except InvalidInput:
        return Described()  # refused by the preparation for the same reason: it goes as it was given
    return _by_metadata(given) if isinstance(given, DocumentMetadata) else Described()


def _by_header(header: CdaHeader) -> Described:
    patient = header.patient
    ids = () if patient is None else patient.ids
    ins = next((item for item in ids if item.root in INS_OIDS), None)
    code = header.code
    return Described(
        birth_name=(patient and patient.birth_name) or "",
        used_name=(patient and patient.used_name) or "",
        given_names=(patient and (patient.given_names or patient.first_given_name)) or "",
        birth_date=(patient and patient.birth_time) or "",
        sex=(patient and patient.gender) or "",
        ins=(ins and ins.extension) or "",
        ins_oid=(ins and ins.root) or "",
        date=header.effective_time or "",
        type_code=(code and code.code) or "",
        type_system=(code and code.code_system) or "",
        type_label=(code and code.label) or "",
        title=header.title or "",
    )


def _by_metadata(given: DocumentMetadata) -> Described:
    patient, concept = given.patient, given.document_type.concept
    return Described(
        birth_name=patient.birth_name,
        used_name=patient.used_name or "",
        given_names=patient.given_names,
        birth_date=f"{patient.birth_date.value:%Y%m%d}",
        sex=patient.sex.value,
        ins="" if patient.ins is None else patient.ins.matricule,
        ins_oid="" if patient.ins is None else patient.ins.oid,
        date="" if given.created_at is None else str(given.created_at),
        type_code=concept.code,
        type_system=concept.code_system,
        type_label=concept.label,
        title=given.title,
    )
