"""The client's calls about facts and batches: wishes, changes of identity, delegations, documents of earlier episodes.

Owns the shape of their requests; the connection belongs to ``vaguemestre_api.client``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from vaguemestre_api import wire, wire_facts, wire_inscodes
from vaguemestre_api.client_calls import Calls
from vaguemestre_api.codec import to_json
from vaguemestre_api.jsontypes import Json, JsonObject, dump_json
from vaguemestre_api.multipart import Part, write_form


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchEntry:
    """One document of a batch: its reference, metadata, bytes, media type and, if wanted, its key."""

    client_ref: str
    metadata: JsonObject = field(repr=False)
    body: bytes = field(repr=False)
    media_type: str
    idempotency_key: str | None = None


class FactCalls(Calls):
    """Calls of a client about facts and batches; they raise what the client's methods raise."""

    async def put_documents(
        self,
        documents: Sequence[BatchEntry],
        *,
        hold: bool = False,
        send_now: bool = False,
        actor: wire.Actor | None = None,
    ) -> tuple[wire_facts.BatchOutcome, ...]:
        """Deposit documents of earlier episodes; each outcome says accepted or refused, in the order given.

        The call may be repeated after ``AgentSilent``: what was accepted is replayed.
        """
        listed: list[Json] = []
        for entry in documents:
            key: JsonObject = {} if entry.idempotency_key is None else {"idempotency_key": entry.idempotency_key}
            listed.append({"client_ref": entry.client_ref, "metadata": entry.metadata, **key})
        content = dump_json({"documents": listed})
        parts = [Part(name="documents", content=content, media_type="application/json")]
        parts += [
            Part(name="bodies", content=entry.body, media_type=entry.media_type, is_file=True) for entry in documents
        ]
        flags = (("hold", hold), ("send_now", send_now))
        parts += [Part(name=name, content=b"true") for name, wanted in flags if wanted]
        answer = await self._read("putDocuments", wire_facts.BatchAccepted, form=write_form(parts), actor=actor)
        return answer.documents

    async def consents(
        self, patient_ref: str, *, episode: str | None = None, care_team: str | None = None
    ) -> wire_facts.Consents:
        """Return what a patient said, and what is allowed for an episode and a care team."""
        given = (("episode", episode), ("care_team", care_team))
        query = [(name, value) for name, value in given if value is not None]
        return await self._read("getConsents", wire_facts.Consents, path={"patient_ref": patient_ref}, query=query)

    async def record_consents(
        self,
        patient_ref: str,
        wishes: Sequence[wire_facts.NewWish],
        *,
        identifiers: wire_facts.PatientIdentifiers | None = None,
        actor: wire.Actor | None = None,
    ) -> wire_facts.FactsRecorded:
        """Record wishes; what waits is held or freed when it returns."""
        request = wire_facts.ConsentRequest(wishes=tuple(wishes), identifiers=identifiers)
        return await self._read(
            "recordConsents",
            wire_facts.FactsRecorded,
            path={"patient_ref": patient_ref},
            body=_given(request),
            actor=actor,
        )

    async def record_identity_event(
        self, patient_ref: str, request: wire_facts.IdentityEventRequest, *, actor: wire.Actor | None = None
    ) -> wire_facts.FactsRecorded:
        """Record a change of identity; the answer names the documents whose deletion is proposed."""
        return await self._read(
            "recordIdentityEvent",
            wire_facts.FactsRecorded,
            path={"patient_ref": patient_ref},
            body=_given(request),
            actor=actor,
        )

    async def make_ins_code(self, request: wire_inscodes.InsCodeRequest) -> wire_inscodes.InsCode:
        """Return the picture of a Datamatrix INS; nothing of it is kept."""
        return await self._read("makeInsCode", wire_inscodes.InsCode, body=_given(request))

    async def delegations(self, professional: str) -> tuple[wire_facts.Delegation, ...]:
        """Return a professional's delegations."""
        query = [("professional", professional)]
        return (await self._read("getDelegations", wire_facts.DelegationList, query=query)).delegations

    async def delegate(
        self, request: wire_facts.DelegationRequest, *, actor: wire.Actor | None = None
    ) -> wire_facts.FactsRecorded:
        """Record a delegation or its withdrawal."""
        return await self._read("delegate", wire_facts.FactsRecorded, body=_given(request), actor=actor)


def _given(request: object) -> Json:
    """Return a request without the members that are not given."""
    return _without_nulls(to_json(request))


def _without_nulls(value: Json) -> Json:
    if isinstance(value, Mapping):
        return {name: _without_nulls(member) for name, member in value.items() if member is not None}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_without_nulls(member) for member in value]
    return value
