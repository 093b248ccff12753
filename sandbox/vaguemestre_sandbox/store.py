"""What the simulated DMP holds, on disk: patients, documents, and the rows of the wire ledger.

Owns one SQLite file. Plain synchronous calls of well under a millisecond; journal WAL, so that a killed sandbox
keeps what it had said it stored.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from vaguemestre_sandbox import xmlsafe
from vaguemestre_sandbox.ledger import FEEDING, AnswerRow, BodyRow, Outcome
from vaguemestre_sandbox.nomenclature import INS_TEST_OID, PATIENTS, VISIBILITY_CODES, FictitiousPatient
from vaguemestre_sandbox.xdslot import CONFIDENTIALITY
from vaguemestre_sandbox.xmlsafe import RIM, q

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS patient (
  key TEXT PRIMARY KEY,            -- matricule^oid
  family TEXT NOT NULL, given TEXT NOT NULL, sex TEXT NOT NULL, birth TEXT NOT NULL,
  dmp TEXT NOT NULL CHECK (dmp IN ('open', 'closed', 'none')),
  authorization TEXT NOT NULL, internet_account INTEGER NOT NULL, ens INTEGER NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS document (
  unique_id TEXT PRIMARY KEY,
  entry_uuid TEXT NOT NULL UNIQUE,
  patient TEXT NOT NULL,           -- matricule^oid
  submission_id TEXT NOT NULL,     -- uniqueId of the lot
  stored_at TEXT NOT NULL,         -- ISO 8601 UTC
  status TEXT NOT NULL CHECK (status IN ('Approved', 'Deprecated', 'Archived', 'Deleted')),
  title TEXT NOT NULL,
  entry BLOB NOT NULL,             -- ExtrinsicObject as answered by TD3.1
  content BLOB NOT NULL            -- the CDA, bytes received
) STRICT;
CREATE TABLE IF NOT EXISTS former_entry (  -- entries that a change of metadata put out of force
  entry_uuid TEXT PRIMARY KEY, unique_id TEXT NOT NULL, entry BLOB NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS association (
  kind TEXT NOT NULL, source TEXT NOT NULL, target TEXT NOT NULL  -- entryUUIDs, as they were then
) STRICT;
CREATE TABLE IF NOT EXISTS submission (
  unique_id TEXT PRIMARY KEY,
  entry_uuid TEXT NOT NULL, patient TEXT NOT NULL, stored_at TEXT NOT NULL, source_id TEXT NOT NULL,
  package BLOB NOT NULL            -- RegistryPackage as answered by FindSubmissionSets
) STRICT;
CREATE TABLE IF NOT EXISTS body (
  row_order INTEGER PRIMARY KEY, at TEXT NOT NULL, unique_id TEXT NOT NULL, patient TEXT NOT NULL,
  sha256 TEXT NOT NULL, message_id TEXT NOT NULL, outcome TEXT NOT NULL, code TEXT NOT NULL,
  stored INTEGER NOT NULL, finished_order INTEGER
) STRICT;
CREATE TABLE IF NOT EXISTS body_transaction (  -- of a body that is not a plain TD2.1
  row_order INTEGER PRIMARY KEY, name TEXT NOT NULL, lot_id TEXT NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS raw_body (
  row_order INTEGER PRIMARY KEY, content_type TEXT NOT NULL, raw BLOB NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS answer (
  row_order INTEGER PRIMARY KEY, at TEXT NOT NULL, unique_id TEXT NOT NULL, found INTEGER NOT NULL,
  in_processing INTEGER NOT NULL, held INTEGER NOT NULL, delivered INTEGER NOT NULL, explicit INTEGER NOT NULL
) STRICT;
"""


_TABLES: Final = (
    "patient",
    "document",
    "former_entry",
    "association",
    "submission",
    "body",
    "body_transaction",
    "raw_body",
    "answer",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PatientRow:
    """One patient as the DMP knows it. `key` is `matricule^oid`."""

    key: str
    family: str
    given: str
    sex: str
    birth: str
    dmp: str
    authorization: str
    internet_account: bool
    ens: bool

    @property
    def matricule(self) -> str:
        """The 15 characters of the matricule."""
        return self.key.partition("^")[0]

    @property
    def oid(self) -> str:
        """The OID of the matricule's authority."""
        return self.key.partition("^")[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentRow:
    """One document held."""

    unique_id: str
    entry_uuid: str
    patient: str
    submission_id: str
    stored_at: str
    status: str
    title: str
    entry: bytes
    content: bytes

    @property
    def lid(self) -> str:
        """The logical id: the entryUUID of the first version."""
        return xmlsafe.parse(self.entry).get("lid") or ""

    @property
    def version(self) -> int:
        """The version of the metadata, from 1."""
        return int(xmlsafe.attribute(xmlsafe.parse(self.entry).find(q(RIM, "VersionInfo")), "versionName"))

    @property
    def visibility(self) -> tuple[str, ...]:
        """The visibility codes of the entry."""
        found = (
            element.get("nodeRepresentation") or ""
            for element in xmlsafe.parse(self.entry).iterfind(q(RIM, "Classification"))
            if element.get("classificationScheme") == CONFIDENTIALITY
        )
        return tuple(code for code in found if code in VISIBILITY_CODES)


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkRow:
    """One association between two entries, by their entryUUIDs when it was made."""

    kind: str
    source: str
    target: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SubmissionRow:
    """One lot held."""

    unique_id: str
    entry_uuid: str
    patient: str
    stored_at: str
    source_id: str
    package: bytes


class SandboxStore:
    """The SQLite file of one state directory; also the ledger's journal."""

    def __init__(self, path: Path) -> None:
        self._db = sqlite3.connect(path, isolation_level=None)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=NORMAL")
        self._db.executescript(_SCHEMA)
        self._seed()

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def _seed(self) -> None:
        for patient in PATIENTS:
            self._db.execute("INSERT OR IGNORE INTO patient VALUES (?,?,?,?,?,?,?,?,?)", _patient_values(patient))

    def reset(self) -> None:
        """Forget everything but the fictitious patients, back in their first state."""
        with self._transaction():
            for table in _TABLES:
                self._db.execute(f"DELETE FROM {table}")  # noqa: S608 - fixed names
            self._seed()

    def _transaction(self) -> sqlite3.Connection:
        self._db.execute("BEGIN IMMEDIATE")
        return self._db

    # patients

    def patients(self) -> tuple[PatientRow, ...]:
        """Return every patient, by key."""
        rows = self._db.execute("SELECT * FROM patient ORDER BY key").fetchall()
        return tuple(_patient(row) for row in rows)

    def patient(self, key: str) -> PatientRow | None:
        """Return one patient, or None."""
        row = self._db.execute("SELECT * FROM patient WHERE key=?", (key,)).fetchone()
        return None if row is None else _patient(row)

    def put_patient(self, patient: PatientRow) -> None:
        """Create or replace a patient."""
        self._db.execute(
            "INSERT OR REPLACE INTO patient VALUES (?,?,?,?,?,?,?,?,?)",
            (
                patient.key,
                patient.family,
                patient.given,
                patient.sex,
                patient.birth,
                patient.dmp,
                patient.authorization,
                patient.internet_account,
                patient.ens,
            ),
        )

    # documents

    def store_lot(
        self,
        submission: SubmissionRow,
        documents: tuple[DocumentRow, ...],
        deprecated: tuple[str, ...],
        links: tuple[LinkRow, ...] = (),
    ) -> None:
        """Hold a lot; the documents whose entryUUIDs are given become Deprecated. All or nothing."""
        with self._transaction():
            self._insert_submission(submission)
            self._db.executemany(
                "INSERT INTO association VALUES (?,?,?)", [(link.kind, link.source, link.target) for link in links]
            )
            for row in documents:
                self._db.execute(
                    "INSERT INTO document VALUES (?,?,?,?,?,?,?,?,?)",
                    (
                        row.unique_id,
                        row.entry_uuid,
                        row.patient,
                        row.submission_id,
                        row.stored_at,
                        row.status,
                        row.title,
                        row.entry,
                        row.content,
                    ),
                )
            for entry_uuid in deprecated:
                self._db.execute("UPDATE document SET status='Deprecated' WHERE entry_uuid=?", (entry_uuid,))

    def store_change(self, submission: SubmissionRow, document: DocumentRow) -> None:
        """Hold a change of one document: its status, or a new version of its metadata. All or nothing."""
        with self._transaction():
            self._insert_submission(submission)
            self._db.execute(
                "INSERT INTO former_entry SELECT entry_uuid, unique_id, entry FROM document "
                "WHERE unique_id=?1 AND entry_uuid<>?2",
                (document.unique_id, document.entry_uuid),
            )
            self._db.execute(
                "UPDATE document SET entry_uuid=?, status=?, entry=? WHERE unique_id=?",
                (document.entry_uuid, document.status, document.entry, document.unique_id),
            )

    def _insert_submission(self, submission: SubmissionRow) -> None:
        self._db.execute(
            "INSERT INTO submission VALUES (?,?,?,?,?,?)",
            (
                submission.unique_id,
                submission.entry_uuid,
                submission.patient,
                submission.stored_at,
                submission.source_id,
                submission.package,
            ),
        )

    def unique_id_of_former(self, entry_uuid: str) -> str | None:
        """Return the uniqueId of an entry that a change put out of force, or None."""
        row = self._db.execute("SELECT unique_id FROM former_entry WHERE entry_uuid=?", (entry_uuid,)).fetchone()
        return None if row is None else str(row[0])

    def links(self) -> tuple[LinkRow, ...]:
        """Return the associations between entries, oldest first."""
        rows = self._db.execute("SELECT kind, source, target FROM association ORDER BY rowid").fetchall()
        return tuple(LinkRow(kind=row[0], source=row[1], target=row[2]) for row in rows)

    def documents(self, patient: str | None = None) -> tuple[DocumentRow, ...]:
        """Return the documents held, oldest first, of one patient or of all."""
        rows = self._db.execute(
            "SELECT * FROM document WHERE ?1 IS NULL OR patient=?1 ORDER BY rowid", (patient,)
        ).fetchall()
        return tuple(_document(row) for row in rows)

    def document(self, unique_id: str) -> DocumentRow | None:
        """Return the document of a uniqueId, or None."""
        row = self._db.execute("SELECT * FROM document WHERE unique_id=?", (unique_id,)).fetchone()
        return None if row is None else _document(row)

    def document_by_uuid(self, entry_uuid: str) -> DocumentRow | None:
        """Return the document of an entryUUID, or None."""
        row = self._db.execute("SELECT * FROM document WHERE entry_uuid=?", (entry_uuid,)).fetchone()
        return None if row is None else _document(row)

    def submission(self, unique_id: str) -> SubmissionRow | None:
        """Return the lot of a uniqueId, or None."""
        row = self._db.execute("SELECT * FROM submission WHERE unique_id=?", (unique_id,)).fetchone()
        return None if row is None else _submission(row)

    def submissions(self, patient: str) -> tuple[SubmissionRow, ...]:
        """Return the lots of one patient, oldest first."""
        rows = self._db.execute("SELECT * FROM submission WHERE patient=? ORDER BY rowid", (patient,)).fetchall()
        return tuple(_submission(row) for row in rows)

    # ledger journal

    def save_body(self, row: BodyRow) -> None:
        """Insert or replace one body row."""
        if row.transaction != FEEDING:
            self._db.execute(
                "INSERT OR REPLACE INTO body_transaction VALUES (?,?,?)", (row.order, row.transaction, row.lot_id)
            )
        self._db.execute(
            "INSERT OR REPLACE INTO body VALUES (?,?,?,?,?,?,?,?,?,?)",
            (
                row.order,
                row.at,
                row.unique_id,
                row.patient,
                row.sha256,
                row.message_id,
                row.outcome,
                row.code,
                row.stored,
                row.finished_order,
            ),
        )

    def save_answer(self, row: AnswerRow) -> None:
        """Insert or replace one answer row."""
        self._db.execute(
            "INSERT OR REPLACE INTO answer VALUES (?,?,?,?,?,?,?,?)",
            (
                row.order,
                row.at,
                row.unique_id,
                row.found,
                row.in_processing,
                row.held,
                row.delivered,
                row.explicit,
            ),
        )

    def save_raw_body(self, order: int, content_type: str, raw: bytes) -> None:
        """Keep the bytes of a complete body."""
        self._db.execute("INSERT OR REPLACE INTO raw_body VALUES (?,?,?)", (order, content_type, raw))

    def raw_body(self, order: int) -> tuple[str, bytes] | None:
        """Return (Content-Type, bytes) of a complete body, or None."""
        row = self._db.execute("SELECT content_type, raw FROM raw_body WHERE row_order=?", (order,)).fetchone()
        return None if row is None else (str(row[0]), bytes(row[1]))

    def load_bodies(self) -> tuple[BodyRow, ...]:
        """Return every body row; the truth about `stored` is what the document table holds."""
        rows = self._db.execute(
            "SELECT body.*, coalesce(name, ?), coalesce(lot_id, '') FROM body "
            "LEFT JOIN body_transaction USING (row_order) ORDER BY row_order",
            (FEEDING,),
        ).fetchall()
        return tuple(
            BodyRow(
                order=row[0],
                at=row[1],
                unique_id=row[2],
                patient=row[3],
                sha256=row[4],
                message_id=row[5],
                outcome=Outcome(row[6]),
                code=row[7],
                stored=bool(row[8]),
                finished_order=row[9],
                transaction=row[10],
                lot_id=row[11],
            )
            for row in rows
        )

    def load_answers(self) -> tuple[AnswerRow, ...]:
        """Return every answer row."""
        rows = self._db.execute("SELECT * FROM answer ORDER BY row_order").fetchall()
        return tuple(
            AnswerRow(
                order=row[0],
                at=row[1],
                unique_id=row[2],
                found=bool(row[3]),
                in_processing=bool(row[4]),
                held=bool(row[5]),
                delivered=bool(row[6]),
                explicit=bool(row[7]),
            )
            for row in rows
        )


_Row = tuple[str, ...]


def _patient_values(patient: FictitiousPatient) -> tuple[str | bool, ...]:
    return (
        f"{patient.matricule}^{INS_TEST_OID}",
        patient.family,
        patient.given,
        patient.sex,
        patient.birth,
        patient.dmp,
        patient.authorization,
        patient.internet_account,
        patient.ens,
    )


def _patient(row: _Row) -> PatientRow:
    return PatientRow(
        key=row[0],
        family=row[1],
        given=row[2],
        sex=row[3],
        birth=row[4],
        dmp=row[5],
        authorization=row[6],
        internet_account=bool(row[7]),
        ens=bool(row[8]),
    )


def _document(row: tuple[str, str, str, str, str, str, str, bytes, bytes]) -> DocumentRow:
    return DocumentRow(
        unique_id=row[0],
        entry_uuid=row[1],
        patient=row[2],
        submission_id=row[3],
        stored_at=row[4],
        status=row[5],
        title=row[6],
        entry=bytes(row[7]),
        content=bytes(row[8]),
    )


def _submission(row: tuple[str, str, str, str, str, bytes]) -> SubmissionRow:
    return SubmissionRow(
        unique_id=row[0],
        entry_uuid=row[1],
        patient=row[2],
        stored_at=row[3],
        source_id=row[4],
        package=bytes(row[5]),
    )
