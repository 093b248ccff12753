"""The verbs about cards: what is asked of the card in a reader, and how its answer travels.

The content of a card goes to the parent through the pipe, and nowhere else.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping

from vaguemestre_core.cards import CardTrouble, Insertion, Situation
from vaguemestre_core.vitale import Beneficiary, VitaleReading
from vaguemestre_drivers.pcsc.connection import CardAccess
from vaguemestre_drivers.pcsc.watching import CardWatch
from vaguemestre_drivers.process.verbs import Asked, Reply, Verb
from vaguemestre_drivers.vitale.fingerprint import FINGERPRINT_KEY_BYTES, Fingerprints
from vaguemestre_drivers.vitale.read import VitaleReader


def card_verbs(access: CardAccess, watch: CardWatch) -> Mapping[str, Verb]:
    """Return the verbs about cards, all on one lane: one card is talked to at a time."""
    reader = VitaleReader(Fingerprints(secrets.token_bytes(FINGERPRINT_KEY_BYTES)))

    def read_vitale(asked: Asked) -> Reply:
        stay = watch.stay(Insertion(asked.number("insertion")))
        if stay is None:
            raise CardTrouble(Situation.CARD_CHANGED)
        if stay.card is None or not stay.card.is_vitale:
            raise CardTrouble(Situation.CARD_OTHER_KIND)
        reading = access.using_card(stay.reader, reader.read, is_repeatable=True, insertion=stay.insertion)
        return Reply(values=reading_to_json(reading))

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
