"""Identities: matricule keys, birth dates, lexical rules, and what may be transmitted."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vaguemestre_core.errors import InvalidInput
from vaguemestre_core.identities import (
    OID_INS_C,
    OID_INS_NIR,
    OID_INS_NIR_TEST,
    BirthDate,
    IdentityAttribute,
    IdentityStatus,
    Ins,
    InsAuthority,
    InsSource,
    LocalPatientId,
    PatientIdentity,
    Sex,
    begins_list,
    ins_key,
    normalise_trait,
    require_birth_name,
    require_given_name,
)
from vaguemestre_testkit import cda_samples


@pytest.mark.parametrize(
    ("number", "key"),
    [
        ("297022A020778", 78),  # Corse du Sud
        ("180032B020401", 23),  # Haute-Corse
        ("2751263220749", 74),
        ("1090763220834", 89),
        ("2360663220836", 56),
        ("2770763220829", 10),
    ],
)
def test_key_follows_the_published_vectors(number: str, key: int) -> None:
    assert ins_key(number) == key
    assert Ins(matricule=f"{number}{key:02d}", oid=OID_INS_NIR).has_valid_key


@given(st.from_regex(r"[0-9]{13}", fullmatch=True), st.integers(min_value=1, max_value=97))
def test_only_the_right_key_is_accepted(number: str, key: int) -> None:
    matricule = f"{number}{key:02d}"
    if ins_key(number) == key:
        assert Ins(matricule=matricule, oid=OID_INS_NIR_TEST).matricule == matricule
    else:
        with pytest.raises(InvalidInput) as refused:
            Ins(matricule=matricule, oid=OID_INS_NIR_TEST)
        assert (refused.value.code, refused.value.params["reason"]) == ("INS_INVALID", "key")


def test_an_answer_of_insi_is_taken_with_its_wrong_key() -> None:
    ins = Ins(matricule="181036322045660", oid=OID_INS_NIR, source=InsSource.INSI)
    assert not ins.has_valid_key


@pytest.mark.parametrize("matricule", ["", "22602750561236", "22602750561236X", "2260275056123６8", "2260A7505612368"])
def test_other_shapes_are_refused(matricule: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        Ins(matricule=matricule, oid=OID_INS_NIR_TEST)
    assert refused.value.params["reason"] == "shape"


def test_ins_c_and_bad_oid_are_refused_and_unknown_oid_stays() -> None:
    with pytest.raises(InvalidInput):
        Ins(matricule=cda_samples.MATRICULE, oid=OID_INS_C)
    with pytest.raises(InvalidInput):
        Ins(matricule=cda_samples.MATRICULE, oid="1.02.3")
    assert Ins(matricule=cda_samples.MATRICULE, oid="1.2.3").authority is InsAuthority.OTHER


def test_nothing_prints_a_person() -> None:
    patient = cda_samples.patient()
    shown = (
        f"{patient!r} {patient} {patient:>10} {patient.ins!r} {patient.ins} {patient.address!r} {patient.local_id!r}"
    )
    shown += f"{patient.telecoms!r} {patient.birth_date!r} {cda_samples.professional()!r}"
    for secret in ("EXEMPLE", "LINA", "226027", "Essais", "P-000042", "+331", "2026", "ESSAI", "Alix"):
        assert secret not in shown


@pytest.mark.req("INS/va1.53")
@pytest.mark.parametrize("status", list(IdentityStatus))
def test_only_a_qualified_identity_lets_its_ins_out(status: IdentityStatus) -> None:
    patient = cda_samples.patient(status)
    expected = patient.ins if status is IdentityStatus.QUALIFIEE else None
    assert patient.transmissible_ins() == expected


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"ins": None}, "IDENTITY_INCOMPLETE"),
        ({"birth_place_cog": None}, "IDENTITY_INCOMPLETE"),
        ({"sex": Sex.INDETERMINE}, "IDENTITY_INCOMPLETE"),
        ({"birth_name": "Exemple"}, "TRAIT_INVALID"),
        ({"first_given_name": "MARIE"}, "TRAIT_INVALID"),
        ({"birth_place_cog": "7505"}, "TRAIT_INVALID"),
        ({"attributes": frozenset({IdentityAttribute.DOUTEUSE})}, "IDENTITY_ATTRIBUTES_INVALID"),
        ({"used_name": "\x07"}, "TEXT_INVALID"),
    ],
)
def test_a_qualified_identity_is_complete(changes: dict[str, object], code: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        replace(cda_samples.patient(), **changes)  # type: ignore[arg-type]  # wrong on purpose
    assert refused.value.code == code


def test_doubtful_identities_stay_provisional_and_fictive_stands_alone() -> None:
    provisional = cda_samples.patient(IdentityStatus.PROVISOIRE)
    both = frozenset({IdentityAttribute.DOUTEUSE, IdentityAttribute.HOMONYME})
    assert replace(provisional, attributes=both).attributes == both
    with pytest.raises(InvalidInput):
        replace(provisional, attributes=both | {IdentityAttribute.FICTIVE})


@pytest.mark.parametrize("name", ["O'NEIL", "'T HOOFT", "DUPONT--DURAND", "LE GALL", "A", "D-"])
def test_birth_names_that_follow_the_rules(name: str) -> None:
    assert require_birth_name(name) == name


@pytest.mark.parametrize("name", ["", " A", "-A", "A  B", "A''B", "A 'B", "É", "a", "A1", "A_B", "A---B", "A "])
def test_birth_names_that_do_not(name: str) -> None:
    with pytest.raises(InvalidInput):
        require_birth_name(name)


@pytest.mark.parametrize("name", ["JEAN--PAUL", "JEAN-", "JEAN'", "", "Jean"])
def test_given_names_that_do_not(name: str) -> None:
    with pytest.raises(InvalidInput):
        require_given_name(name)


def test_the_first_given_name_begins_the_list_with_hyphen_as_blank() -> None:
    assert begins_list("PIERRE-ALAIN", "PIERRE-ALAIN MURIEL")
    assert begins_list("PIERRE ALAIN", "PIERRE-ALAIN MURIEL")
    assert begins_list("PIERRE", "PIERRE-ALAIN MURIEL")
    assert not begins_list("PIER", "PIERRE ALAIN")


@pytest.mark.parametrize(
    ("written", "trait"),
    [
        ("Zoé", "ZOE"),
        ("Lœtitia", "LOETITIA"),
        ("d’Été", "D'ETE"),
        ("Jean‑Noël", "JEAN-NOEL"),
        ("Ægir", "AEGIR"),
        ("ç1", "C1"),
    ],
)
def test_normalising_applies_equivalences_only(written: str, trait: str) -> None:
    assert normalise_trait(written) == trait


@given(st.text())
def test_normalising_twice_changes_nothing(text: str) -> None:
    once = normalise_trait(text)
    assert normalise_trait(once) == once


def test_incomplete_birth_dates_are_interpreted() -> None:
    assert BirthDate.from_parts(year=1950, month=6).value == dt.date(1950, 6, 1)
    assert BirthDate.from_parts(year=1950, day=9).value == dt.date(1950, 1, 9)
    year_only = BirthDate.from_parts(year=1950)
    assert (year_only.value, year_only.is_interpreted) == (dt.date(1950, 12, 31), True)
    assert not BirthDate.from_parts(year=1950, month=6, day=2).is_interpreted
    with pytest.raises(InvalidInput):
        BirthDate.from_parts(year=1950, month=2, day=30)


def test_a_local_number_cannot_pass_for_an_ins() -> None:
    with pytest.raises(InvalidInput):
        LocalPatientId(value="1", oid=OID_INS_NIR)
    with pytest.raises(InvalidInput):
        LocalPatientId(value="1^2", oid="1.2.3")


def test_a_provisional_identity_needs_no_ins() -> None:
    patient = PatientIdentity(
        birth_name="ESSAI",
        given_names="ANNE",
        first_given_name="ANNE",
        birth_date=BirthDate(value=dt.date(2000, 1, 1)),
        sex=Sex.INDETERMINE,
        status=IdentityStatus.PROVISOIRE,
    )
    assert patient.transmissible_ins() is None
