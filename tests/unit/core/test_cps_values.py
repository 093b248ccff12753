"""The card's values: identifiers, numbers, validity, notices, and nothing of the holder in print."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vaguemestre_api.messages import catalogue
from vaguemestre_core.cps import (
    CardCategory,
    CardNumber,
    CardValidity,
    CpsError,
    CpsHolder,
    CpsSituation,
    ExpiryNotice,
    IdentifierKind,
    NationalIdentifier,
)
from vaguemestre_core.errors import InvalidInput, Recovery
from vaguemestre_core.redaction import Personal

BEGIN = datetime(2024, 1, 1, tzinfo=UTC)
END = datetime(2027, 1, 1, 12, tzinfo=UTC)
VALIDITY = CardValidity(begins_at=BEGIN, ends_at=END)


def holder(**changes: object) -> CpsHolder:
    values: dict[str, object] = {
        "identifier": NationalIdentifier.parse("899700000012"),
        "family_name": Personal("NOMSECRET"),
        "given_name": Personal("PRENOMSECRET"),
        "title": Personal("Médecin"),
        "profession": 10,
        "specialty": "SM26",
        "number": CardNumber(digits="2900995235"),
        "category": CardCategory.CPS,
        "is_test": True,
        "validity": VALIDITY,
    }
    return CpsHolder(**(values | changes))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("value", "kind", "rpps"),
    [
        ("899700000012", IdentifierKind.RPPS, "99700000012"),
        ("00B6087510", IdentifierKind.ADELI, None),
        ("3750000001/0000000001", IdentifierKind.FINESS, None),
        ("534567891200011/AB-1", IdentifierKind.SIRET, None),
    ],
)
def test_an_identifier_says_its_kind(value: str, kind: IdentifierKind, rpps: str | None) -> None:
    found = NationalIdentifier.parse(value)
    assert (found.kind, found.value) == (kind, value)
    assert (found.rpps.value if found.rpps else None) == rpps


@pytest.mark.parametrize("value", ["", "8", "712345678", "8997000000123", "89970000001A", "8９9700000012", "3 5000001"])
def test_a_broken_identifier_is_refused(value: str) -> None:
    with pytest.raises(InvalidInput, match="CARD_IDENTIFIER_INVALID"):
        NationalIdentifier.parse(value)


def test_two_sources_of_one_number_are_one_card() -> None:
    label, serial = CardNumber(digits="2900995235"), CardNumber(digits="29009952")
    assert label.is_same_card(serial)
    assert not label.is_same_card(CardNumber(digits="2900995335"))
    assert label.fingerprint(b"k") == serial.fingerprint(b"k") != label.fingerprint(b"l")
    with pytest.raises(InvalidInput, match="CARD_NUMBER_INVALID"):
        CardNumber(digits="29009952F")


@pytest.mark.parametrize(
    ("days", "notice"),
    [
        (61, ExpiryNotice.NONE),
        (60, ExpiryNotice.IN_60_DAYS),
        (31, ExpiryNotice.IN_60_DAYS),
        (30, ExpiryNotice.IN_30_DAYS),
        (8, ExpiryNotice.IN_30_DAYS),
        (7, ExpiryNotice.IN_7_DAYS),
        (0, ExpiryNotice.IN_7_DAYS),
    ],
)
def test_notices_at_60_30_and_7_days(days: int, notice: ExpiryNotice) -> None:
    assert VALIDITY.notice(END - timedelta(days=days)) is notice


def test_before_and_after_the_validity() -> None:
    assert VALIDITY.notice(END + timedelta(seconds=1)) is ExpiryNotice.EXPIRED
    assert VALIDITY.notice(BEGIN - timedelta(seconds=1)) is ExpiryNotice.NOT_YET
    VALIDITY.require(BEGIN)
    VALIDITY.require(END)
    with pytest.raises(CpsError, match="CPS_EXPIRED"):
        VALIDITY.require(END + timedelta(seconds=1))
    with pytest.raises(CpsError, match="CPS_NOT_YET_VALID"):
        VALIDITY.require(BEGIN - timedelta(seconds=1))
    later = CardValidity(begins_at=BEGIN + timedelta(days=5), ends_at=END + timedelta(days=5))
    assert VALIDITY.common_with(later) == CardValidity(begins_at=later.begins_at, ends_at=END)
    with pytest.raises(InvalidInput, match="CARD_VALIDITY_INVALID"):
        CardValidity(begins_at=END, ends_at=BEGIN)


@given(st.integers(min_value=-2000, max_value=2000))
def test_notices_only_become_more_urgent(days: int) -> None:
    order = [ExpiryNotice.NONE, ExpiryNotice.IN_60_DAYS, ExpiryNotice.IN_30_DAYS, ExpiryNotice.IN_7_DAYS]
    order.append(ExpiryNotice.EXPIRED)
    now = max(BEGIN, END + timedelta(days=days))
    assert order.index(VALIDITY.notice(now)) <= order.index(VALIDITY.notice(now + timedelta(days=1)))


def test_nothing_of_the_holder_prints() -> None:
    one = holder()
    printed = f"{one} {one!r} {one.number} {one.number!r} {one.identifier} {one.identifier!r} {one.family_name}"
    for secret in ("NOMSECRET", "PRENOMSECRET", "99700000012", "2900995235"):
        assert secret not in printed
    with pytest.raises(TypeError):
        json.dumps(one.family_name)
    assert one.rpps is not None


def test_a_holder_is_valid_by_construction() -> None:
    with pytest.raises(InvalidInput, match="CARD_SPECIALTY_INVALID"):
        holder(specialty="XX99")
    with pytest.raises(InvalidInput, match="TEXT_INVALID"):
        holder(family_name=Personal("  "))


def test_every_situation_has_its_sentence_and_its_recovery() -> None:
    assert {situation.value for situation in CpsSituation} <= set(catalogue())
    for situation in CpsSituation:
        error = CpsError(situation)
        assert error.code == situation.value
        passes = situation in {CpsSituation.MIDDLEWARE_BUSY, CpsSituation.MIDDLEWARE_SILENT}
        assert error.recovery is (Recovery.BACKOFF if passes else Recovery.USER_ACTION)
