"""Answers of the agent as the client reads them: bodies, problems, items of the event stream.

Owns the mapping from bytes to wire models; never connects. Used by ``client`` only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from vaguemestre_api import wire, wire_readers
from vaguemestre_api.codec import WireError, from_json
from vaguemestre_api.failures import AnswerUnreadable, ApiProblem
from vaguemestre_api.jsontypes import JsonRefused, parse_json
from vaguemestre_api.sse import ServerEvent

StreamContent: TypeAlias = (
    wire.Snapshot | wire.Change | wire.Resync | wire_readers.Readers | wire_readers.Card | wire_readers.ScanEvent
)


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamItem:
    """One item of the event stream, with the number to resume after (None until the state is complete)."""

    content: StreamContent
    resume_after: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One complete answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)


def problem_of(answer: Answer) -> ApiProblem | AnswerUnreadable:
    """Return the problem that an answer tells, or that it cannot be read."""
    try:
        return ApiProblem(from_json(wire.Problem, parse_json(answer.body)))
    except WireError as unfit:
        return AnswerUnreadable(unfit.where)
    except JsonRefused:
        return AnswerUnreadable(f"status {answer.status}")


_EVENTS: Final[Mapping[str, type[StreamContent]]] = {
    "snapshot": wire.Snapshot,
    "change": wire.Change,
    "resync": wire.Resync,
    "readers": wire_readers.Readers,
    "card": wire_readers.Card,
    "scan": wire_readers.ScanEvent,
}


def item_of(event: ServerEvent) -> StreamItem:
    """Return an item of the stream. Raises AnswerUnreadable."""
    model = _EVENTS.get(event.name)
    if model is None:
        raise AnswerUnreadable(event.name)
    try:
        content = from_json(model, parse_json(event.data.encode()))
    except WireError as unfit:
        raise AnswerUnreadable(unfit.where) from None
    except JsonRefused as unfit:
        raise AnswerUnreadable(unfit.reason) from None
    resume = int(event.last_id) if event.last_id is not None and event.last_id.isdecimal() else None
    return StreamItem(content=content, resume_after=resume)
