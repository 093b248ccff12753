"""The routes' bodies for facts and batches: wishes, changes of identity, delegations, documents of earlier episodes.

From a checked call to the services and back. No rule lives here. A patient's identifiers come in bodies only: a URL
bears the software's opaque reference.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from vaguemestre_agent.localapi import mapping
from vaguemestre_agent.localapi.backend import BatchOutcome, Delegation, DocumentUpload, Identifiers, ToldWish
from vaguemestre_agent.localapi.calls import Answer, Call
from vaguemestre_agent.localapi.findings import findings_of
from vaguemestre_agent.services.facts import ABOUT, new_wish
from vaguemestre_api import wire, wire_facts
from vaguemestre_api.codec import from_json
from vaguemestre_api.messages import fill, message
from vaguemestre_core.errors import InvalidInput, VaguemestreError
from vaguemestre_core.facts import Care, FactsRecorded, IdentityEvent
from vaguemestre_core.identities import IdentityStatus, Ins, LocalPatientId

_ABOUT_OF: Final = {kind: about for about, kind in ABOUT.items()}


async def put_documents(call: Call) -> Answer:
    """Deposit documents of earlier episodes."""
    batch = call.batch
    assert batch is not None
    if batch.hold and batch.send_now:
        raise InvalidInput("OPTIONS_CONTRADICTORY", pointer="/send_now")
    uploads = [
        DocumentUpload(
            client_ref=item.client_ref,
            metadata=item.metadata,
            body=item.body,
            media_type=item.media_type,
            actor=call.actor,
            hold=batch.hold,
            send_now=batch.send_now,
            idempotency_key=item.idempotency_key,
        )
        for item in batch.items
    ]
    outcomes = await call.backend.put_documents(call.caller, uploads)
    return Answer(content=wire_facts.BatchAccepted(documents=tuple(_outcome(outcome) for outcome in outcomes)))


async def get_consents(call: Call) -> Answer:
    """Give what a patient said, and what is allowed for the care looked at."""
    reference = call.path["patient_ref"]
    care = Care(episode=call.text("episode"), team=call.text("care_team"))
    said = await call.backend.patient_wishes(call.caller, reference, care)
    allowed = {about: kind not in said.refused for about, kind in ABOUT.items()}
    wishes = tuple(_wish(told) for told in said.wishes)
    return Answer(content=wire_facts.Consents(patient_ref=reference, wishes=wishes, **allowed))


async def record_consents(call: Call) -> Answer:
    """Record wishes."""
    request = from_json(wire_facts.ConsentRequest, call.body)
    wishes = [
        new_wish(item.about, granted=item.granted, care=Care(episode=item.episode, team=item.care_team))
        for item in request.wishes
    ]
    if len({(item.kind, item.scope) for item in wishes}) != len(wishes):
        raise InvalidInput("WISHES_CONTRADICTORY", pointer="/wishes")
    identifiers = _identifiers(request.identifiers, "/identifiers")
    return _recorded(
        await call.backend.record_wishes(call.caller, call.path["patient_ref"], identifiers, wishes, call.actor)
    )


async def record_identity_event(call: Call) -> Answer:
    """Record a change of identity."""
    request = from_json(wire_facts.IdentityEventRequest, call.body)
    status = request.identity_status
    return _recorded(
        await call.backend.record_identity_event(
            call.caller,
            call.path["patient_ref"],
            IdentityEvent(request.event),
            identifiers=_identifiers(request.identifiers, "/identifiers"),
            former=_identifiers(request.former, "/former"),
            status=None if status is None else IdentityStatus(status),
            actor=call.actor,
        )
    )


async def get_delegations(call: Call) -> Answer:
    """Give a professional's delegations."""
    found = await call.backend.delegations(call.text("professional") or "")
    return Answer(content=wire_facts.DelegationList(delegations=tuple(_delegation(item) for item in found)))


async def delegate(call: Call) -> Answer:
    """Record a delegation or its withdrawal."""
    request = from_json(wire_facts.DelegationRequest, call.body)
    return _recorded(
        await call.backend.delegate(
            call.caller,
            request.professional,
            request.station,
            request.type_code,
            granted=request.granted,
            actor=call.actor,
        )
    )


@contextmanager
def _at(pointer: str) -> Iterator[None]:
    """Give its place to an error of the domain."""
    try:
        yield
    except InvalidInput as error:
        raise InvalidInput(error.code, pointer=pointer) from None


def _identifiers(given: wire_facts.PatientIdentifiers | None, pointer: str) -> Identifiers:
    ins = local_id = None
    if given is not None and given.ins is not None:
        with _at(f"{pointer}/ins"):
            ins = Ins(matricule=given.ins.matricule, oid=given.ins.oid)
    if given is not None and given.local_id is not None:
        with _at(f"{pointer}/local_id"):
            local_id = LocalPatientId(value=given.local_id.value, oid=given.local_id.oid)
    return Identifiers(ins=ins, local_id=local_id)


def _recorded(recorded: FactsRecorded) -> Answer:
    content = wire_facts.FactsRecorded(
        version=recorded.version,
        held=recorded.held_ids,
        freed=recorded.freed_ids,
        deletions=tuple(
            wire_facts.ProposedDeletion(
                order_id=order.order_id,
                client_ref=order.client_ref,
                unique_id=order.unique_id,
                state=order.state.value,
            )
            for order in recorded.deletions
        ),
    )
    return Answer(content=content)


def _wish(told: ToldWish) -> wire_facts.Wish:
    return wire_facts.Wish(
        about=_ABOUT_OF[told.kind],
        granted=told.granted,
        at=told.at,
        actor=mapping.actor_to_wire(told.actor),
        version=told.version,
        episode=told.care.episode,
        care_team=told.care.team,
    )


def _delegation(item: Delegation) -> wire_facts.Delegation:
    return wire_facts.Delegation(
        professional=item.professional,
        station=item.station,
        granted=item.granted,
        at=item.at,
        actor=mapping.actor_to_wire(item.actor),
        version=item.version,
        type_code=item.type_code,
    )


def _outcome(outcome: BatchOutcome) -> wire_facts.BatchOutcome:
    accepted = None
    if outcome.accepted is not None:
        accepted = wire.DocumentAccepted(
            order=mapping.order_to_wire(outcome.accepted.order),
            replayed=outcome.accepted.replayed,
            superseded=outcome.accepted.superseded,
        )
    refused = None if outcome.refused is None else _refusal(outcome.refused)
    return wire_facts.BatchOutcome(client_ref=outcome.client_ref, accepted=accepted, refused=refused)


def _refusal(error: VaguemestreError) -> wire_facts.BatchRefusal:
    text = message(error.code)
    return wire_facts.BatchRefusal(
        code=error.code,
        title=fill(text.title, error.params),
        action=fill(text.action, error.params),
        errors=tuple(
            wire.Finding(pointer=item.pointer, code=item.code, title=item.sentence) for item in findings_of(error)
        ),
    )
