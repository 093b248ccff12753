"""The PIN of a professional's card as a budget of tries: two tables and nothing else.

Owns what is known of the tries left, who may use one, and the steps of a login; it never holds a PIN. A try is counted
*before* it is presented, so that a middleware which dies in the middle has cost one. Background work never uses the
last but one try: a person who mistypes once keeps two more, whatever the software did. A refused PIN is presented once:
there is no transition from ``REFUSED`` back to ``PRESENTING``.
Source: docs/adr/0022-pkcs11-and-pin.md; PKCS #11 v2.40, CKF_USER_PIN_* flags.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum, unique
from types import MappingProxyType
from typing import Final

from vaguemestre_core.errors import InvalidInput
from vaguemestre_core.redaction import Personal

MAX_TRIES: Final = 3
PIN_LENGTH: Final = 4


@unique
class PinState(StrEnum):
    """What is known of the tries left."""

    UNKNOWN = "unknown"  # neither the card nor our own count says
    OK = "ok"  # all of them
    LOW = "low"  # at least one was lost since the last success; two left at most
    LAST_TRY = "last_try"
    BLOCKED = "blocked"


@unique
class PinEvent(StrEnum):
    """What happens to the budget."""

    PRESENTED = "presented"  # counted before the card sees it
    ACCEPTED = "accepted"
    REFUSED = "refused"  # the try was counted when presented
    LOCKED = "locked"  # the card says it is blocked
    UNBLOCKED = "unblocked"  # a person says that the card was unblocked elsewhere


_P, _E = PinState, PinEvent
# Anything absent is illegal.
PIN_TABLE: Final[Mapping[tuple[PinState, PinEvent], PinState]] = MappingProxyType(
    {
        (_P.UNKNOWN, _E.PRESENTED): _P.UNKNOWN,
        (_P.OK, _E.PRESENTED): _P.LOW,
        (_P.LOW, _E.PRESENTED): _P.LAST_TRY,
        # Our count may be behind an unblocking done elsewhere: only the card says BLOCKED.
        (_P.LAST_TRY, _E.PRESENTED): _P.LAST_TRY,
        (_P.UNKNOWN, _E.ACCEPTED): _P.OK,
        (_P.LOW, _E.ACCEPTED): _P.OK,
        (_P.LAST_TRY, _E.ACCEPTED): _P.OK,
        (_P.UNKNOWN, _E.REFUSED): _P.UNKNOWN,
        (_P.LOW, _E.REFUSED): _P.LOW,
        (_P.LAST_TRY, _E.REFUSED): _P.LAST_TRY,
        **dict.fromkeys(((state, _E.LOCKED) for state in PinState), _P.BLOCKED),
        **dict.fromkeys(((state, _E.UNBLOCKED) for state in PinState), _P.OK),
    }
)

# The worse of what the card reports and what we counted; UNKNOWN is worse than OK and better than a lost try.
_SEVERITY: Final = (PinState.OK, PinState.UNKNOWN, PinState.LOW, PinState.LAST_TRY, PinState.BLOCKED)


def after(state: PinState, event: PinEvent) -> PinState:
    """Return the state after an event. Raises InvalidInput ``PIN_TRANSITION_ILLEGAL``."""
    try:
        return PIN_TABLE[state, event]
    except KeyError:
        raise InvalidInput("PIN_TRANSITION_ILLEGAL", state=state.value, event=event.value) from None


def worse_of(reported: PinState, counted: PinState) -> PinState:
    """Return what to act upon: the card's word and our own count, the more careful of the two."""
    return max(reported, counted, key=_SEVERITY.index)


@unique
class Requester(StrEnum):
    """Who would use a try."""

    PERSON = "person"  # somebody asked for it just now
    BACKGROUND = "background"  # the queue, a restart, a card that came back


@unique
class TryPermit(StrEnum):
    """Whether a try may be used."""

    ALLOWED = "allowed"
    LAST_WARNED = "last_warned"  # allowed once the window has said that it may be the last
    WITHHELD = "withheld"  # kept for a person
    BLOCKED = "blocked"


_R, _T = Requester, TryPermit
PERMITS: Final[Mapping[tuple[Requester, PinState], TryPermit]] = MappingProxyType(
    {
        (_R.PERSON, _P.UNKNOWN): _T.ALLOWED,
        (_R.PERSON, _P.OK): _T.ALLOWED,
        (_R.PERSON, _P.LOW): _T.ALLOWED,
        (_R.PERSON, _P.LAST_TRY): _T.LAST_WARNED,
        (_R.PERSON, _P.BLOCKED): _T.BLOCKED,
        (_R.BACKGROUND, _P.UNKNOWN): _T.WITHHELD,
        (_R.BACKGROUND, _P.OK): _T.ALLOWED,
        (_R.BACKGROUND, _P.LOW): _T.WITHHELD,  # the next one would be the last but one
        (_R.BACKGROUND, _P.LAST_TRY): _T.WITHHELD,
        (_R.BACKGROUND, _P.BLOCKED): _T.BLOCKED,
    }
)


@unique
class LoginState(StrEnum):
    """Where a login is."""

    CLOSED = "closed"
    ASKING = "asking"  # the window is open
    PRESENTING = "presenting"  # the card has, or may have, seen a PIN
    OPEN = "open"
    REFUSED = "refused"  # wrong PIN: only a new request of a person starts again
    WITHHELD = "withheld"
    CANCELLED = "cancelled"
    BLOCKED = "blocked"
    LOST = "lost"  # card out, middleware silent or dead: the try counts


@unique
class LoginEvent(StrEnum):
    """What happens to a login."""

    PERMITTED = "permitted"
    DENIED = "denied"
    GIVEN = "given"
    NOT_GIVEN = "not_given"
    ACCEPTED = "accepted"
    WRONG = "wrong"
    LOCKED = "locked"
    CARD_LOST = "card_lost"
    CLOSED = "closed"


_L, _V = LoginState, LoginEvent
LOGIN_TABLE: Final[Mapping[tuple[LoginState, LoginEvent], LoginState]] = MappingProxyType(
    {
        (_L.CLOSED, _V.PERMITTED): _L.ASKING,
        (_L.CLOSED, _V.DENIED): _L.WITHHELD,
        (_L.CLOSED, _V.LOCKED): _L.BLOCKED,
        (_L.ASKING, _V.GIVEN): _L.PRESENTING,
        (_L.ASKING, _V.NOT_GIVEN): _L.CANCELLED,
        (_L.ASKING, _V.CARD_LOST): _L.LOST,  # pulled while the window was open: no try was used
        (_L.PRESENTING, _V.ACCEPTED): _L.OPEN,
        (_L.PRESENTING, _V.WRONG): _L.REFUSED,
        (_L.PRESENTING, _V.LOCKED): _L.BLOCKED,
        (_L.PRESENTING, _V.CARD_LOST): _L.LOST,
        (_L.OPEN, _V.CARD_LOST): _L.LOST,
        (_L.OPEN, _V.CLOSED): _L.CLOSED,
    }
)


def login_after(state: LoginState, event: LoginEvent) -> LoginState:
    """Return the login's state after an event. Raises InvalidInput ``PIN_TRANSITION_ILLEGAL``."""
    try:
        return LOGIN_TABLE[state, event]
    except KeyError:
        raise InvalidInput("PIN_TRANSITION_ILLEGAL", state=state.value, event=event.value) from None


@unique
class PinUse(StrEnum):
    """What a PIN is asked for; the window has a sentence for each."""

    OPEN_SESSION = "open_session"  # work in the professional's name until the card is taken out
    SIGN_DOCUMENTS = "sign_documents"
    INSI_CALL = "insi_call"
    READ_PRIVATE = "read_private"  # situations d'exercice and billing data, PIN protected


@dataclass(frozen=True, slots=True, kw_only=True)
class PinRequest:
    """What the PIN window must say before somebody types.

    Attributes:
        asker: display name of the program that asks; never empty.
        use: what for.
        requester: whether a person asked just now.
        state: what is known of the tries: the window warns on LOW and LAST_TRY.
        holder: the name to show, redacted everywhere else; None when unknown.
    """

    asker: str
    use: PinUse
    requester: Requester
    state: PinState
    holder: Personal | None = field(default=None)

    def __post_init__(self) -> None:
        if not self.asker.strip() or len(self.asker) > 100:
            raise InvalidInput("PIN_REQUEST_INVALID")
