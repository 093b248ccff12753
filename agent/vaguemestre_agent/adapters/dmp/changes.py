"""TD3.3 on our own document: what a lookup just before lets us send, or the sign that there is nothing to send.

Owns the local decisions about deletion and visibility, only those that are certain; the DMP decides the rest (whose
document, which role). Source: docs/dmp.md; CI-SIS volet Gestion de documents partagés; IHE ITI-57.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from vaguemestre_agent.adapters.dmp.classification import Seen, Sign
from vaguemestre_agent.adapters.dmp.registry import Found
from vaguemestre_core.errors import InvalidInput
from vaguemestre_documents.codes import Visibility
from vaguemestre_documents.xds.metadata import SubmissionSet
from vaguemestre_documents.xds.metadata_update import build_status_change, build_visibility_change
from vaguemestre_documents.xds.registry_objects import Availability

# From a lookup and the submission set to the payload of ITI-57, or what was seen instead.
Plan = Callable[[Found, SubmissionSet], bytes | Seen]
# TD3.3b only makes visible: no transaction hides from the patient or the representatives what they may see.
HIDING: Final = frozenset({Visibility.INVISIBLE_PATIENT.value, Visibility.INVISIBLE_REPRESENTANTS_LEGAUX.value})


def refusal_of_visibility(visibility: frozenset[str]) -> Seen | None:
    """Return why these codes can be asked of nobody, or None."""
    if not visibility <= {item.value for item in Visibility} or {
        Visibility.INVISIBLE_PATIENT.value,
        Visibility.MASQUE_PS.value,
    } <= set(visibility):
        return Seen(sign=Sign.VISIBILITY_FORBIDDEN, body_started=False)
    return None


def sign_before_deletion(*, is_there: bool, is_deleted: bool) -> Sign | None:
    """Return why there is nothing to delete, or None."""
    if not is_there:
        return Sign.NOTHING_TO_DELETE
    return Sign.ALREADY_DELETED if is_deleted else None


def sign_before_visibility(
    *, is_there: bool, is_deleted: bool, now: frozenset[str], asked: frozenset[str]
) -> Sign | None:
    """Return why there is no visibility to change, or None."""
    if not is_there or is_deleted:
        return Sign.NOTHING_TO_CHANGE
    if now == asked:
        return Sign.VISIBILITY_ALREADY_SO
    return Sign.HIDING_AGAIN if (asked - now) & HIDING else None


def plan_deletion(found: Found, submission_set: SubmissionSet) -> bytes | Seen:
    """Return the payload that deletes what was found."""
    there = found.document
    is_deleted = there is not None and there.availability is Availability.DELETED
    sign = sign_before_deletion(is_there=there is not None, is_deleted=is_deleted)
    if there is None or sign is not None:
        return Seen(sign=sign or Sign.NOTHING_TO_DELETE, body_started=False)
    try:
        return build_status_change(submission_set, there, Availability.DELETED)
    except InvalidInput:
        return Seen(sign=Sign.UNEXPECTED_PAYLOAD, body_started=False)


def plan_visibility(visibility: frozenset[str]) -> Plan:
    """Return the plan that gives what is found exactly these visibility codes."""

    def plan(found: Found, submission_set: SubmissionSet) -> bytes | Seen:
        there = found.document
        sign = sign_before_visibility(
            is_there=there is not None,
            is_deleted=there is not None and there.availability is Availability.DELETED,
            now=frozenset() if there is None else there.visibility,
            asked=visibility,
        )
        if there is None or sign is not None:
            return Seen(sign=sign or Sign.NOTHING_TO_CHANGE, body_started=False)
        try:
            return build_visibility_change(submission_set, there, frozenset(Visibility(code) for code in visibility))
        except InvalidInput:
            # The registry's answer lacks what a change needs: nothing left.
            return Seen(sign=Sign.UNEXPECTED_PAYLOAD, body_started=False)

    return plan
