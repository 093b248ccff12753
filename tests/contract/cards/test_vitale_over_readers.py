"""A Vitale in a reader, virtual or of a real PC/SC service: read, pulled, hostile, swapped between choice and use."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from vaguemestre_core.cards import CardEventKind, CardTrouble, Insertion, Situation
from vaguemestre_core.errors import VaguemestreError
from vaguemestre_core.vitale import Beneficiary, CardFingerprint, VitaleReading, VitaleSource
from vaguemestre_drivers.vitale.api_lec import ApiLec
from vaguemestre_drivers.vitale.cards import VitaleCards
from vaguemestre_drivers.vitale.fingerprint import Fingerprints
from vaguemestre_sandbox.cards.card import PulledCard, ScriptedCard, VirtualCard
from vaguemestre_sandbox.cards.hostile import HOSTILE
from vaguemestre_sandbox.cards.vitale import (
    FAMILY,
    OTHER_FAMILY,
    VITALE_2_ATR,
    Manner,
    Vitale1Card,
    Vitale2Card,
    written_files,
)
from vaguemestre_testkit.card_rig import Events, Rig

MARKS = Fingerprints(bytes(range(32)))
REFUSES = b"\x6e\x00"
REFUSED_AS_UNREADABLE = ("endless", "fickle_length", "lying_lengths", "garbage", "uneven", "zeros")


class CountedLibrary(ApiLec):
    """Stands for the library where it is not what is tried: one reading, during which the card may be pulled."""

    def __init__(self, name: str = "FICTIF") -> None:
        super().__init__(None, MARKS)
        self.name = name
        self.readings = 0
        self.meanwhile: Callable[[], None] = lambda: None

    @property
    def is_present(self) -> bool:
        """It is."""
        return True

    def read(self) -> VitaleReading:
        """Give one beneficiary."""
        self.readings += 1
        self.meanwhile()
        person = Beneficiary(position=0, usual_name=self.name, given_name="A", birth_date=None, nir=None)
        return VitaleReading(
            source=VitaleSource.API_LEC, beneficiaries=(person,), fingerprint=CardFingerprint(self.name.encode())
        )


class Desk:
    """A rig with a watch, and the cards that were put in."""

    def __init__(self, rig: Rig, library: ApiLec | None = None, *, prefers_library: bool = False) -> None:
        self.rig = rig
        self.watch, self.events = rig.watch()
        self.cards = VitaleCards(
            rig.access(self.watch),
            self.watch.stay,
            fingerprints=MARKS,
            library=ApiLec(None, MARKS) if library is None else library,
            prefers_library=prefers_library,
        )

    def insert(self, card: VirtualCard) -> tuple[Insertion, Pull]:
        """Put a card in, and return its stay."""
        after = len(self.events.seen)
        inserted = self.rig.insert(card)
        told = self.events.wait_kind(CardEventKind.CARD_INSERTED, self.rig.readers[0], after)
        assert told.insertion is not None
        return told.insertion, Pull(self.rig, self.events, inserted.remove)

    def refused(self, insertion: Insertion) -> CardTrouble:
        """Read, and return the trouble."""
        with pytest.raises(CardTrouble) as refused:
            self.cards.read(insertion)
        return refused.value


class Pull:
    """A hand on a card."""

    def __init__(self, rig: Rig, events: Events, remove: Callable[[], None]) -> None:
        self._rig = rig
        self._events = events
        self._remove = remove

    def __call__(self) -> None:
        """Pull it, and wait until that is seen."""
        after = len(self._events.seen)
        self._remove()
        self._events.wait_kind(CardEventKind.CARD_REMOVED, self._rig.readers[0], after)


@pytest.mark.parametrize("manner", Manner)
def test_a_family_is_read(rig: Rig, manner: Manner) -> None:
    desk = Desk(rig)
    insertion, _ = desk.insert(Vitale2Card(manner=manner))

    reading = desk.cards.read(insertion)

    assert [(person.usual_name, person.given_name) for person in reading.beneficiaries] == [
        (person.usual_name, person.given_name) for person in FAMILY
    ]


def test_a_choice_is_confirmed_by_the_same_card_and_by_no_other(rig: Rig) -> None:
    desk = Desk(rig)
    first, pull = desk.insert(Vitale2Card())
    choice = desk.cards.read(first).choose(1)
    pull()
    assert desk.refused(first).situation is Situation.CARD_CHANGED

    again, pull = desk.insert(Vitale2Card())
    assert again != first
    assert desk.cards.confirm(choice, again).given_name == "Noé"
    pull()
    for card, reason in (
        (Vitale2Card(written_files(OTHER_FAMILY)), "content"),
        (ScriptedCard(b"\x3b\x00", {}), "kind"),
    ):
        swapped, pull = desk.insert(card)
        with pytest.raises(CardTrouble) as refused:
            desk.cards.confirm(choice, swapped)
        assert refused.value.situation is Situation.CARD_CHANGED
        assert refused.value.params["reason"] == reason
        pull()


@pytest.mark.parametrize("name", REFUSED_AS_UNREADABLE)
def test_a_hostile_card_costs_one_clear_refusal_and_the_reader_serves_the_next(rig: Rig, name: str) -> None:
    desk = Desk(rig)
    insertion, pull = desk.insert(HOSTILE[name]())

    assert desk.refused(insertion).situation is Situation.CARD_UNREADABLE
    pull()
    honest, _ = desk.insert(Vitale2Card())
    assert len(desk.cards.read(honest).beneficiaries) == len(FAMILY)


@pytest.mark.parametrize("name", [name for name in HOSTILE if name not in REFUSED_AS_UNREADABLE])
def test_any_other_card_that_lies_ends_with_a_word_and_the_reader_serves_the_next_one(rig: Rig, name: str) -> None:
    desk = Desk(rig)
    insertion, pull = desk.insert(HOSTILE[name]())

    # Either ending is right; a hang or another exception is not.
    try:
        reading = desk.cards.read(insertion)
    except VaguemestreError as told:
        assert told.code  # noqa: PT017 - either ending is right
    else:
        assert len(reading.beneficiaries) <= 32
    # A PC/SC service that looks each 400 ms takes a faster swap, which no hand does, for the same card.
    pull()
    honest, _ = desk.insert(Vitale2Card())
    assert len(desk.cards.read(honest).beneficiaries) == len(FAMILY)


def test_a_card_pulled_in_mid_command_is_told(rig: Rig) -> None:
    desk = Desk(rig)
    insertion, _ = desk.insert(PulledCard(Vitale2Card(), at_command=3))

    # A driver tells the pull, or a failed exchange before it sees the pull.
    assert desk.refused(insertion).situation in {
        Situation.CARD_REMOVED,
        Situation.CARD_UNREADABLE,
        Situation.CARD_CHANGED,
        Situation.CARD_ABSENT,
    }
    desk.events.wait_kind(CardEventKind.CARD_REMOVED, rig.readers[0])
    honest, _ = desk.insert(Vitale2Card())
    assert len(desk.cards.read(honest).beneficiaries) == len(FAMILY)


def test_what_only_the_library_reads_goes_to_it(rig: Rig) -> None:
    library = CountedLibrary()
    with_library, without = Desk(rig, library), ApiLec(None, MARKS)
    for card in (Vitale1Card(), ScriptedCard(VITALE_2_ATR, {}, other=REFUSES)):
        insertion, pull = with_library.insert(card)
        reading = with_library.cards.read(insertion)
        assert reading.source is VitaleSource.API_LEC
        assert with_library.cards.confirm(reading.choose(0), insertion).given_name == "A"
        alone = VitaleCards(
            rig.access(with_library.watch), with_library.watch.stay, fingerprints=MARKS, library=without
        )
        with pytest.raises(CardTrouble) as refused:
            alone.read(insertion)
        assert refused.value.situation is Situation.VITALE_COMPONENT_ABSENT
        pull()
    assert library.readings == 4


def test_a_card_pulled_while_the_library_reads_gives_no_reading(rig: Rig) -> None:
    library = CountedLibrary()
    desk = Desk(rig, library, prefers_library=True)
    insertion, pull = desk.insert(Vitale2Card())
    assert desk.cards.read(insertion).source is VitaleSource.API_LEC

    library.meanwhile = pull
    assert desk.refused(insertion).situation is Situation.CARD_CHANGED


def test_a_card_that_is_no_vitale_is_not_asked_anything(rig: Rig) -> None:
    desk = Desk(rig)
    stranger = ScriptedCard(b"\x3b\x00", {})
    insertion, _ = desk.insert(stranger)

    assert desk.refused(insertion).situation is Situation.CARD_OTHER_KIND
    assert stranger.asked == 0
