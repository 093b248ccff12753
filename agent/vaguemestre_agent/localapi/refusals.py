"""From an error to the problem a client reads: status, French title and action, support id, JSON pointers.

Owns the mapping only; the sentences are in the catalogue. Source: RFC 9457.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from vaguemestre_agent.localapi.findings import Defect, findings_of
from vaguemestre_api import wire
from vaguemestre_api.jsontypes import JsonScalar
from vaguemestre_api.messages import fill, message
from vaguemestre_api.schema import Violation
from vaguemestre_core.cards import CardTrouble
from vaguemestre_core.cps import CpsError
from vaguemestre_core.errors import (
    Conflict,
    Forbidden,
    InvalidInput,
    NotFound,
    ServiceError,
    StoreError,
    UnexpectedError,
    VaguemestreError,
)

# The most specific class first; the catalogue may name another status for a code.
STATUSES: Final[Sequence[tuple[type[VaguemestreError], int]]] = (
    (InvalidInput, 422),
    (NotFound, 404),
    (Conflict, 409),
    (Forbidden, 403),
    (StoreError, 503),
    (ServiceError, 503),
    (UnexpectedError, 500),
    (CardTrouble, 409),
    (CpsError, 409),
)
_RETRY_STATUSES: Final = frozenset({429, 503})


class RequestInvalid(InvalidInput):
    """The request breaks the schema; ``findings`` are (code, JSON pointer) pairs."""

    default_code = "REQUEST_INVALID"

    def __init__(self, findings: Sequence[tuple[str, str]]) -> None:
        super().__init__("REQUEST_INVALID", count=len(findings), pointer=findings[0][1] if findings else "")
        self.findings = tuple(Defect(code=code, pointer=pointer) for code, pointer in findings)


def schema_findings(violations: Iterable[Violation]) -> list[tuple[str, str]]:
    """Return what ``RequestInvalid`` takes for broken constraints."""
    return [(f"SCHEMA_{item.keyword.upper()}", item.pointer) for item in violations]


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A problem ready to be written.

    Attributes:
        problem: what the client reads.
        headers: what goes with it.
        closes: the connection cannot be used again.
    """

    problem: wire.Problem
    headers: Mapping[str, str] = field(default_factory=dict)
    closes: bool = False


def status_of(error: VaguemestreError) -> int:
    """Return the HTTP status of an error."""
    own = message(error.code).http_status
    if own is not None:
        return own
    return next((status for kind, status in STATUSES if isinstance(error, kind)), 500)


def refusal(error: VaguemestreError, support_id: str, *, closes: bool = False) -> Refusal:
    """Return the problem that tells this error.

    Its findings, or the place its ``pointer`` parameter names, become the list ``errors``.
    """
    text = message(error.code)
    status = status_of(error)
    params: Mapping[str, JsonScalar] = dict(error.params)
    headers: dict[str, str] = {}
    if status == 401:
        headers["WWW-Authenticate"] = "Vaguemestre"
    if status in _RETRY_STATUSES:
        wait = params.get("retry_after_s")
        headers["Retry-After"] = str(max(1, round(wait))) if isinstance(wait, int | float) else "1"
    allowed = params.get("allow")
    if status == 405 and isinstance(allowed, str):
        headers["Allow"] = allowed
    return Refusal(
        problem=wire.Problem(
            type=f"urn:vaguemestre:problem:{error.code.lower()}",
            status=status,
            code=error.code,
            title=fill(text.title, params),
            detail=fill(text.detail, params),
            recovery=error.recovery.value,
            action=fill(text.action, params),
            link=text.link,
            support_id=support_id,
            params=params,
            errors=tuple(
                wire.Finding(pointer=item.pointer, code=item.code, title=item.sentence) for item in findings_of(error)
            ),
        ),
        headers=headers,
        closes=closes,
    )
