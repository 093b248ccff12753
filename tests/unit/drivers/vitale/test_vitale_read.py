"""The public read of Vitale 2 over virtual cards: every manner, flaky readers, hostile cards, and a card swapped."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vaguemestre_core.cards import CardTrouble, Situation
from vaguemestre_core.vitale import NirKey, VitaleDate, VitaleReading, VitaleSource
from vaguemestre_drivers.apdu import MAX_ROUNDS
from vaguemestre_drivers.vitale.decoding import VitaleContentInvalid, decode_identities, decode_nirs, pair
from vaguemestre_drivers.vitale.fingerprint import Fingerprints
from vaguemestre_drivers.vitale.read import FILE_MAX_BLOCKS, VitaleReader
from vaguemestre_sandbox.cards.card import PulledCard, VirtualCard
from vaguemestre_sandbox.cards.hostile import HOSTILE, endless
from vaguemestre_sandbox.cards.vitale import (
    FAMILY,
    OTHER_FAMILY,
    Manner,
    Vitale1Card,
    Vitale2Card,
    VitaleFiles,
    VitalePerson,
    nir_key,
    written_files,
)
from vaguemestre_testkit.direct_card import DirectCard, FlakyCard

MARKS = Fingerprints(bytes(range(32)))
READER = VitaleReader(MARKS)


def read(card: VirtualCard) -> VitaleReading:
    return READER.read(DirectCard(card))


def told(people: Sequence[VitalePerson]) -> list[tuple[str, str, str | None, str | None]]:
    return [(p.usual_name, p.given_name, p.birth_date, p.full_nir) for p in people]


def understood(reading: VitaleReading) -> list[tuple[str, str, str | None, str | None]]:
    return [
        (
            person.usual_name,
            person.given_name,
            None if person.birth_date is None else person.birth_date.text,
            None if person.nir is None else person.nir.usable,
        )
        for person in reading.beneficiaries
    ]


@pytest.mark.parametrize("manner", Manner)
@pytest.mark.parametrize("people", [FAMILY, OTHER_FAMILY, FAMILY * 4], ids=["family", "one", "twelve"])
def test_beneficiaries_are_read_in_the_order_of_the_card(manner: Manner, people: tuple[VitalePerson, ...]) -> None:
    reading = read(Vitale2Card(written_files(people), manner=manner))

    assert understood(reading) == told(people)
    assert reading.source is VitaleSource.CARD
    assert reading.valid_from == VitaleDate(text="20200101")
    assert all(person.birth_name is None for person in reading.beneficiaries)
    assert all(person.country == "FR" for person in reading.beneficiaries)


def test_a_file_longer_than_one_block_is_read_to_its_end_and_no_further() -> None:
    card = Vitale2Card(written_files(FAMILY * 4), file_bytes=2_048)

    assert len(read(card).beneficiaries) == 12
    reads = [command for command in card.asked if command[1] == 0xB0]
    assert len(reads) <= 2 * (1 + len(written_files(FAMILY * 4).identities) // 256)


def test_a_card_that_fits_in_one_block_is_read_in_four_commands() -> None:
    card = Vitale2Card(VitaleFiles(identities=written_files(OTHER_FAMILY).identities[:47], nirs=b""))
    with pytest.raises(CardTrouble):
        read(card)
    small = Vitale2Card(written_files(OTHER_FAMILY), file_bytes=256)
    read(small)

    assert [command.hex() for command in small.asked] == ["00a40000", "00b08200", "00a40400", "00b08200"]


def test_a_lunar_date_of_the_card_is_kept() -> None:
    dates = [person.birth_date for person in read(Vitale2Card()).beneficiaries]

    assert [date.is_lunar for date in dates if date is not None] == [False, False, True]


@pytest.mark.parametrize("lost", [{1}, {2, 3}, {3, 4, 5}, {1, 3, 5, 7}, {4, 5, 6}])
def test_a_flaky_reader_is_tried_four_times(lost: set[int]) -> None:
    assert understood(READER.read(FlakyCard(Vitale2Card(), lost))) == told(FAMILY)


def test_a_fifth_try_is_not_made() -> None:
    flaky = FlakyCard(Vitale2Card(), range(100))

    with pytest.raises(CardTrouble) as refused:
        READER.read(flaky)

    assert refused.value.situation is Situation.CARD_UNREADABLE
    assert flaky.sent == 4


@pytest.mark.parametrize("at_command", range(1, 5))
def test_a_card_pulled_in_mid_command_is_told_at_once(at_command: int) -> None:
    line = DirectCard(PulledCard(Vitale2Card(written_files(OTHER_FAMILY), file_bytes=256), at_command=at_command))

    with pytest.raises(CardTrouble) as refused:
        READER.read(line)

    assert refused.value.situation is Situation.CARD_REMOVED
    assert line.sent == at_command


def test_a_vitale_1_needs_the_library() -> None:
    card = Vitale1Card()

    with pytest.raises(CardTrouble) as refused:
        read(card)

    assert refused.value.situation is Situation.VITALE_COMPONENT_ABSENT
    assert refused.value.params["status"] == "6E00"
    assert len(card.asked) == 1
    assert card.respond(bytes.fromhex("BCA4000002 3F00")) == b"\x6d\x00"


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_card_is_left_with_a_clear_word(name: str) -> None:
    line = DirectCard(HOSTILE[name]())

    with pytest.raises(CardTrouble) as refused:
        READER.read(line)

    assert refused.value.situation is Situation.CARD_UNREADABLE
    assert refused.value.params["reason"]
    assert line.sent <= MAX_ROUNDS * 4


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("endless", "endless"),
        ("endless_data", "too_long"),
        ("fickle_length", "endless"),
        ("no_status", "short"),
        ("odd_status", "status"),
        ("nothing", "short"),
        ("lying_lengths", "tlv_truncated"),
        ("overlapping", "tlv_truncated"),
        ("zeros", "empty"),
        ("erased", "tlv_tag"),
        ("uneven", "count"),
        ("deep", "tlv_depth"),
    ],
)
def test_each_lie_has_its_word(name: str, reason: str) -> None:
    with pytest.raises(CardTrouble) as refused:
        read(HOSTILE[name]())
    assert refused.value.params["reason"] == reason


def test_two_files_that_do_not_name_as_many_people_are_never_paired() -> None:
    mother_and_son = decode_identities(written_files(FAMILY[:2]).identities)

    with pytest.raises(VitaleContentInvalid) as refused:
        pair(mother_and_son, decode_nirs(written_files(FAMILY[:1]).nirs))

    assert refused.value.reason == "count"


def test_a_wrong_key_is_read_again_then_told() -> None:
    wrong = VitalePerson(usual_name="FICTIF", given_name="A", birth_date="19790312", nir="2790375112345", key="00")
    card = Vitale2Card(written_files((wrong,)), file_bytes=256)

    (person,) = read(card).beneficiaries

    assert person.nir is not None
    assert person.nir.key_status is NirKey.WRONG
    assert person.nir.usable is None
    assert len(card.asked) == 8


class ChangingCard(Vitale2Card):
    """Gives another NIR at the second reading: a reader that garbles, or a card swapped in between."""

    def respond(self, command: bytes) -> bytes:
        """Swap the files when the master file is selected for the second time."""
        answer = super().respond(command)
        if self.asked.count(bytes.fromhex("00A40000")) == 2:
            self._nirs = SECOND.nirs.ljust(256, b"\x00")
        return answer


WRONG_KEY = VitalePerson(usual_name="FICTIF", given_name="A", birth_date="19790312", nir="2790375112345", key="00")
SECOND = written_files(
    (VitalePerson(usual_name="FICTIF", given_name="A", birth_date="19790312", nir="2790375112346", key="00"),)
)


def test_two_readings_that_differ_and_are_both_wrong_are_refused() -> None:
    with pytest.raises(CardTrouble) as refused:
        read(ChangingCard(written_files((WRONG_KEY,)), file_bytes=256))
    assert refused.value.params["reason"] == "unstable"


def test_the_same_card_confirms_a_choice_and_another_does_not() -> None:
    choice = read(Vitale2Card()).choose(1)

    assert choice.confirmed_by(read(Vitale2Card(manner=Manner.IN_PIECES, file_bytes=512))).given_name == "Noé"
    one_digit = (*FAMILY[:2], VitalePerson(usual_name="X", given_name="Y", birth_date="19410000", nir="2410099352018"))
    for other in (written_files(OTHER_FAMILY), written_files(FAMILY[::-1]), written_files(one_digit)):
        with pytest.raises(CardTrouble) as refused:
            choice.confirmed_by(read(Vitale2Card(other)))
        assert refused.value.situation is Situation.CARD_CHANGED


def test_a_fingerprint_says_nothing_to_another_process() -> None:
    here, there = read(Vitale2Card()), VitaleReader(Fingerprints(bytes(32))).read(DirectCard(Vitale2Card()))

    assert here.fingerprint == read(Vitale2Card()).fingerprint
    assert here.fingerprint != there.fingerprint
    assert b"FICTIF" not in here.fingerprint.reveal()
    with pytest.raises(ValueError, match="32 bytes"):
        Fingerprints(b"short")


def test_parts_of_a_fingerprint_do_not_run_into_each_other() -> None:
    card = VitaleSource.CARD

    assert MARKS.of(card, b"ab", b"c") != MARKS.of(card, b"a", b"bc")
    assert MARKS.of(card, b"ab\x00\x00", b"c") == MARKS.of(card, b"ab", b"c\x00")
    assert MARKS.of(card, b"ab") != MARKS.of(VitaleSource.API_LEC, b"ab")


NAMES = st.text(st.characters(max_codepoint=0xFF, categories=["Lu", "Ll"]), min_size=1, max_size=25)
PEOPLE = st.builds(
    VitalePerson,
    usual_name=NAMES,
    given_name=NAMES,
    birth_date=st.from_regex(r"\A(19|20)[0-9]{6}\Z"),
    nir=st.from_regex(r"\A[1-478][0-9]{4}([0-9]{2}|2A|2B)[0-9]{6}\Z"),
    country=st.sampled_from(["FR", "BE", "99"]),
)


@given(st.lists(PEOPLE, min_size=1, max_size=9), st.sampled_from(Manner), st.integers(16, 255))
def test_whoever_is_written_is_read(people: list[VitalePerson], manner: Manner, piece: int) -> None:
    files = written_files(people)
    size = max(len(files.identities), len(files.nirs)) + 7

    assert understood(read(Vitale2Card(files, manner=manner, piece_bytes=piece, file_bytes=size))) == told(people)


@given(st.binary(max_size=600), st.binary(max_size=600), st.sampled_from(Manner))
def test_any_files_give_a_reading_or_a_trouble(identities: bytes, nirs: bytes, manner: Manner) -> None:
    line = DirectCard(Vitale2Card(VitaleFiles(identities=identities, nirs=nirs), manner=manner))
    situation = Situation.CARD_UNREADABLE
    try:
        READER.read(line)
    except CardTrouble as trouble:
        situation = trouble.situation
    assert situation is Situation.CARD_UNREADABLE
    assert line.sent <= 8 * (2 + FILE_MAX_BLOCKS)


@given(st.data())
def test_a_card_damaged_in_one_byte_never_pairs_wrongly(data: st.DataObject) -> None:
    """One byte of either file changed: refused, or the same number of people, each with a NIR of the same place."""
    files = written_files(FAMILY)
    which = data.draw(st.sampled_from(["identities", "nirs"]))
    content = bytearray(getattr(files, which))
    content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    changed = {"identities": files.identities, "nirs": files.nirs} | {which: bytes(content)}
    try:
        reading = read(Vitale2Card(VitaleFiles(**changed)))
    except CardTrouble:
        return
    assert len(reading.beneficiaries) == len(FAMILY)
    matching = [
        person.nir is None or person.nir.number == source.nir or person.nir.key_status is NirKey.WRONG
        for person, source in zip(reading.beneficiaries, FAMILY, strict=True)
    ]
    assert matching.count(False) <= 1


@given(st.binary(min_size=2, max_size=258))
def test_a_card_with_one_answer_to_everything_is_survived(answer: bytes) -> None:
    with pytest.raises(CardTrouble):
        READER.read(DirectCard(endless(data=answer[:255])))


def test_the_sandbox_computes_the_official_keys() -> None:
    assert [nir_key(n) for n in ("297022A020778", "180032B020401", "1090763220834")] == ["78", "23", "89"]
