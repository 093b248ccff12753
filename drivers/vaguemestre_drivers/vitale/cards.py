"""One way to read the Vitale in a reader: public read, the GIE's library, or both in turn; the same card to the end.

Owns which way serves which card. A reading begins and ends on one stay of one card; a choice made on it is confirmed by
a reading of the same way. It keeps nothing between two calls.
"""

from __future__ import annotations

from collections.abc import Callable

from vaguemestre_core.cards import CardKind, CardTrouble, Insertion, Situation
from vaguemestre_core.vitale import Beneficiary, VitaleChoice, VitaleReading, VitaleSource
from vaguemestre_drivers.pcsc.connection import CardAccess
from vaguemestre_drivers.pcsc.watching import Stay
from vaguemestre_drivers.vitale.api_lec import ApiLec
from vaguemestre_drivers.vitale.fingerprint import Fingerprints
from vaguemestre_drivers.vitale.read import VitaleReader


class VitaleCards:
    """Reads and confirms. Blocks: it belongs to a worker thread, one call at a time.

    Args:
        access: the way to the cards.
        stay_of: tells a stay while it lasts (`CardWatch.stay`).
        fingerprints: those of the process.
        library: the GIE's library, present or not.
        prefers_library: use it even where the public read would do, for what only it gives.
    """

    def __init__(
        self,
        access: CardAccess,
        stay_of: Callable[[Insertion], Stay | None],
        *,
        fingerprints: Fingerprints,
        library: ApiLec,
        prefers_library: bool = False,
    ) -> None:
        self._access = access
        self._stay_of = stay_of
        self._reader = VitaleReader(fingerprints)
        self._library = library
        self._prefers_library = prefers_library

    def read(self, insertion: Insertion) -> VitaleReading:
        """Read the card of this stay.

        Raises:
            CardTrouble: CARD_CHANGED (the stay is over, before or meanwhile), CARD_OTHER_KIND (no Vitale),
                VITALE_COMPONENT_ABSENT (only the library could read it, and it is not installed),
                VITALE_COMPONENT_FAILED, CARD_UNREADABLE, and what `CardAccess.using_card` raises.
        """
        stay = self._stay(insertion)
        if stay.card is None or not stay.card.is_vitale:
            raise CardTrouble(Situation.CARD_OTHER_KIND)
        if stay.card is CardKind.VITALE_1 or (self._prefers_library and self._library.is_present):
            return self._through_library(insertion)
        try:
            return self._directly(stay)
        except CardTrouble as trouble:
            if trouble.situation is not Situation.VITALE_COMPONENT_ABSENT or not self._library.is_present:
                raise
        return self._through_library(insertion)

    def confirm(self, choice: VitaleChoice, insertion: Insertion) -> Beneficiary:
        """Read the card of this stay again, the same way, and return the beneficiary chosen.

        Raises:
            CardTrouble: CARD_CHANGED when it is not the same card with the same content, and as `read`.
        """
        stay = self._stay(insertion)
        if stay.card is None or not stay.card.is_vitale:
            raise CardTrouble(Situation.CARD_CHANGED, reason="kind")
        if choice.source is VitaleSource.API_LEC:
            return choice.confirmed_by(self._through_library(insertion))
        return choice.confirmed_by(self._directly(stay))

    def _stay(self, insertion: Insertion) -> Stay:
        stay = self._stay_of(insertion)
        if stay is None:
            raise CardTrouble(Situation.CARD_CHANGED, reason="stay")
        return stay

    def _directly(self, stay: Stay) -> VitaleReading:
        # The reader of cards repeats what is worth repeating: a second layer of tries would make sixteen.
        return self._access.using_card(stay.reader, self._reader.read, is_repeatable=False, insertion=stay.insertion)

    def _through_library(self, insertion: Insertion) -> VitaleReading:
        """Read by the library, which opens the reader of its own settings: the stay must outlast the reading."""
        reading = self._library.read()
        self._stay(insertion)
        return reading
