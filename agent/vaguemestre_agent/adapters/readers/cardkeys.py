"""The cards of the readers process as keys under which orders may leave: ``CardPresencePort`` and ``CardKeysPort``.

Owns the translation of what a card refuses into what a sending understands: gone, or not able. A readers process that
is down is a card that is gone: its session ended with it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from vaguemestre_agent.adapters.readers.port import SupervisedReaders
from vaguemestre_core.cardholders import MEANS, OpenedCard
from vaguemestre_core.cardports import KeyId, OpenCard
from vaguemestre_core.cards import CardTrouble
from vaguemestre_core.cps import CpsError, CpsSituation
from vaguemestre_core.errors import Conflict, ServiceError
from vaguemestre_core.signing import SignatureAlgorithm, SignaturePurpose

_GONE: Final = frozenset(
    {CpsSituation.CPS_ABSENT, CpsSituation.CPS_REMOVED, CpsSituation.CPS_CHANGED, CpsSituation.PIN_NEEDED}
)


class SupervisedCardKeys:
    """The open cards of this workstation."""

    def __init__(self, readers: SupervisedReaders) -> None:
        self._readers = readers

    def open_cards(self) -> Sequence[OpenCard]:
        """Return the cards whose keys can be used now; a category that gives no authority is left out."""
        return tuple(
            OpenCard(
                key=KeyId(card.key),
                means=MEANS[card.category],
                holder=card.holder,
                structure=card.structure,
                until=card.until,
            )
            for card in self._readers.opened()
            if card.category in MEANS
        )

    def listen(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Call the listener on the loop after each change; return the function that stops it."""
        return self._readers.listen(lambda _: listener())

    def certificates(self, key: KeyId, purpose: SignaturePurpose) -> tuple[bytes, ...]:
        """Return the signature certificate: one key of a card signs for every purpose. Raises CARD_TAKEN_OUT."""
        return (self._card(key).certificate,)

    async def sign(self, key: KeyId, purpose: SignaturePurpose, data: bytes, algorithm: SignatureAlgorithm) -> bytes:
        """Sign. Raises ServiceError ``CARD_TAKEN_OUT``, ``SIGNER_UNAVAILABLE``."""
        self._card(key)
        try:
            return await self._readers.sign(key, purpose, data, algorithm)
        except (CardTrouble, CpsError, Conflict) as error:
            raise self._refused(key, error, ServiceError("SIGNER_UNAVAILABLE", cause=error.code)) from None

    async def open_tls(self, key: KeyId, host: str, port: int, within_s: float) -> str:
        """Open a stream. Raises ServiceError ``CARD_TAKEN_OUT``, ``CARD_TLS_FAILED``."""
        self._card(key)
        try:
            return await self._readers.open_tls(key, host, port, within_s)
        except ServiceError as error:
            if error.code == "CARD_TLS_FAILED" and error.params.get("failure") == "key":
                self._card(key)  # the card left in the middle of the handshake: that is what there is to say
            raise
        except (CardTrouble, CpsError, Conflict) as error:
            raise self._refused(key, error, ServiceError("CARD_TLS_FAILED", failure="key")) from None

    def _card(self, key: KeyId) -> OpenedCard:
        found = next((card for card in self._readers.opened() if card.key == key), None)
        if found is None:
            raise ServiceError("CARD_TAKEN_OUT")
        return found

    def _refused(self, key: KeyId, error: CardTrouble | CpsError | Conflict, otherwise: ServiceError) -> ServiceError:
        gone = isinstance(error, CardTrouble) or (isinstance(error, CpsError) and error.situation in _GONE)
        still_there = any(card.key == key for card in self._readers.opened())
        return ServiceError("CARD_TAKEN_OUT") if gone or not still_there else otherwise
