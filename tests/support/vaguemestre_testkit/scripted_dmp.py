"""A DMP in memory that does what it is told: keeps documents, refuses, goes silent, or dies after storing.

It runs the same contract as the real adapter on the sandbox (tests/contract/dmp), and takes its verdicts from the
product's own table, so that a test of the services meets the codes that production would give.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from enum import StrEnum, unique

from vaguemestre_agent.adapters.dmp.changes import (
    refusal_of_visibility,
    sign_before_deletion,
    sign_before_visibility,
)
from vaguemestre_agent.adapters.dmp.classification import Seen, Sign, change_outcome_of, outcome_of, query_verdict
from vaguemestre_agent.adapters.dmp.registry import presence_of
from vaguemestre_core.cardports import KeySession
from vaguemestre_core.outcomes import ExistenceAnswer, Outcome, Presence, ReferenceAnswer
from vaguemestre_core.ports import SendingContext
from vaguemestre_core.records import FrozenIds, ProxySession
from vaguemestre_documents.prepared import PreparedDocument
from vaguemestre_documents.xds.registry_objects import Availability, RegisteredDocument


@unique
class PatientDmp(StrEnum):
    """State of a patient's DMP."""

    OPEN = "open"
    CLOSED = "closed"
    NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What happens to one call.

    Attributes:
        sign: what the caller sees; SUCCESS lets the double decide from what it holds.
        stores: whether the document is kept all the same (only for signs seen after the first byte).
        gate: the call stops here until the event is set, after the first byte.
    """

    sign: Sign = Sign.SUCCESS
    stores: bool = False
    gate: asyncio.Event | None = None


_NEVER_CONNECTED = frozenset(
    {
        Sign.HOST_UNKNOWN,
        Sign.CONNECTION_REFUSED,
        Sign.TLS_FAILED,
        Sign.CONNECT_TIMEOUT,
        Sign.UNREACHABLE,
        Sign.LOST_BEFORE_BODY,
        Sign.PREDECESSOR_ABSENT,
        Sign.SIGNER_UNAVAILABLE,
        Sign.CARD_REMOVED,
        Sign.STRUCTURE_MISMATCH,
    }
)


class ScriptedDmp:
    """DmpPort in memory.

    Attributes:
        submissions, existences, lookups, changes: steps of the next calls, in order; when empty, the call goes
            normally. ``changes`` are deletions and changes of visibility; the lookup made before each is part of it.
        patients: state by patient identifier as the entry writes it; a patient not named has an open DMP.
        held: documents kept, by uniqueId.
        complete_bodies: uniqueId of each complete body received, in order: a second sending shows here.
        sessions: under what each feeding or change was asked, in order.
        complete_changes: (uniqueId, transaction) of each complete change received, in order.
    """

    def __init__(self, *, longest_exchange_s: float = 60.0, signed: bool = True) -> None:
        self.submissions: deque[Step] = deque()
        self.existences: deque[Step] = deque()
        self.lookups: deque[Step] = deque()
        self.changes: deque[Step] = deque()
        self.patients: dict[str, PatientDmp] = {}
        self.held: dict[str, RegisteredDocument] = {}
        self.complete_bodies: list[str] = []
        self.complete_changes: list[tuple[str, str]] = []
        self.signatures: list[bytes | None] = []
        self.sessions: list[ProxySession | KeySession] = []
        self._lots: set[str] = set()
        self._longest_exchange_s = longest_exchange_s
        self._signed = signed

    @property
    def longest_exchange_s(self) -> float:
        """Longest time a body may still be worked on, seconds."""
        return self._longest_exchange_s

    async def test_existence(self, prepared: bytes, context: SendingContext) -> ExistenceAnswer:
        """Say what ``patients`` says."""
        document = PreparedDocument.from_bytes(prepared)
        step = await _next(self.existences)
        if step.sign is not Sign.SUCCESS:
            verdict = query_verdict(Seen(sign=step.sign))
            return ExistenceAnswer(
                exists=None,
                code=verdict.code,
                waiting=verdict.waiting,
                ends_session=verdict.ends_session,
                evidence=verdict.evidence,
            )
        state = self._state(document)
        if state is PatientDmp.NONE:
            return ExistenceAnswer(exists=False, code="DMP_ABSENT")
        is_open = state is PatientDmp.OPEN
        return ExistenceAnswer(exists=True, active=is_open, code="OK" if is_open else "DMP_CLOSED")

    async def sign(self, prepared: bytes, frozen_ids: FrozenIds, context: SendingContext) -> bytes | None:
        """Return bytes that depend on the lot only."""
        PreparedDocument.from_bytes(prepared)
        return f"signature {frozen_ids.submission_set_id}".encode() if self._signed else None

    async def submit(
        self,
        prepared: bytes,
        frozen_ids: FrozenIds,
        signature: bytes | None,
        context: SendingContext,
        before_first_byte: Callable[[], Awaitable[None]],
    ) -> Outcome:
        """Take a document, or do what the next step says."""
        self.sessions.append(context.session)
        document = PreparedDocument.from_bytes(prepared)
        step = self.submissions.popleft() if self.submissions else Step()
        if step.sign in _NEVER_CONNECTED:
            return outcome_of(Seen(sign=step.sign, body_started=False))
        replaced = document.entry.replaced_unique_id
        if replaced is not None and replaced not in self.held:
            return outcome_of(Seen(sign=Sign.PREDECESSOR_ABSENT, body_started=False))
        await before_first_byte()
        if step.gate is not None:
            await step.gate.wait()
        if step.sign is Sign.SUCCESS:
            self.complete_bodies.append(document.entry.unique_id)
            self.signatures.append(signature)
            return outcome_of(self._register(document, frozen_ids))
        if step.stores:
            self.complete_bodies.append(document.entry.unique_id)
            self._register(document, frozen_ids)
        return outcome_of(Seen(sign=step.sign))

    async def look_up(self, prepared: bytes, context: SendingContext) -> ReferenceAnswer:
        """Say what is held of the document's own uniqueId."""
        entry = PreparedDocument.from_bytes(prepared).entry
        step = await _next(self.lookups)
        if step.sign is not Sign.SUCCESS:
            verdict = query_verdict(Seen(sign=step.sign))
            return ReferenceAnswer(
                presence=Presence.UNKNOWN,
                code=verdict.code,
                waiting=verdict.waiting,
                ends_session=verdict.ends_session,
                evidence=verdict.evidence,
            )
        there = self.held.get(entry.unique_id)
        if there is None:
            return ReferenceAnswer(presence=Presence.ABSENT)
        return ReferenceAnswer(
            presence=presence_of(there, entry),
            entry_uuid=there.entry_uuid,
            logical_id=there.lid,
            version=there.version_number,
            is_deleted=there.availability is Availability.DELETED,
            visibility=there.visibility,
        )

    async def delete(
        self,
        prepared: bytes,
        frozen_ids: FrozenIds,
        context: SendingContext,
        before_first_byte: Callable[[], Awaitable[None]],
    ) -> Outcome:
        """Mark a document deleted, or do what the next step says."""

        self.sessions.append(context.session)

        def refused(there: RegisteredDocument | None) -> Sign | None:
            return sign_before_deletion(is_there=there is not None, is_deleted=_is_deleted(there))

        def apply(there: RegisteredDocument) -> RegisteredDocument:
            return replace(there, availability=Availability.DELETED, status=Availability.DELETED.value)

        return await self._change(prepared, "TD3.3c", refused, apply, frozen_ids, before_first_byte)

    async def set_visibility(
        self,
        prepared: bytes,
        visibility: frozenset[str],
        frozen_ids: FrozenIds,
        context: SendingContext,
        before_first_byte: Callable[[], Awaitable[None]],
    ) -> Outcome:
        """Change visibility codes, or do what the next step says."""
        refusal = refusal_of_visibility(visibility)
        if refusal is not None:
            return change_outcome_of(refusal)

        self.sessions.append(context.session)

        def refused(there: RegisteredDocument | None) -> Sign | None:
            now = frozenset() if there is None else there.visibility
            return sign_before_visibility(
                is_there=there is not None, is_deleted=_is_deleted(there), now=now, asked=visibility
            )

        def apply(there: RegisteredDocument) -> RegisteredDocument:
            version = (there.version_number or 0) + 1
            return replace(
                there,
                version=str(version),
                entry_uuid=f"{there.lid}/{version}",
                confidentiality_codes=("N", *sorted(visibility)),
            )

        return await self._change(prepared, "TD3.3a/b", refused, apply, frozen_ids, before_first_byte)

    async def _change(
        self,
        prepared: bytes,
        transaction: str,
        refused: Callable[[RegisteredDocument | None], Sign | None],
        apply: Callable[[RegisteredDocument], RegisteredDocument],
        frozen_ids: FrozenIds,
        before_first_byte: Callable[[], Awaitable[None]],
    ) -> Outcome:
        document = PreparedDocument.from_bytes(prepared)
        unique_id = document.entry.unique_id
        step = self.changes.popleft() if self.changes else Step()
        if step.sign in _NEVER_CONNECTED:
            return change_outcome_of(Seen(sign=step.sign, body_started=False))
        there = self.held.get(unique_id)
        sign = refused(there)
        if there is None or sign is not None:
            return change_outcome_of(Seen(sign=sign or Sign.NOTHING_TO_CHANGE, body_started=False))
        await before_first_byte()
        if step.gate is not None:
            await step.gate.wait()
        if step.sign is not Sign.SUCCESS and not step.stores:
            return change_outcome_of(Seen(sign=step.sign))
        self.complete_changes.append((unique_id, transaction))
        seen = self._apply(document, there, apply, frozen_ids)
        return change_outcome_of(seen if step.sign is Sign.SUCCESS else Seen(sign=step.sign))

    def _apply(
        self,
        document: PreparedDocument,
        there: RegisteredDocument,
        apply: Callable[[RegisteredDocument], RegisteredDocument],
        frozen_ids: FrozenIds,
    ) -> Seen:
        if self._state(document) is PatientDmp.CLOSED:
            return Seen(sign=Sign.FAILURE_CLOSED, service_code="DMPClosed")
        if frozen_ids.submission_set_id in self._lots:
            return Seen(sign=Sign.FAILURE_DUPLICATE, service_code="XDSDuplicateUniqueIdInRegistry")
        self._lots.add(frozen_ids.submission_set_id)
        self.held[there.unique_id] = apply(there)
        return Seen(sign=Sign.SUCCESS, receipt=_receipt(frozen_ids))

    def _state(self, document: PreparedDocument) -> PatientDmp:
        return self.patients.get(document.entry.patient_id, PatientDmp.OPEN)

    def _register(self, document: PreparedDocument, frozen_ids: FrozenIds) -> Seen:
        entry = document.entry
        state = self._state(document)
        if state is PatientDmp.NONE:
            return Seen(sign=Sign.FAILURE_PATIENT_UNKNOWN, service_code="XDSUnknownPatientId")
        if state is PatientDmp.CLOSED:
            return Seen(sign=Sign.FAILURE_CLOSED, service_code="DMPClosed")
        if entry.unique_id in self.held or frozen_ids.submission_set_id in self._lots:
            return Seen(sign=Sign.FAILURE_DUPLICATE, service_code="XDSDuplicateUniqueIdInRegistry")
        number = len(self.held) + 1
        uuid_text = f"urn:uuid:00000000-0000-4000-8000-{number:012d}"
        self._lots.add(frozen_ids.submission_set_id)
        self.held[entry.unique_id] = RegisteredDocument(
            unique_id=entry.unique_id,
            entry_uuid=uuid_text,
            lid=uuid_text,
            version="1",
            hash_sha1=entry.hash_sha1,
            size=entry.size,
            status=Availability.APPROVED.value,
            availability=Availability.APPROVED,
            repository_unique_id="1.2.250.1.999.4",
            patient_id=entry.patient_id,
            source_patient_id=entry.source_patient_id,
            confidentiality_codes=tuple(concept.code for concept in entry.confidentiality_codes),
        )
        replaced = self.held.get(entry.replaced_unique_id or "")
        if replaced is not None:
            self.held[replaced.unique_id] = replace(
                replaced, availability=Availability.DEPRECATED, status=Availability.DEPRECATED.value
            )
        return Seen(sign=Sign.SUCCESS, receipt=_receipt(frozen_ids))


def _is_deleted(there: RegisteredDocument | None) -> bool:
    return there is not None and there.availability is Availability.DELETED


def _receipt(frozen_ids: FrozenIds) -> tuple[tuple[str, str], ...]:
    return (
        ("registry_status", "Success"),
        ("message_id", frozen_ids.message_id),
        ("submission_set_id", frozen_ids.submission_set_id),
    )


async def _next(steps: deque[Step]) -> Step:
    step = steps.popleft() if steps else Step()
    if step.gate is not None:
        await step.gate.wait()
    return step
