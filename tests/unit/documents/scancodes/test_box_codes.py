"""Codes of boxes: application identifiers in any order, dates seen from a given day, check digits, lost separators."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vaguemestre_core.errors import InvalidInput
from vaguemestre_core.redaction import SecretBytes
from vaguemestre_core.scans import (
    BoxHint,
    BoxScan,
    OpaqueBasis,
    OpaqueRule,
    OpaqueScan,
    RawScan,
    Scan,
    ScanKind,
    ScanSource,
    has_valid_check_digit,
)
from vaguemestre_documents.scancodes.gs1 import read_box
from vaguemestre_documents.scancodes.recognise import recognise

GS = "\x1d"
TODAY = dt.date(2026, 11, 24)
# An invented product: the digits are right, no medicine bears them.
BOX = f"01034009300000211727120010AB12C{GS}210A1B2C3D4E"


def scanned(text: str, symbology: str | None = None, *, today: dt.date = TODAY) -> Scan:
    raw = RawScan(content=SecretBytes(text.encode()), source=ScanSource.CAMERA, symbology=symbology)
    return recognise(raw, today=today)


def box(text: str, symbology: str | None = None, *, today: dt.date = TODAY) -> BoxScan:
    scan = scanned(text, symbology, today=today)
    assert isinstance(scan, BoxScan)
    return scan


def refused_with(read: Callable[[], object]) -> InvalidInput | None:
    """Return the refusal of a reading, or nothing; any other error is a fault of ours."""
    try:
        read()
    except InvalidInput as refused:
        return refused
    return None


def refusal(text: str, symbology: str | None = "]d2") -> tuple[object, object]:
    with pytest.raises(InvalidInput) as refused:
        scanned(text, symbology)
    assert refused.value.code == "BOX_CODE_INVALID"
    return refused.value.params["reason"], refused.value.params.get("ai")


@pytest.mark.parametrize(
    ("text", "symbology"),
    [
        (BOX, "]d2"),
        (BOX, None),
        ("]d2" + BOX + "\r\n", None),
        (GS + BOX, None),  # a decoder that transmits the first FNC1
        (BOX + GS, "]d2"),  # GS after the last field
        (BOX.replace(GS, "<GS>"), None),
        (BOX.replace(GS, "^]"), "]d2"),
        (BOX, "]C1"),
        (BOX, "]Q3"),
    ],
)
def test_the_published_example_gives_product_lot_expiry_serial(text: str, symbology: str | None) -> None:
    scan = box(text, symbology)
    assert (scan.gtin, scan.cip13, scan.cip7) == ("03400930000021", "3400930000021", "3000002")
    assert (scan.lot, scan.serial) == ("AB12C", "0A1B2C3D4E")
    assert (scan.expiry, scan.expiry_day_known) == (dt.date(2027, 12, 31), False)
    assert scan.hints == frozenset()


def test_fields_come_in_any_order() -> None:
    text = f"10AB12C{GS}17271200210A1B2C3D4E{GS}0103400930000021"
    assert box(text, "]d2") == box(BOX)


def test_other_identifiers_are_kept_in_order() -> None:
    scan = box(f"010340093000002111260301240REF-7{GS}17271215712NN8{GS}10L{GS}3012", "]d2")
    assert scan.others == (("240", "REF-7"), ("712", "NN8"), ("30", "12"))
    assert (scan.production, scan.expiry, scan.expiry_day_known) == (
        dt.date(2026, 3, 1),
        dt.date(2027, 12, 15),
        True,
    )


def test_letters_and_signs_of_a_lot_are_kept_as_they_are() -> None:
    lot = "aZ!\"%&'()*+,-./:;<=>"
    assert box(f"010340093000002110{lot}{GS}21_?9", "]d2").lot == lot
    assert box("010340093000002121_?9", "]d2").serial == "_?9"


@pytest.mark.parametrize(
    ("digits", "day"),
    [("270200", dt.date(2027, 2, 28)), ("280200", dt.date(2028, 2, 29)), ("270430", dt.date(2027, 4, 30))],
)
def test_day_00_is_the_last_of_the_month(digits: str, day: dt.date) -> None:
    assert box(f"010340093000002117{digits}").expiry == day


@pytest.mark.parametrize(
    ("today", "digits", "year"),
    [
        (dt.date(2026, 11, 24), "76", 2076),
        (dt.date(2026, 11, 24), "77", 1977),
        (dt.date(2026, 11, 24), "00", 2000),
        (dt.date(2051, 1, 1), "01", 2101),
        (dt.date(2051, 1, 1), "02", 2002),
        (dt.date(2099, 12, 31), "49", 2149),
        (dt.date(2099, 12, 31), "50", 2050),
        (dt.date(1999, 6, 1), "03", 2003),
    ],
)
def test_the_century_is_seen_from_the_given_day(today: dt.date, digits: str, year: int) -> None:
    scan = box(f"010340093000002117{digits}0101", today=today)
    assert scan.expiry is not None
    assert scan.expiry.year == year


@given(st.dates(dt.date(1960, 1, 1), dt.date(2140, 12, 31)), st.integers(0, 99))
def test_the_year_lies_within_the_window(today: dt.date, digits: int) -> None:
    scan = read_box(f"010340093000002117{digits:02d}0600", today=today)
    assert scan.expiry is not None
    assert -49 <= scan.expiry.year - today.year <= 50
    assert scan.expiry.year % 100 == digits


@pytest.mark.parametrize(
    ("text", "reason", "ai"),
    [
        (BOX.replace("0021", "0022", 1), "check_digit", None),
        ("10AB12C", "no_gtin", None),
        ("0103400930000021175X1200", "unreadable", None),
        ("010340093000002117271300", "unreadable", None),
        ("010340093000002117270231", "date", "17"),
        ("0103400930000021" + "10" + "A" * 21, "unreadable", "10"),
        ("0103400930000021" + "10A{B", "unreadable", "10"),
        ("0103400930000021" + f"10A{GS}10B", "duplicate", "10"),
        ("0103400930000021" + "99", "unreadable", None),
        ("0103400930000021" + "05ABC", "unreadable", None),
        ("HELLO", "unreadable", None),
    ],
)
def test_what_cannot_be_read_says_where_and_never_what(text: str, reason: str, ai: str | None) -> None:
    assert refusal(text) == (reason, ai)


def test_a_second_equal_field_is_no_contradiction() -> None:
    assert box(f"0103400930000021{'10A' + GS}0103400930000021", "]d2").lot == "A"


@pytest.mark.parametrize(
    ("text", "is_doubtful"),
    [
        (BOX.replace(GS, ""), True),
        ("010340093000002110AB12C17271200", True),
        ("010340093000002110AB12C", False),
        ("0103400930000021172712002100A1B2C3D4E10LOT", True),
        ("010340093000002117271200", False),
        (BOX, False),
    ],
)
def test_a_code_without_any_gs_whose_last_value_may_hold_another_is_told(text: str, is_doubtful: bool) -> None:
    assert (BoxHint.SEPARATOR_DOUBTFUL in box(text, "]d2").hints) == is_doubtful


def test_an_old_box_has_an_ean13() -> None:
    scan = box("3400930000021")
    assert (scan.gtin, scan.cip13, scan.lot, scan.hints) == ("03400930000021", "3400930000021", None, frozenset())
    assert box("]E03400930000021\r").cip13 == "3400930000021"
    other = box("4006381333931", "]E0")
    assert (other.cip13, other.hints) == (None, frozenset({BoxHint.NOT_A_MEDICINE}))


@pytest.mark.parametrize("text", ["3400930000022", "4006381333931", "0103400930000022172712", "12345678"])
def test_digits_without_identifier_nor_right_check_digit_stay_opaque(text: str) -> None:
    scan = scanned(text)
    assert isinstance(scan, OpaqueScan)
    assert (scan.kind, scan.content.reveal()) == (ScanKind.UNKNOWN, text.encode())


def test_an_ean13_with_a_wrong_digit_or_length_is_refused() -> None:
    assert refusal("3400930000022", "]E0") == ("check_digit", None)
    assert refusal("340093000002", "]E0") == ("length", None)


@given(st.text(alphabet="0123456789", min_size=7, max_size=13))
def test_exactly_one_digit_checks(digits: str) -> None:
    assert sum(has_valid_check_digit(digits + last) for last in "0123456789") == 1


SET_82 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789!\"%&'()*+,-./_:;<=>?"
VALUES = st.text(alphabet=SET_82, min_size=1, max_size=20)


@given(VALUES, VALUES, st.permutations([0, 1, 2, 3]))
def test_what_is_written_is_read(lot: str, serial: str, order: list[int]) -> None:
    fields = ["0103400930000021", "17271231", f"10{lot}{GS}", f"21{serial}{GS}"]
    scan = read_box("".join(fields[place] for place in order), today=TODAY)
    assert (scan.lot, scan.serial, scan.expiry) == (lot, serial, dt.date(2027, 12, 31))


@given(st.one_of(st.text(max_size=120), st.from_regex(r"([0-9]{2,4}[A-Z0-9]{0,20}\x1d?){0,12}", fullmatch=True)))
def test_any_text_is_read_or_refused_with_a_code(text: str) -> None:
    refused = refused_with(lambda: read_box("0103400930000021" + text, today=TODAY))
    assert refused is None or refused.code == "BOX_CODE_INVALID"
    assert refused is None or len(text) < 8 or text not in str(refused)


@given(st.binary(min_size=1, max_size=300), st.sampled_from([None, "]d1", "]d2", "]Q1", "]E0", "]C1"]))
def test_any_bytes_are_a_scan_or_refused_with_a_code(content: bytes, symbology: str | None) -> None:
    raw = RawScan(content=SecretBytes(content), source=ScanSource.IMAGE, symbology=symbology)
    refused = refused_with(lambda: recognise(raw, today=TODAY))
    assert refused is None or refused.code in {"BOX_CODE_INVALID", "INS_CODE_INVALID"}


def test_a_box_prints_nothing_of_itself() -> None:
    scan = box(BOX.replace(GS, ""))
    assert "AB12C" not in f"{scan!r}{scan}{scan:>9}"
    assert "3400930000021" not in f"{scan!r}{scan}{scan:>9}"


# Opaque codes.

TWO_D_DOC = b"DC04FR0000011E2F1E2F0101FR43TEST\x1d46X\x1f" + b"ABCDEFG234567"


def test_a_2d_doc_is_known_by_its_header_and_its_signature() -> None:
    raw = RawScan(content=SecretBytes(TWO_D_DOC), source=ScanSource.IMAGE, symbology="]d1")
    scan = recognise(raw, today=TODAY, expected=ScanKind.APCV)
    assert isinstance(scan, OpaqueScan)
    assert (scan.kind, scan.basis, scan.symbology) == (ScanKind.TWO_D_DOC, OpaqueBasis.CONTENT, "]d1")
    assert scan.content.reveal() == TWO_D_DOC
    assert isinstance(scanned("DC04 without any signature"), OpaqueScan)
    assert scanned("DC04 without any signature").kind is ScanKind.UNKNOWN


def test_a_qr_code_is_what_its_reader_waited_for_or_unknown() -> None:
    raw = RawScan(content=SecretBytes(b"\x00opaque\xff\r\n"), source=ScanSource.CAMERA, symbology="]Q1")
    unknown, waited = recognise(raw, today=TODAY), recognise(raw, today=TODAY, expected=ScanKind.APCV)
    assert isinstance(unknown, OpaqueScan)
    assert isinstance(waited, OpaqueScan)
    assert (unknown.kind, unknown.basis) == (ScanKind.UNKNOWN, OpaqueBasis.NONE)
    assert (waited.kind, waited.basis) == (ScanKind.APCV, OpaqueBasis.EXPECTED)
    # Passed on unchanged, to the last byte.
    assert waited.content.reveal() == b"\x00opaque\xff\r\n"
    assert "opaque\\xff" not in repr(waited)
    # Waiting for an INS code does not make one.
    assert recognise(raw, today=TODAY, expected=ScanKind.INS) == unknown


def test_a_rule_of_the_profile_names_a_code_and_its_symbology() -> None:
    rules = (OpaqueRule(kind=ScanKind.ORDONNANCE, prefix=b"ONX", symbologies=frozenset("Q")),)
    content = SecretBytes(b"ONX12345")
    named = recognise(RawScan(content=content, source=ScanSource.IMAGE, symbology="]Q1"), today=TODAY, rules=rules)
    other = recognise(RawScan(content=content, source=ScanSource.IMAGE, symbology="]d1"), today=TODAY, rules=rules)
    assert (named.kind, other.kind) == (ScanKind.ORDONNANCE, ScanKind.UNKNOWN)


@pytest.mark.parametrize("kind", [ScanKind.INS, ScanKind.BOX, ScanKind.UNKNOWN])
def test_only_opaque_kinds_have_rules(kind: ScanKind) -> None:
    with pytest.raises(InvalidInput, match="SCAN_INVALID"):
        OpaqueRule(kind=kind, prefix=b"X")


@pytest.mark.parametrize("symbology", ["d1", "]d", "]d11", "]1d", ""])
def test_a_symbology_identifier_has_its_shape(symbology: str) -> None:
    with pytest.raises(InvalidInput, match="SCAN_INVALID"):
        RawScan(content=SecretBytes(b"x"), source=ScanSource.SERIAL, symbology=symbology)


@pytest.mark.parametrize("length", [0, 4297])
def test_nothing_and_more_than_any_symbol_holds_are_refused(length: int) -> None:
    with pytest.raises(InvalidInput, match="SCAN_INVALID"):
        RawScan(content=SecretBytes(b"x" * length), source=ScanSource.SERIAL)
