"""Opens a card with its PIN, within the budget of tries: one PIN presented a call at most, none twice.

Owns the order of things: what is known of the tries, whether this requester may use one, the question to the person,
the count written *before* the card sees the PIN, then the card's answer. It holds a PIN only between the window and the
card, in a buffer that it clears. Which window asks is the caller's (``AskPin``).
Source: docs/adr/0022-pkcs11-and-pin.md; tables of ``vaguemestre_core.cpspin``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from vaguemestre_core.cps import CardNumber, CpsError, CpsSituation
from vaguemestre_core.cpspin import (
    PERMITS,
    PIN_LENGTH,
    LoginEvent,
    LoginState,
    PinEvent,
    PinRequest,
    PinState,
    PinUse,
    Requester,
    TryPermit,
    after,
    login_after,
    worse_of,
)
from vaguemestre_core.errors import VaguemestreError
from vaguemestre_core.redaction import Personal
from vaguemestre_drivers.cps.token import OpenCard
from vaguemestre_drivers.cps.tries import TryBook

# Asks the person (``PinDesk.ask_for_login``); returns the digits in a buffer that we clear, or None when none came.
AskPin = Callable[[PinRequest], bytearray | None]

_EVENT_OF: Final = {
    CpsSituation.PIN_WRONG: LoginEvent.WRONG,
    CpsSituation.PIN_BLOCKED: LoginEvent.LOCKED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class LoginDemand:
    """Who wants a card open, and what for.

    Attributes:
        asker: display name of the program, for the window.
        use: what for.
        requester: a person just now, or background work.
        holder: the name to show; None when unknown.
    """

    asker: str
    use: PinUse
    requester: Requester
    holder: Personal | None = None


class CardLogin:
    """One login on one card: made for a demand, used once."""

    def __init__(self, card: OpenCard, tries: TryBook, ask: AskPin) -> None:
        self._card = card
        self._tries = tries
        self._ask = ask
        self.state = LoginState.CLOSED

    def __repr__(self) -> str:
        return f"CardLogin({self.state.value})"

    def _step(self, event: LoginEvent) -> None:
        self.state = login_after(self.state, event)

    def open(self, demand: LoginDemand) -> None:
        """Log in: on return the card's private keys can be found until its session is closed.

        Raises:
            CpsError: ``CPS_CONTACTLESS``, ``PIN_WITHHELD`` (the try is kept for a person), ``PIN_CANCELLED``,
                ``PIN_MALFORMED``, ``PIN_WRONG``, ``PIN_BLOCKED``, ``CPS_CHANGED``, and whatever the middleware says.
                After any of them nothing is tried again: only a new demand of a person asks for a PIN once more.
        """
        view = self._card.view
        if view.is_contactless or view.number is None:
            raise CpsError(CpsSituation.CPS_CONTACTLESS)
        known = self._permitted(demand, view.number)
        request = PinRequest(
            asker=demand.asker, use=demand.use, requester=demand.requester, state=known, holder=demand.holder
        )
        try:
            pin = self._ask(request)
        except VaguemestreError:  # no window can be shown: nothing was typed
            self._step(LoginEvent.NOT_GIVEN)
            raise
        try:
            self._present(pin, demand, view.number)
        finally:
            if pin is not None:
                pin[:] = bytes(len(pin))

    def _permitted(self, demand: LoginDemand, number: CardNumber) -> PinState:
        known = worse_of(self._card.refreshed().pin, self._tries.counted(number))
        permit = PERMITS[demand.requester, known]
        if permit is TryPermit.BLOCKED:
            self._step(LoginEvent.LOCKED)
            raise CpsError(CpsSituation.PIN_BLOCKED)
        if permit is TryPermit.WITHHELD:
            self._step(LoginEvent.DENIED)
            raise CpsError(CpsSituation.PIN_WITHHELD, state=known.value)
        self._step(LoginEvent.PERMITTED)
        return known

    def _present(self, pin: bytearray | None, demand: LoginDemand, number: CardNumber) -> None:
        if pin is None:
            self._step(LoginEvent.NOT_GIVEN)
            raise CpsError(CpsSituation.PIN_CANCELLED)
        if len(pin) != PIN_LENGTH or not (pin.isascii() and pin.isdigit()):
            self._step(LoginEvent.NOT_GIVEN)
            raise CpsError(CpsSituation.PIN_MALFORMED)
        try:
            # A window may stay open for minutes: the card may be another one, and its tries may have changed.
            known = worse_of(self._card.refreshed().pin, self._tries.counted(number))
        except CpsError:
            self._step(LoginEvent.CARD_LOST)
            raise
        if PERMITS[demand.requester, known] in {TryPermit.WITHHELD, TryPermit.BLOCKED}:
            self._step(LoginEvent.NOT_GIVEN)
            raise CpsError(CpsSituation.PIN_WITHHELD, state=known.value)
        presented = after(known, PinEvent.PRESENTED)
        if not self._tries.write(number, presented) and demand.requester is Requester.BACKGROUND:
            self._step(LoginEvent.NOT_GIVEN)
            raise CpsError(CpsSituation.PIN_WITHHELD, state=known.value)
        self._step(LoginEvent.GIVEN)
        try:
            self._card.log_in(pin)
        except CpsError as refused:
            self._step(_EVENT_OF.get(refused.situation, LoginEvent.CARD_LOST))
            if refused.situation is CpsSituation.PIN_WRONG:
                raise CpsError(CpsSituation.PIN_WRONG, state=after(presented, PinEvent.REFUSED).value) from None
            raise
        self._step(LoginEvent.ACCEPTED)
        self._tries.write(number, after(presented, PinEvent.ACCEPTED))
