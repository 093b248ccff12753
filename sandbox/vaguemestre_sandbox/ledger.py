"""The wire ledger: every complete TD2.1 or ITI-57 body received, and every TD3.1 answer given about it.

Pure logic, no input or output: it gives order numbers, judges the answers and counts what was sent twice. A
journal given at construction keeps the rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import pairwise
from typing import Protocol


class Outcome(StrEnum):
    """What became of a complete body."""

    PROCESSING = "processing"
    STORED = "stored"
    """Stored, and the answer was given."""
    STORED_CUT = "stored_cut"
    """Stored, then the connection was cut."""
    STORED_UNSAID = "stored_unsaid"
    """Stored, yet the answer said something else (an HTTP error, an unreadable answer)."""
    REFUSED = "refused"
    """Not stored, and a readable refusal was given."""
    CUT = "cut"
    """Not stored, connection cut."""
    DROPPED = "dropped"
    """Not stored, and the answer did not say so clearly (HTTP error, lie)."""
    INTERRUPTED = "interrupted"
    """Not stored: the simulated service stopped while processing."""


FEEDING = "TD2.1"
REPLACING = "TD2.1 RPLC"
"""Transactions of a body that brings a document; any other changes one that is held."""
STORED_OUTCOMES = frozenset({Outcome.STORED, Outcome.STORED_CUT, Outcome.STORED_UNSAID})


@dataclass(frozen=True, slots=True, kw_only=True)
class BodyRow:
    """One complete body, for one document of its lot.

    `at` is ISO 8601 UTC; `patient` is `matricule^oid`; `lot_id` the uniqueId of the submission set.
    """

    order: int
    at: str
    unique_id: str
    patient: str
    sha256: str
    message_id: str
    outcome: Outcome
    code: str
    stored: bool
    finished_order: int | None
    transaction: str = FEEDING
    lot_id: str = ""

    @property
    def is_feeding(self) -> bool:
        """True for a TD2.1, replacement or not."""
        return self.transaction in (FEEDING, REPLACING)


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerRow:
    """One TD3.1 answer about one uniqueId.

    `valid` is true for an "unknown" given when every earlier body was finished and not stored, and delivered.
    """

    order: int
    at: str
    unique_id: str
    found: bool
    in_processing: bool
    held: bool
    delivered: bool
    explicit: bool
    """Asked by uniqueId; false when deduced from a search over the whole patient."""

    @property
    def valid(self) -> bool:
        """True when this answer entitles the sender to send again."""
        return not self.found and not self.in_processing and not self.held and self.delivered


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentVerdict:
    """The figures of one uniqueId."""

    unique_id: str
    complete_bodies: int
    stored: int
    sent_twice: int
    resent_after_refusal: int
    """The part of `sent_twice` whose previous body had a readable refusal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TransactionCount:
    """The complete bodies of one uniqueId in one transaction, and how many of them took effect."""

    unique_id: str
    transaction: str
    complete_bodies: int
    stored: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The figures of the whole wire: all of them about TD2.1, but for `per_transaction`."""

    documents: int
    complete_bodies: int
    stored: int
    sent_twice: int
    resent_after_refusal: int
    processing: int
    unknown_valid: int
    unknown_invalid: int
    per_document: tuple[DocumentVerdict, ...]
    per_transaction: tuple[TransactionCount, ...] = ()


class LedgerJournal(Protocol):
    """Where rows are kept."""

    def save_body(self, row: BodyRow) -> None:
        """Insert or replace one body row, keyed by its order."""

    def save_answer(self, row: AnswerRow) -> None:
        """Insert or replace one answer row, keyed by its order."""


class WireLedger:
    """Rows in memory and in the journal; one order sequence for bodies, ends of processing and answers."""

    def __init__(
        self, journal: LedgerJournal, bodies: Iterable[BodyRow] = (), answers: Iterable[AnswerRow] = ()
    ) -> None:
        self._journal = journal
        self._bodies: dict[int, BodyRow] = {row.order: row for row in bodies}
        self._answers: dict[int, AnswerRow] = {row.order: row for row in answers}
        orders = [*self._bodies, *self._answers, *(r.finished_order or 0 for r in self._bodies.values())]
        self._last = max(orders, default=0)
        self._by_id: dict[str, list[int]] = {}
        for row in self._bodies.values():
            if row.is_feeding:
                self._by_id.setdefault(row.unique_id, []).append(row.order)
        for row in list(self._bodies.values()):
            if row.outcome is Outcome.PROCESSING:
                self.finish(row.order, Outcome.STORED_CUT if row.stored else Outcome.INTERRUPTED)

    def _next(self) -> int:
        self._last += 1
        return self._last

    def receive(
        self,
        *,
        at: str,
        unique_id: str,
        patient: str,
        sha256: str,
        message_id: str,
        transaction: str = FEEDING,
        lot_id: str = "",
    ) -> int:
        """Count one complete body; return its order number. It is processing until `finish`."""
        row = BodyRow(
            order=self._next(),
            at=at,
            unique_id=unique_id,
            patient=patient,
            sha256=sha256,
            message_id=message_id,
            outcome=Outcome.PROCESSING,
            code="",
            stored=False,
            finished_order=None,
            transaction=transaction,
            lot_id=lot_id,
        )
        self._bodies[row.order] = row
        if row.is_feeding:
            self._by_id.setdefault(unique_id, []).append(row.order)
        self._journal.save_body(row)
        return row.order

    def mark_stored(self, order: int) -> None:
        """Say that the registry now holds this body's document, or its change."""
        self._replace(replace(self._bodies[order], stored=True))

    def finish(self, order: int, outcome: Outcome, code: str = "") -> None:
        """End the processing of a body; its outcome is then fixed."""
        row = self._bodies[order]
        if row.finished_order is not None or outcome is Outcome.PROCESSING:
            return
        self._replace(
            replace(
                row,
                outcome=outcome,
                code=code,
                stored=outcome in STORED_OUTCOMES,
                finished_order=self._next(),
            )
        )

    def _replace(self, row: BodyRow) -> None:
        self._bodies[row.order] = row
        self._journal.save_body(row)

    def answer(self, *, at: str, unique_id: str, found: bool, held: bool, explicit: bool) -> int:
        """Record a TD3.1 answer about `unique_id`; return its order number.

        `held` says what the registry truly holds, whatever the answer says.
        """
        rows = [self._bodies[order] for order in self._by_id.get(unique_id, ())]
        row = AnswerRow(
            order=self._next(),
            at=at,
            unique_id=unique_id,
            found=found,
            in_processing=any(row.finished_order is None for row in rows),
            held=held or any(row.stored for row in rows),
            delivered=True,
            explicit=explicit,
        )
        self._answers[row.order] = row
        self._journal.save_answer(row)
        return row.order

    def undelivered(self, order: int) -> None:
        """Say that an answer never left: it entitles nobody to anything."""
        row = self._answers.get(order)
        if row is not None:
            self._answers[order] = replace(row, delivered=False)
            self._journal.save_answer(self._answers[order])

    def unique_ids_of(self, patient: str) -> tuple[str, ...]:
        """Return the uniqueIds of the bodies received for `patient` (`matricule^oid`)."""
        return tuple(
            unique_id
            for unique_id, orders in self._by_id.items()
            if unique_id and any(self._bodies[order].patient == patient for order in orders)
        )

    def bodies(self) -> tuple[BodyRow, ...]:
        """Return the TD2.1 bodies in order of arrival."""
        return tuple(row for row in self._bodies.values() if row.is_feeding)

    def changes(self) -> tuple[BodyRow, ...]:
        """Return the ITI-57 bodies in order of arrival."""
        return tuple(row for row in self._bodies.values() if not row.is_feeding)

    def answers(self) -> tuple[AnswerRow, ...]:
        """Return the answers in order."""
        return tuple(self._answers.values())

    def verdict(self) -> Verdict:
        """Return the figures of everything seen so far."""
        return judge(tuple(self._bodies.values()), self.answers())

    def clear(self) -> None:
        """Forget every row (the journal is cleared by its owner); the sequence goes on."""
        self._bodies.clear()
        self._answers.clear()
        self._by_id.clear()


def judge(bodies: Sequence[BodyRow], answers: Sequence[AnswerRow]) -> Verdict:
    """Count, for each uniqueId, the TD2.1 bodies beyond the first that no valid "unknown" entitled.

    Every transaction has its own count beside.
    Rows are taken in their order numbers. A body without a readable uniqueId counts as a complete body only.
    """
    per_transaction = _by_transaction(bodies)
    bodies = [row for row in bodies if row.is_feeding]
    per_document: list[DocumentVerdict] = []
    by_id: dict[str, list[BodyRow]] = {}
    licences: dict[str, list[int]] = {}
    for row in sorted(bodies, key=lambda row: row.order):
        by_id.setdefault(row.unique_id, []).append(row)
    for answer in answers:
        if answer.valid:
            licences.setdefault(answer.unique_id, []).append(answer.order)
    for unique_id, rows in by_id.items():
        if not unique_id:
            continue
        twice = after_refusal = 0
        for earlier, later in pairwise(rows):
            if any(earlier.order < order < later.order for order in licences.get(unique_id, ())):
                continue
            twice += 1
            known = earlier.finished_order is not None and earlier.finished_order < later.order
            after_refusal += earlier.outcome is Outcome.REFUSED and known
        per_document.append(
            DocumentVerdict(
                unique_id=unique_id,
                complete_bodies=len(rows),
                stored=sum(row.stored for row in rows),
                sent_twice=twice,
                resent_after_refusal=after_refusal,
            )
        )
    unknown = [answer for answer in answers if not answer.found]
    return Verdict(
        documents=len(per_document),
        complete_bodies=len(bodies),
        stored=sum(row.stored for row in bodies),
        sent_twice=sum(entry.sent_twice for entry in per_document),
        resent_after_refusal=sum(entry.resent_after_refusal for entry in per_document),
        processing=sum(row.finished_order is None for row in bodies),
        unknown_valid=sum(answer.valid for answer in unknown),
        unknown_invalid=sum(not answer.valid for answer in unknown),
        per_document=tuple(per_document),
        per_transaction=per_transaction,
    )


def _by_transaction(bodies: Sequence[BodyRow]) -> tuple[TransactionCount, ...]:
    rows: dict[tuple[str, str], list[BodyRow]] = {}
    for row in sorted(bodies, key=lambda row: row.order):
        if row.unique_id:
            rows.setdefault((row.unique_id, row.transaction), []).append(row)
    return tuple(
        TransactionCount(
            unique_id=unique_id,
            transaction=transaction,
            complete_bodies=len(found),
            stored=sum(row.stored for row in found),
        )
        for (unique_id, transaction), found in rows.items()
    )
