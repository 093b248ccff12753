"""The verbs about cards: what is asked of the card in a reader, and how its answer travels.

The content of a card goes to the parent through the pipe, and nowhere else.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from pathlib import PurePath

from vaguemestre_core.cards import Insertion
from vaguemestre_core.vitale import Beneficiary, VitaleReading
from vaguemestre_drivers.pcsc.connection import CardAccess
from vaguemestre_drivers.pcsc.watching import CardWatch
from vaguemestre_drivers.process.verbs import Asked, Reply, Verb
from vaguemestre_drivers.vitale.api_lec import ApiLec, ApiLecPlace, find_api_lec
from vaguemestre_drivers.vitale.cards import VitaleCards
from vaguemestre_drivers.vitale.fingerprint import FINGERPRINT_KEY_BYTES, Fingerprints


def vitale_cards(access: CardAccess, watch: CardWatch, library: str, data_folder: str) -> VitaleCards:
    """Return what reads the cartes Vitale: the GIE's library where a setting or its installer put it."""
    fingerprints = Fingerprints(secrets.token_bytes(FINGERPRINT_KEY_BYTES))
    place = ApiLecPlace(library=PurePath(library), data_folder=PurePath(data_folder)) if library else None
    return VitaleCards(access, watch.stay, fingerprints=fingerprints, library=ApiLec(find_api_lec(place), fingerprints))


def card_verbs(cards: VitaleCards) -> Mapping[str, Verb]:
    """Return the verbs about cartes Vitale, all on one lane: one card is talked to at a time."""

    def read_vitale(asked: Asked) -> Reply:
        return Reply(values=reading_to_json(cards.read(Insertion(asked.number("insertion")))))

    return {"read_vitale": Verb(lane="cards", act=read_vitale)}


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
