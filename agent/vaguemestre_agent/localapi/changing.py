"""The routes that delete a document or change who sees it: from a checked call to the services and back."""

from __future__ import annotations

from vaguemestre_agent.localapi import mapping
from vaguemestre_agent.localapi.calls import Answer, Call
from vaguemestre_api import wire
from vaguemestre_api.codec import from_json
from vaguemestre_core.changes import ChangeAccepted, DeletionMotive

_KEY = "Idempotency-Key"


async def delete_document(call: Call) -> Answer:
    """Delete: the answer says what becomes of it, always with status 200."""
    motive = DeletionMotive(call.text("motive") or "")
    accepted = await call.backend.delete_document(
        call.caller, call.path["client_ref"], motive, call.actor, call.headers.get(_KEY)
    )
    return _told(accepted)


async def set_visibility(call: Call) -> Answer:
    """Give a document exactly these visibility codes."""
    wanted = frozenset(from_json(wire.VisibilityRequest, call.body).visibility)
    accepted = await call.backend.set_visibility(
        call.caller, call.path["client_ref"], wanted, call.actor, call.headers.get(_KEY)
    )
    return _told(accepted)


def _told(accepted: ChangeAccepted) -> Answer:
    content = wire.ChangeAccepted(
        answer=accepted.answer.value,
        order=mapping.order_to_wire(accepted.order),
        replayed=accepted.replayed,
        stopped=accepted.stopped,
    )
    return Answer(content=content, headers={"Idempotent-Replayed": "true"} if accepted.replayed else {})
