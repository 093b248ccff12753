"""May this order leave, and if not, what one thing would let it: every rule in one place.

The same guards run at acceptance and at claim, over the same input. Pure functions; the answers carry codes, the French
sentence is in the catalogue. Sources: SC.DMP/CONF.09.BIS, INS/va1.53, SC.DMP/ALI/PROG.03, SC.DMP/UX.51.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum, unique
from typing import Final

from vaguemestre_core.orders import HoldKind, OrderKind

FEEDING: Final = frozenset({OrderKind.DMP_SUBMIT, OrderKind.DMP_REPLACE})


@unique
class GuardName(StrEnum):
    """Names of the guards, stable."""

    OPPOSITION = "opposition"
    MESSAGE_CONSENT = "message_consent"
    INS_QUALIFIEE = "ins_qualifiee"
    IDENTITY_SURE = "identity_sure"
    VISIBILITY = "visibility"
    INVISIBLE_TO_RECIPIENT = "invisible_to_recipient"
    PRODUCT_REFERENCE = "product_reference"
    DELEGATION = "delegation"


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardInput:
    """All that the guards look at; no personal data.

    Attributes:
        kind: the order's kind.
        identity_status: ``provisoire``, ``validée``, ``récupérée`` or ``qualifiée``.
        has_ins: a matricule was given.
        identity_doubtful: the identity bears the attribute douteuse or fictive.
        identity_changed: the identity changed in the LGC after the order was accepted: what it carries is stale.
        opposed: the patient's opposition to feeding, as the facts say it now.
        message_refused: the patient refuses that such a message be sent, as the facts say it now.
        visibility: visibility codes asked.
        to_patient: the message goes to the patient.
        has_product_reference: the client's product profile is complete.
        delegated: the professional lets this client's station send this type (True when not relayed).
        fact_version: version of the facts looked at.
    """

    kind: OrderKind
    identity_status: str
    has_ins: bool
    identity_doubtful: bool = False
    identity_changed: bool = False
    opposed: bool = False
    message_refused: bool = False
    visibility: frozenset[str] = frozenset()
    to_patient: bool = False
    has_product_reference: bool = True
    delegated: bool = True
    fact_version: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardAnswer:
    """One guard's answer.

    Attributes:
        guard: which.
        passed: it does not object.
        code: stable code of the objection, or ``OK``.
        hold: the hold to put when it objects to something that may change, or None.
        refuses: it objects to something that cannot change: the request itself is refused.
    """

    guard: GuardName
    passed: bool
    code: str = "OK"
    hold: HoldKind | None = None
    refuses: bool = False


def _pass(guard: GuardName) -> GuardAnswer:
    return GuardAnswer(guard=guard, passed=True)


def _is_dmp(kind: OrderKind) -> bool:
    return kind.service == "dmp"


def _opposition(facts: GuardInput) -> GuardAnswer:
    if facts.opposed and facts.kind in FEEDING:
        return GuardAnswer(
            guard=GuardName.OPPOSITION, passed=False, code="OPPOSITION_RECORDED", hold=HoldKind.OPPOSITION
        )
    return _pass(GuardName.OPPOSITION)


def _message_consent(facts: GuardInput) -> GuardAnswer:
    if facts.message_refused and facts.kind is OrderKind.MSS_SEND:
        return GuardAnswer(
            guard=GuardName.MESSAGE_CONSENT, passed=False, code="MESSAGE_REFUSED_BY_PATIENT", hold=HoldKind.CONSENT
        )
    return _pass(GuardName.MESSAGE_CONSENT)


def _ins_qualifiee(facts: GuardInput) -> GuardAnswer:
    # A deletion is how a document leaves the wrong DMP: a doubt about whose it is must not keep it there.
    if (
        _is_dmp(facts.kind)
        and facts.kind is not OrderKind.DMP_DELETE
        and (facts.identity_status != "qualifiée" or not facts.has_ins)
    ):
        return GuardAnswer(
            guard=GuardName.INS_QUALIFIEE, passed=False, code="INS_NOT_QUALIFIED", hold=HoldKind.IDENTITY
        )
    return _pass(GuardName.INS_QUALIFIEE)


def _identity_sure(facts: GuardInput) -> GuardAnswer:
    if facts.kind is OrderKind.DMP_DELETE:
        return _pass(GuardName.IDENTITY_SURE)
    # What corrects a mistake (deletion, visibility) may leave: it names what is there, under the identity of then.
    if facts.identity_changed and facts.kind in FEEDING | {OrderKind.MSS_SEND}:
        return GuardAnswer(guard=GuardName.IDENTITY_SURE, passed=False, code="IDENTITY_CHANGED", hold=HoldKind.IDENTITY)
    if facts.identity_doubtful:
        return GuardAnswer(
            guard=GuardName.IDENTITY_SURE, passed=False, code="IDENTITY_DOUBTFUL", hold=HoldKind.IDENTITY
        )
    return _pass(GuardName.IDENTITY_SURE)


def _visibility(facts: GuardInput) -> GuardAnswer:
    if {"INVISIBLE_PATIENT", "MASQUE_PS"} <= facts.visibility:
        return GuardAnswer(
            guard=GuardName.VISIBILITY, passed=False, code="VISIBILITY_COMBINATION_FORBIDDEN", refuses=True
        )
    return _pass(GuardName.VISIBILITY)


def _invisible_to_recipient(facts: GuardInput) -> GuardAnswer:
    if facts.kind is OrderKind.MSS_SEND and facts.to_patient and "INVISIBLE_PATIENT" in facts.visibility:
        return GuardAnswer(
            guard=GuardName.INVISIBLE_TO_RECIPIENT, passed=False, code="INVISIBLE_TO_PATIENT", refuses=True
        )
    return _pass(GuardName.INVISIBLE_TO_RECIPIENT)


def _product_reference(facts: GuardInput) -> GuardAnswer:
    if not facts.has_product_reference:
        return GuardAnswer(
            guard=GuardName.PRODUCT_REFERENCE, passed=False, code="PRODUCT_PROFILE_MISSING", refuses=True
        )
    return _pass(GuardName.PRODUCT_REFERENCE)


def _delegation(facts: GuardInput) -> GuardAnswer:
    if not facts.delegated:
        return GuardAnswer(
            guard=GuardName.DELEGATION, passed=False, code="DELEGATION_MISSING", hold=HoldKind.DELEGATION
        )
    return _pass(GuardName.DELEGATION)


GUARDS: Final[tuple[Callable[[GuardInput], GuardAnswer], ...]] = (
    _product_reference,
    _visibility,
    _invisible_to_recipient,
    _opposition,
    _message_consent,
    _identity_sure,
    _ins_qualifiee,
    _delegation,
)


def examine(facts: GuardInput) -> tuple[GuardAnswer, ...]:
    """Return every guard's answer, in a fixed order: those that refuse come first."""
    return tuple(guard(facts) for guard in GUARDS)


def holds_of(answers: tuple[GuardAnswer, ...]) -> frozenset[HoldKind]:
    """Return the holds that the objections ask for."""
    return frozenset(answer.hold for answer in answers if not answer.passed and answer.hold is not None)
