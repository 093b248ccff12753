"""Changes that carry no body: deleting a document and changing who sees it, as asked and as answered.

Owns values and the two rules that are certain without asking the service. Sources: SC.DMP/CONF.03, SC.DMP/UX.14.BIS,
SC.DMP/UX.51; docs/architecture.md, "Deleting and changing visibility".
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum, unique
from typing import Final

from vaguemestre_core.orders import ClientId, OrderId, OrderKind
from vaguemestre_core.records import Actor, Order, Schedule

CHANGES: Final = frozenset({OrderKind.DMP_DELETE, OrderKind.DMP_VISIBILITY})
INVISIBLE_PATIENT: Final = "INVISIBLE_PATIENT"
# TD3.3b only makes visible: no transaction hides again from those who may see.
_HIDING: Final = frozenset({INVISIBLE_PATIENT, "INVISIBLE_REPRESENTANTS_LEGAUX"})


@unique
class DeletionMotive(StrEnum):
    """Why a document is deleted; written in the ledger. The transaction itself carries none."""

    FEEDING_ERROR = "feeding_error"  # wrong document, wrong patient
    PATIENT_REQUEST = "patient_request"


@unique
class ChangeAnswer(StrEnum):
    """What becomes of a deletion or a change of visibility. Values are shown: they never change."""

    ACCEPTED = "accepted"  # an order will do it at the service
    WAITS = "waits"  # an order will, once the verdict of what left is known
    STOPPED = "stopped"  # a deletion: nothing had left, and nothing will
    CORRECTED = "corrected"  # a visibility: what had not left was changed before leaving
    DONE = "done"  # it is so already


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeRequest:
    """A deletion or a change of visibility of a document that a client named, about to be made durable.

    Attributes:
        idempotency_key: the client's key for this request, or None.
        request_digest: hex SHA-256 of what is asked.
        kind: ``dmp.delete`` or ``dmp.visibility``.
        order_id: for the order that this makes, if it makes one.
        unique_id: OID for the version that this makes, if it changes one that has not left.
        visibility: the visibility codes wanted; empty for a deletion.
        motive: why it is deleted; None for a change of visibility.
        schedule: when an order for the service may leave.
        correction_schedule: when a version changed before leaving may leave.
    """

    client_id: ClientId
    client_ref: str
    actor: Actor
    idempotency_key: str | None
    request_digest: str
    kind: OrderKind
    order_id: OrderId
    unique_id: str
    visibility: frozenset[str]
    motive: DeletionMotive | None
    schedule: Schedule
    correction_schedule: Schedule
    accepted_at: datetime
    boot_s: float
    boot_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeAccepted:
    """What a deletion or a change of visibility has become.

    Attributes:
        answer: what becomes of it.
        order: the order that does it, or the one that tells why nothing more is to be done.
        replayed: nothing was changed by this very request.
        stopped: the orders that this request stopped or replaced, oldest first.
    """

    answer: ChangeAnswer
    order: Order
    replayed: bool
    stopped: tuple[OrderId, ...] = ()


def visibility_of(facts: str) -> frozenset[str]:
    """Return the visibility codes in the guard facts of an order."""
    return frozenset(str(code) for code in json.loads(facts).get("visibility", ()))


def facts_of_change(facts: str, visibility: frozenset[str] | None, motive: DeletionMotive | None) -> str:
    """Return the guard facts of an order that changes, or takes the place of, one with these facts."""
    changed = dict(json.loads(facts))
    if visibility is not None:
        changed["visibility"] = sorted(visibility)
    if motive is not None:
        changed["motive"] = motive.value
    return json.dumps(changed, ensure_ascii=False)


def hides_again(now: frozenset[str], asked: frozenset[str]) -> bool:
    """Say whether this would hide what is visible there from the patient or the representatives: nothing can."""
    return bool((asked - now) & _HIDING)
