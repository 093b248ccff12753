"""Documents of earlier episodes, deposited together by a person (SC.DMP/HISTO.05).

Owns one rule: an identity that is not qualifiée lets none of them in. Each document is otherwise accepted or refused by
itself, and may be deposited again without harm.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from vaguemestre_agent.services.intake import IntakeService
from vaguemestre_agent.services.values import DocumentUpload
from vaguemestre_core.errors import Conflict, InvalidInput, VaguemestreError
from vaguemestre_core.guards import GuardName
from vaguemestre_core.identities import IdentityStatus
from vaguemestre_core.records import Accepted, Client


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchOutcome:
    """What became of one document: accepted, or refused with nothing changed."""

    client_ref: str
    accepted: Accepted | None = None
    refused: VaguemestreError | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchDefect:
    """A document of a batch that keeps all of them out: its code and its place in the request."""

    code: str
    pointer: str
    sentence: str


class BatchRefused(Conflict):
    """No order was made; ``findings`` name the documents whose identity is not qualifiée."""

    default_code = "INS_NOT_QUALIFIED"

    def __init__(self, findings: tuple[BatchDefect, ...]) -> None:
        super().__init__("INS_NOT_QUALIFIED", count=len(findings))
        self.findings = findings


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryService:
    """Accepts batches of documents of earlier episodes."""

    intake: IntakeService

    async def put_documents(self, client: Client, uploads: Sequence[DocumentUpload]) -> Sequence[BatchOutcome]:
        """Accept what may be accepted, in the order given; a repetition of the batch replays the present answers.

        Raises:
            BatchRefused: a document's identity is not qualifiée: no order is made.
            InvalidInput: BATCH_REFERENCE_TWICE.
            Forbidden: PRODUCT_PROFILE_MISSING.
            StoreError: see ``StorePort.accept``; what was accepted before it stays, a repetition goes on.
        """
        if len({upload.client_ref for upload in uploads}) != len(uploads):
            raise InvalidInput("BATCH_REFERENCE_TWICE", pointer="/documents")
        unqualified: list[BatchDefect] = []
        for number, upload in enumerate(uploads):
            if self._is_unqualified(client, upload):
                pointer = f"/documents/{number}/metadata/patient/identity_status"
                sentence = "L'INS n'est pas qualifiée."
                unqualified.append(BatchDefect(code="INS_NOT_QUALIFIED", pointer=pointer, sentence=sentence))
        if unqualified:
            raise BatchRefused(tuple(unqualified))
        return [await self._put(client, upload) for upload in uploads]

    def _is_unqualified(self, client: Client, upload: DocumentUpload) -> bool:
        """Say whether the guards object to the identity; what is wrong for another reason is refused by itself."""
        try:
            answers = self.intake.examined(client, upload)
        except InvalidInput:
            return declared_status(upload.metadata) not in {None, IdentityStatus.QUALIFIEE.value}
        return any(answer.guard is GuardName.INS_QUALIFIEE and not answer.passed for answer in answers)

    async def _put(self, client: Client, upload: DocumentUpload) -> BatchOutcome:
        try:
            accepted = await self.intake.put_document(client, upload)
        except (InvalidInput, Conflict) as refused:
            return BatchOutcome(client_ref=upload.client_ref, refused=refused)
        return BatchOutcome(client_ref=upload.client_ref, accepted=accepted)


def declared_status(metadata: bytes) -> object:
    """Return the identity status that metadata declare, whatever else is wrong in them; None when they say none."""
    try:
        value = json.loads(metadata)
    except (ValueError, RecursionError):
        return None
    patient = value.get("patient") if isinstance(value, dict) else None
    return patient.get("identity_status") if isinstance(patient, dict) else None
