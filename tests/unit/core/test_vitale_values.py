"""What a Vitale says, as values: keys, lunar dates, choices, and nothing of a person in any text."""

from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vaguemestre_core.cards import CardTrouble, Situation
from vaguemestre_core.errors import InvalidInput
from vaguemestre_core.identities import ins_key
from vaguemestre_core.vitale import (
    BENEFICIARIES_MAX,
    AmoCoverage,
    Beneficiary,
    CardFingerprint,
    Nir,
    NirKey,
    RightsPeriod,
    VitaleDate,
    VitaleReading,
    VitaleSource,
)


def person(position: int = 0, **changes: object) -> Beneficiary:
    given: dict[str, object] = {
        "position": position,
        "usual_name": "FICTIF",
        "given_name": "Hélène",
        "birth_date": VitaleDate(text="19790312"),
        "nir": Nir.from_text("279037511234547"),
    }
    return Beneficiary(**given | changes)  # type: ignore[arg-type]


def reading(*people: Beneficiary, mark: bytes = b"one", source: VitaleSource = VitaleSource.CARD) -> VitaleReading:
    return VitaleReading(source=source, beneficiaries=people or (person(),), fingerprint=CardFingerprint(mark))


@pytest.mark.parametrize(
    ("number", "key"),
    # Public test vectors of the INS (Corsica, overseas, mainland).
    [("297022A020778", "78"), ("180032B020401", "23"), ("2751263220749", "74"), ("2770763220829", "10")],
)
def test_the_key_is_checked(number: str, key: str) -> None:
    assert Nir.from_text(number + key).key_status is NirKey.VALID
    assert Nir.from_text(number + key).usable == number + key
    assert Nir.from_text(number).key_status is NirKey.ABSENT
    assert Nir.from_text(number).usable is None


@given(st.integers(0, 10**13 - 1), st.integers(0, 99))
def test_one_key_only_is_right(number: int, key: int) -> None:
    nir = Nir(number=f"{number:013d}", key=f"{key:02d}")
    is_right = key == ins_key(nir.number)

    assert nir.key_status is (NirKey.VALID if is_right else NirKey.WRONG)
    assert (nir.usable is not None) is is_right


def test_a_wrong_key_is_kept_and_told_but_identifies_nobody() -> None:
    nir = Nir.from_text("1 81 03 63 220 456 60")  # a public fixture whose key should be 76

    assert nir.key_status is NirKey.WRONG
    assert nir.usable is None


@pytest.mark.parametrize("text", ["", "279037511234", "27903751123459", "2790375112345X3", "279032C11234593", "²" * 15])
def test_what_is_not_shaped_as_a_nir_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        Nir.from_text(text)
    assert refused.value.code == "VITALE_NIR_INVALID"


def test_a_corsican_letter_needs_a_2_before_it() -> None:
    with pytest.raises(InvalidInput):
        Nir(number="297031A020778", key="78")


@pytest.mark.parametrize(
    ("text", "is_lunar", "expected"),
    [
        ("19790312", False, dt.date(1979, 3, 12)),
        ("20000229", False, dt.date(2000, 2, 29)),
        ("19410000", True, dt.date(1941, 12, 31)),  # neither known
        ("19620229", True, dt.date(1962, 2, 1)),  # a day that this month has not: day unknown
        ("19621500", True, dt.date(1962, 12, 31)),
        ("19620017", True, dt.date(1962, 1, 17)),  # month unknown
        ("19623117", True, dt.date(1962, 1, 17)),
        ("19620499", True, dt.date(1962, 4, 1)),
    ],
)
def test_a_lunar_date_is_kept_and_interpreted_apart(text: str, is_lunar: bool, expected: dt.date) -> None:
    date = VitaleDate(text=text)
    trait = date.to_birth_date()

    assert date.text == text
    assert date.is_lunar is is_lunar
    assert trait is not None
    assert (trait.value, trait.is_interpreted) == (expected, is_lunar)


@given(st.text(st.characters(categories=["Nd", "Lu"]), min_size=6, max_size=9) | st.from_regex(r"\A[0-9]{8}\Z"))
def test_any_text_is_a_date_or_the_error(text: str) -> None:
    code = "VITALE_DATE_INVALID"
    try:
        date = VitaleDate(text=text)
        trait = date.to_birth_date()
        assert trait is None or trait.is_interpreted is date.is_lunar
    except InvalidInput as error:
        code = error.code
    assert code == "VITALE_DATE_INVALID"


def test_a_year_that_nobody_was_born_in_is_no_trait() -> None:
    assert VitaleDate(text="00000000").to_birth_date() is None
    assert VitaleDate(text="17990101").to_birth_date() is None


def test_the_birth_name_is_never_made_of_the_usual_one() -> None:
    assert person().birth_name is None
    assert person().identifying_nir == Nir.from_text("279037511234547")
    certified = Nir.from_text("2751263220749 74")
    assert person(certified_nir=certified).identifying_nir == certified


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"position": -1}, "position"),
        ({"position": BENEFICIARIES_MAX}, "position"),
        ({"usual_name": ""}, "usual_name"),
        ({"usual_name": "FIC\x1bTIF"}, "usual_name"),
        ({"given_name": "A\nB"}, "given_name"),
        ({"country": " FR"}, "country"),
        ({"birth_name": "x" * 256}, "birth_name"),
        ({"address": ("1 rue", "a\u202eb")}, "address"),
        ({"birth_rank": 0}, "birth_rank"),
    ],
)
def test_a_beneficiary_is_valid_by_construction(changes: dict[str, object], field: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        person(**changes)  # type: ignore[arg-type]
    assert refused.value.params["field"] == field


def test_a_reading_keeps_the_order_of_the_card() -> None:
    for people in ((), (person(1),), (person(0), person(0)), tuple(person(0) for _ in range(BENEFICIARIES_MAX + 1))):
        with pytest.raises(InvalidInput):
            VitaleReading(source=VitaleSource.CARD, beneficiaries=people, fingerprint=CardFingerprint(b"one"))
    assert len(reading(person(0), person(1)).beneficiaries) == 2


def test_a_choice_holds_for_the_same_card_only() -> None:
    choice = reading(person(0), person(1, given_name="Noé")).choose(1)

    assert choice.confirmed_by(reading(person(0), person(1, given_name="Noé"))).given_name == "Noé"
    for other, reason in (
        (reading(person(0), person(1), mark=b"two"), "content"),
        (reading(person(0), person(1), source=VitaleSource.API_LEC), "source"),
    ):
        with pytest.raises(CardTrouble) as refused:
            choice.confirmed_by(other)
        assert refused.value.situation is Situation.CARD_CHANGED
        assert refused.value.params["reason"] == reason
    for position in (-1, 2):
        with pytest.raises(InvalidInput):
            reading(person(0), person(1)).choose(position)


def test_rights_cover_their_days_and_the_assure_is_told() -> None:
    period = RightsPeriod(begins_on=dt.date(2026, 1, 1), ends_on=dt.date(2026, 12, 31))

    assert [period.covers(day) for day in (dt.date(2025, 12, 31), dt.date(2026, 1, 1), dt.date(2027, 1, 1))] == [
        False,
        True,
        False,
    ]
    assert RightsPeriod(begins_on=dt.date(2026, 1, 1)).covers(dt.date(2090, 1, 1))
    assert [AmoCoverage(quality=q).is_insured for q in (None, "0", "00", "6", "")] == [None, True, True, False, False]


def test_nothing_of_a_person_prints() -> None:
    someone = person(birth_name="NAISSANCE", address=("1 rue du Test",), coverage=AmoCoverage(fund_code="751"))
    values = [someone, someone.nir, someone.birth_date, someone.coverage, reading(someone), reading(someone).choose(0)]

    for value in values:
        for text in (repr(value), str(value), f"{value}", f"{value!r:>60}"):
            for secret in ("FICTIF", "Hélène", "2790375112345", "19790312", "NAISSANCE", "rue", "751", "one"):
                assert secret not in text
