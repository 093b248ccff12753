"""The ATR table: the cards seen in the field, their neighbours that are not ours, and any bytes at all."""

from __future__ import annotations

import functools
import operator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vaguemestre_core.cards import CardKind
from vaguemestre_drivers.pcsc.atr import TABLE, AtrRow, kind_of

KNOWN = {
    "3B AC 00 40 2A 00 12 25 00 64 80 00 03 10 00 90 00": CardKind.CPS3,
    "3B AC 00 40 2A 00 12 25 00 64 80 82 02 12 00 90 00": CardKind.CPS3,
    "3B 8F 80 01 00 31 B8 64 04 B0 EC C1 73 94 01 80 82 90 00 0E": CardKind.CPS3_CONTACTLESS,
    "3B 9B 18 80 01 00 12 25 00 64 80 04 01 00 00 90 44": CardKind.CPS4,
    "3B 9B 18 80 01 00 12 25 00 64 80 00 04 01 00 90 44": CardKind.CPS4,
    "3B DC 18 FF 00 00 12 25 00 64 80 00 04 01 00 90 00": CardKind.CPS4,
    "3F 65 25 00 22 09 69 90 00": CardKind.VITALE_1,
    "3F 65 25 00 2C 09 69 90 00": CardKind.VITALE_1,
    "3F 65 25 00 22 09 F9 90 00": CardKind.VITALE_1,
    "3F 65 25 00 2C 09 F9 90 00": CardKind.VITALE_1,
    "3F 65 25 00 52 09 6A 90 00": CardKind.VITALE_1,
    "3F 65 25 00 A3 09 6A 90 00": CardKind.VITALE_1,
    "3F 65 25 00 A4 09 6A 90 00": CardKind.VITALE_1,
    "3B 75 13 00 00 45 09 FA 90 00": CardKind.VITALE_2,
    **{
        f"3B 75 13 00 00 {byte} 09 EA 90 00": CardKind.VITALE_2
        for byte in ("43", "44", "45", "47", "48", "49", "4B", "4C")
    },
}
STRANGERS = (
    "",
    "3B",
    "3B 75 13 00 00 46 09 EA 90 00",  # a byte never seen
    "3B 75 13 00 00 47 09 FA 90 00",
    "3F 65 25 00 22 09 6A 90 00",
    "3B AC 00 40 2A 00 12 25 00 64 80 00 03 10 00 90 00 00",  # one byte more
    "3B AC 00 40 2A 00 12 25 00 64 81 00 03 10 00 90 00",  # not the historical bytes of a CPS
    "3B 7F 18 00 00 00 31 C0 73 9E 01 0B 64 52 D9 04 00 82 90 00",  # an identity card of another country
)


@pytest.mark.parametrize("atr", KNOWN)
def test_a_card_of_the_field_is_known(atr: str) -> None:
    assert kind_of(bytes.fromhex(atr)) is KNOWN[atr]


@pytest.mark.parametrize("atr", STRANGERS)
def test_another_card_is_unknown(atr: str) -> None:
    assert kind_of(bytes.fromhex(atr)) is CardKind.UNKNOWN


def test_the_check_byte_of_the_contactless_sample_is_right() -> None:
    atr = next(bytes.fromhex(atr) for atr, kind in KNOWN.items() if kind is CardKind.CPS3_CONTACTLESS)

    assert functools.reduce(operator.xor, atr[1:]) == 0


@given(st.binary(max_size=40))
def test_any_bytes_have_the_kind_of_the_first_row_that_takes_them(atr: bytes) -> None:
    assert kind_of(atr) is next((row.kind for row in TABLE if row.matches(atr)), CardKind.UNKNOWN)


@given(st.sampled_from(TABLE), st.binary(min_size=20, max_size=20))
def test_bytes_outside_the_mask_do_not_matter(row: AtrRow, noise: bytes) -> None:
    mixed = bytearray(
        (v & m) | (n & ~m & 0xFF) for v, m, n in zip(row.value, row.mask, noise[: len(row.value)], strict=True)
    )
    for position, values in row.allowed:
        mixed[position] = min(values)

    assert row.matches(bytes(mixed))
