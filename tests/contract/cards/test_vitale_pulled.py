"""A carte Vitale read through readers: a family, and a card pulled at each of its commands."""

from __future__ import annotations

import pytest

from vaguemestre_core.cards import CardEventKind, CardTrouble, Situation
from vaguemestre_core.errors import VaguemestreError
from vaguemestre_drivers.vitale.fingerprint import FINGERPRINT_KEY_BYTES, Fingerprints
from vaguemestre_drivers.vitale.read import VitaleReader
from vaguemestre_sandbox.cards.card import PulledCard
from vaguemestre_sandbox.cards.vitale import FAMILY, Vitale1Card, Vitale2Card
from vaguemestre_testkit.card_rig import Rig

READER = VitaleReader(Fingerprints(bytes(FINGERPRINT_KEY_BYTES)))


def test_a_family_is_read_and_the_card_given_back(rig: Rig) -> None:
    watch, events = rig.watch()
    rig.insert(Vitale2Card())
    stay = events.wait_kind(CardEventKind.CARD_INSERTED).insertion
    for _ in range(2):
        reading = rig.access(watch).using_card(rig.readers[0], READER.read, is_repeatable=True, insertion=stay)
        assert [person.given_name for person in reading.beneficiaries] == [person.given_name for person in FAMILY]


def test_a_card_pulled_at_any_command_is_told_as_pulled(rig: Rig) -> None:
    whole = Vitale2Card()
    watch, events = rig.watch()
    inserted = rig.insert(whole)
    events.wait_kind(CardEventKind.CARD_INSERTED)
    rig.access(watch).using_card(rig.readers[0], READER.read, is_repeatable=False)
    inserted.remove()
    events.wait_kind(CardEventKind.CARD_REMOVED)
    assert len(whole.asked) >= 4
    for at in range(1, len(whole.asked) + 1):
        seen = len(events.seen)
        rig.insert(PulledCard(Vitale2Card(), at_command=at))
        stay = events.wait_kind(CardEventKind.CARD_INSERTED, after=seen).insertion
        with pytest.raises(CardTrouble) as pulled:
            rig.access(watch).using_card(rig.readers[0], READER.read, is_repeatable=True, insertion=stay)
        assert pulled.value.situation in (
            Situation.CARD_REMOVED,
            Situation.CARD_ABSENT,
            Situation.CARD_CHANGED,
            Situation.CARD_UNREADABLE,
        )
        events.wait_kind(CardEventKind.CARD_REMOVED, after=seen)


def test_a_vitale_1_is_told_as_such(rig: Rig) -> None:
    watch, events = rig.watch()
    rig.insert(Vitale1Card())
    events.wait_kind(CardEventKind.CARD_INSERTED)

    with pytest.raises(VaguemestreError) as told:
        rig.access(watch).using_card(rig.readers[0], READER.read, is_repeatable=True)
    assert told.value.code == "VITALE_COMPONENT_ABSENT"
