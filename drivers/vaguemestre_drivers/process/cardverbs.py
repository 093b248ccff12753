"""The verbs about cards: what is asked of the card in a reader, and how its answer travels.

The content of a card goes to the parent through the pipe, and nowhere else.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import replace
from pathlib import PurePath
from typing import Final

from vaguemestre_core.cards import CardTrouble, Insertion, Situation
from vaguemestre_core.errors import InvalidInput
from vaguemestre_core.vitale import Beneficiary, VitaleChoice, VitaleReading
from vaguemestre_drivers.pcsc.connection import CardAccess
from vaguemestre_drivers.pcsc.watching import CardWatch
from vaguemestre_drivers.process.verbs import Asked, Reply, Verb
from vaguemestre_drivers.vitale.api_lec import ApiLec, ApiLecPlace, find_api_lec
from vaguemestre_drivers.vitale.cards import VitaleCards
from vaguemestre_drivers.vitale.fingerprint import FINGERPRINT_KEY_BYTES, Fingerprints

_READINGS_MAX: Final = 32
_NAME_BYTES: Final = 16


def vitale_cards(access: CardAccess, watch: CardWatch, library: str, data_folder: str) -> VitaleCards:
    """Return what reads the cartes Vitale: the GIE's library where a setting or its installer put it."""
    fingerprints = Fingerprints(secrets.token_bytes(FINGERPRINT_KEY_BYTES))
    place = ApiLecPlace(library=PurePath(library), data_folder=PurePath(data_folder)) if library else None
    return VitaleCards(access, watch.stay, fingerprints=fingerprints, library=ApiLec(find_api_lec(place), fingerprints))


def card_verbs(cards: VitaleCards) -> Mapping[str, Verb]:
    """Return the verbs about cartes Vitale, all on one lane: one card is talked to at a time."""
    readings = Readings()

    def read_vitale(asked: Asked) -> Reply:
        reading = cards.read(Insertion(asked.number("insertion")))
        return Reply(values={"reading": readings.keep(reading), **reading_to_json(reading)})

    def confirm_vitale(asked: Asked) -> Reply:
        choice = readings.choice(asked.text("reading"), asked.number("position"))
        return Reply(values=_person(cards.confirm(choice, Insertion(asked.number("insertion")))))

    return {
        "read_vitale": Verb(lane="cards", act=read_vitale),
        "confirm_vitale": Verb(lane="cards", act=confirm_vitale),
    }


class Readings:
    """The latest readings by a name drawn at random: what tells their cards apart, nothing of the persons."""

    def __init__(self) -> None:
        self._kept: dict[str, tuple[VitaleChoice, int]] = {}

    def keep(self, reading: VitaleReading) -> str:
        """Return the name of a reading; the oldest is forgotten beyond 32."""
        while len(self._kept) >= _READINGS_MAX:
            del self._kept[next(iter(self._kept))]
        name = secrets.token_hex(_NAME_BYTES)
        self._kept[name] = reading.choose(0), len(reading.beneficiaries)
        return name

    def choice(self, name: str, position: int) -> VitaleChoice:
        """Return the choice of a person on a reading.

        Raises:
            CardTrouble: CARD_CHANGED: that reading is forgotten.
            InvalidInput: VITALE_BENEFICIARY_INVALID: nobody is at this position.
        """
        kept = self._kept.get(name)
        if kept is None:
            raise CardTrouble(Situation.CARD_CHANGED, reason="reading")
        choice, count = kept
        if not 0 <= position < count:
            raise InvalidInput("VITALE_BENEFICIARY_INVALID", field="position")
        return replace(choice, position=position)


def reading_to_json(reading: VitaleReading) -> Mapping[str, object]:
    """Return a reading as it travels; a wrong NIR key is told, and the number is then not given."""
    return {"source": reading.source.value, "beneficiaries": [_person(item) for item in reading.beneficiaries]}


def _person(item: Beneficiary) -> Mapping[str, object]:
    nir = item.identifying_nir
    return {
        "position": item.position,
        "usual_name": item.usual_name,
        "given_name": item.given_name,
        "birth_name": item.birth_name,
        "birth_date": None if item.birth_date is None else item.birth_date.text,
        "is_lunar": item.birth_date is not None and item.birth_date.is_lunar,
        "birth_rank": item.birth_rank,
        "nir": None if nir is None else nir.usable,
        "nir_key": "absent" if nir is None else nir.key_status.value,
        "is_certified": item.certified_nir is not None,
    }
