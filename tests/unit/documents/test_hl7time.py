"""Times of HL7 v3 and XDS: precision, offsets and their conversion to UTC."""

from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vaguemestre_core.errors import InvalidInput
from vaguemestre_documents.hl7time import Hl7Time, TimePrecision

_OFFSETS = st.integers(min_value=-12 * 60, max_value=14 * 60).map(lambda m: dt.timezone(dt.timedelta(minutes=m)))


@given(st.datetimes(timezones=_OFFSETS).filter(lambda instant: 1000 <= instant.year < 9999))
def test_an_instant_survives_the_cda_and_becomes_utc(instant: dt.datetime) -> None:
    time = Hl7Time.from_instant(instant)
    assert Hl7Time.parse(time.to_cda()) == time
    assert time.to_xds() == instant.astimezone(dt.UTC).strftime("%Y%m%d%H%M%S")


@pytest.mark.parametrize(
    ("cda", "xds", "precision"),
    [
        ("2021", "2021", TimePrecision.YEAR),
        ("20210304", "20210304", TimePrecision.DAY),
        ("202103040030+0100", "202103032330", TimePrecision.MINUTE),
        ("20210704003000+0200", "20210703223000", TimePrecision.SECOND),
        ("20210101003000-0430", "20210101050000", TimePrecision.SECOND),
    ],
)
def test_the_four_shapes(cda: str, xds: str, precision: TimePrecision) -> None:
    time = Hl7Time.parse(cda)
    assert (time.to_cda(), time.to_xds(), time.precision) == (cda, xds, precision)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "200909",
        "20210230",
        "20210304120000",
        "202103041260+0100",
        "20210304+0100",
        "20210304120000+0160",
        "20210304\n",
        "٢٠٢١",
    ],
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        Hl7Time.parse(text)
    assert refused.value.code == "HL7_TIME_INVALID"


_NEARLY = r"[0-9]{4}([0-9]{4}([0-9]{4}([0-9]{2})?[+-][0-9]{4})?)?|.{0,20}"


@given(st.from_regex(_NEARLY, fullmatch=True))
def test_what_is_read_is_written_back_or_refused(text: str) -> None:
    try:
        time = Hl7Time.parse(text)
    except InvalidInput:
        return
    assert time.to_cda() == text.replace("-0000", "+0000")


def test_a_naive_instant_is_refused() -> None:
    with pytest.raises(InvalidInput):
        Hl7Time.from_instant(dt.datetime(2026, 1, 1))  # noqa: DTZ001  # naive on purpose
