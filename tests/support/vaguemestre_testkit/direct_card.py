"""A transport straight to a virtual card, without reader or service, and one that loses exchanges as flaky ones do."""

from __future__ import annotations

from collections.abc import Container

from vaguemestre_core.cards import CardTrouble, Situation
from vaguemestre_drivers.apdu import CardAnswerInvalid, split_answer
from vaguemestre_sandbox.cards.card import CardLeft, VirtualCard


class DirectCard:
    """Keeps the ``CardTransport`` contract over a card of the sandbox."""

    def __init__(self, card: VirtualCard) -> None:
        self.card = card
        self.sent = 0

    @property
    def atr(self) -> bytes:
        """The card's answer to reset."""
        return self.card.atr

    def transmit(self, apdu: bytes) -> tuple[bytes, int]:
        """Give the command to the card; a card that left or answers nonsense is a trouble, as with a real reader."""
        self.sent += 1
        try:
            return split_answer(self.card.respond(apdu))
        except CardLeft:
            raise CardTrouble(Situation.CARD_REMOVED) from None
        except CardAnswerInvalid as error:
            raise CardTrouble(Situation.CARD_UNREADABLE, reason=error.reason) from None


class FlakyCard(DirectCard):
    """Loses the exchanges of these numbers (from 1): the card saw the command or not, nobody knows."""

    def __init__(self, card: VirtualCard, lost: Container[int]) -> None:
        super().__init__(card)
        self._lost = lost

    def transmit(self, apdu: bytes) -> tuple[bytes, int]:
        """Lose the exchange, or give it to the card."""
        if self.sent + 1 in self._lost:
            self.sent += 1
            raise CardTrouble(Situation.CARD_UNREADABLE, reason="exchange")
        return super().transmit(apdu)
