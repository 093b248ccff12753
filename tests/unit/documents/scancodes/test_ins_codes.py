"""INS codes: every way in which scanners deliver them, what is doubtful in them, what is refused."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vaguemestre_core.errors import InvalidInput
from vaguemestre_core.identities import Sex
from vaguemestre_core.redaction import SecretBytes
from vaguemestre_core.scans import InsHint, InsScan, RawScan, ScanSource
from vaguemestre_documents.scancodes.ins import HEADER, read_ins
from vaguemestre_documents.scancodes.recognise import recognise

GS = "\x1d"
TODAY = dt.date(2026, 11, 24)
# Fictitious patients of the public qualification platform and of public test corpora.
ZOE = f"{HEADER}S1275126322074974S21.2.250.1.213.1.4.8{GS}S3ZOE{GS}S4ADRUN{GS}S5FS631-12-1975S763220"
LONG_OID = (
    f"{HEADER}S1123549685274612S225978456325481569525S3TEST1 TEST2 TEST{GS}S4DATAMATRIXTEST{GS}S5MS631-08-2021S717000"
)
WITHOUT_PLACE = (
    f"{HEADER}S1277010115400329S21.2.250.1.213.1.4.8{GS}S3SARAH-LOU ANNA{GS}S4GARCIA-HAMMADI{GS}S5FS621-01-1977"
)


def scanned(text: str, symbology: str | None = None) -> InsScan:
    raw = RawScan(content=SecretBytes(text.encode()), source=ScanSource.SERIAL, symbology=symbology)
    scan = recognise(raw, today=TODAY)
    assert isinstance(scan, InsScan)
    return scan


def code_of(read: Callable[[], object]) -> str | None:
    """Return the code with which a reading is refused, or nothing; any other error is a fault of ours."""
    try:
        read()
    except InvalidInput as refused:
        return refused.code
    return None


def refusal(text: str) -> tuple[object, object]:
    with pytest.raises(InvalidInput) as refused:
        scanned(text)
    assert refused.value.code == "INS_CODE_INVALID"
    return refused.value.params["reason"], refused.value.params.get("field")


def test_the_published_example_gives_its_traits() -> None:
    scan = scanned(ZOE)
    assert (scan.matricule, scan.oid) == ("275126322074974", "1.2.250.1.213.1.4.8")
    assert (scan.given_names, scan.birth_name, scan.sex) == ("ZOE", "ADRUN", Sex.FEMININ)
    assert (scan.birth_date_text, scan.birth_date) == ("31-12-1975", dt.date(1975, 12, 31))
    assert scan.birth_place_cog == "63220"
    assert scan.ins is not None
    assert scan.hints == frozenset()


@pytest.mark.parametrize("spelling", ["<GS>", "<gs>", "\\x1d", "\\x1D", "{GS}", "^]", "␝"])
def test_every_spelling_of_gs_reads_the_same(spelling: str) -> None:
    assert scanned(ZOE.replace(GS, spelling)) == scanned(ZOE)


@pytest.mark.parametrize("frame", ["{}\r", "{}\r\n", "\r\n{}\n", "]d1{}\r\n", "\r]d1{}"])
def test_framing_and_aim_identifier_are_taken_off(frame: str) -> None:
    assert scanned(frame.format(ZOE)) == scanned(ZOE)


@pytest.mark.parametrize("text", [ZOE, "]d1" + ZOE])
def test_an_identifier_told_apart_is_not_looked_for_twice(text: str) -> None:
    assert scanned(text, "]d1") == scanned(ZOE)


def test_a_lost_gs_still_reads_and_is_told() -> None:
    lost = scanned(ZOE.replace(GS, ""))
    assert lost.hints == {InsHint.SEPARATOR_LOST}
    assert (lost.given_names, lost.birth_name, lost.oid) == ("ZOE", "ADRUN", "1.2.250.1.213.1.4.8")


def test_a_lost_gs_after_a_name_ending_in_s() -> None:
    text = f"{HEADER}S1275126322074974S21.2.250.1.213.1.4.11S3THOMASS4MARTINSS5MS631-12-1975S72A004"
    lost = scanned(text)
    assert (lost.given_names, lost.birth_name, lost.birth_place_cog) == ("THOMAS", "MARTINS", "2A004")


def test_a_lost_gs_is_accepted_for_a_known_oid_only() -> None:
    assert refusal(ZOE.replace(GS, "").replace("1.4.8", "1.4.7")) == ("value", "S2")


def test_an_oid_of_twenty_characters_takes_no_gs() -> None:
    scan = scanned(LONG_OID)
    assert (scan.oid, scan.given_names) == ("25978456325481569525", "TEST1 TEST2 TEST")
    assert scan.hints == {InsHint.OID_UNKNOWN, InsHint.KEY_WRONG, InsHint.TRAIT_CHARACTERS}
    demo = scanned(ZOE.replace(f"1.4.8{GS}", "1.4.10"))
    assert (demo.oid, demo.given_names, demo.hints) == ("1.2.250.1.213.1.4.10", "ZOE", frozenset())
    # A writer that puts one all the same is read too.
    assert scanned(ZOE.replace(f"1.4.8{GS}", f"1.4.10{GS}")) == demo


def test_the_place_may_be_absent() -> None:
    scan = scanned(WITHOUT_PLACE)
    assert (scan.birth_place_cog, scan.birth_name, scan.given_names) == (None, "GARCIA-HAMMADI", "SARAH-LOU ANNA")


def test_any_order_is_read() -> None:
    mixed = f"{HEADER}S3ZOE{GS}S5FS631-12-1975S763220S4ADRUN{GS}S21.2.250.1.213.1.4.8{GS}S1275126322074974"
    assert scanned(mixed) == scanned(ZOE)


def test_the_reserved_part_of_the_header_is_skipped_whatever_it_holds() -> None:
    reserved = "S1S2S3S4S5S6S7FRAB12CD"
    assert len(reserved) == 22
    assert scanned(ZOE.replace("0" * 22, reserved, 1)) == scanned(ZOE)
    assert scanned(ZOE.replace("0" * 22, reserved, 1).replace(GS, "")) == scanned(ZOE.replace(GS, ""))


@pytest.mark.parametrize("place", [f"S8WHO KNOWS 42{GS}", f"S9{GS}", f"S0S3NOT A NAME{GS}"])
def test_an_unknown_field_is_skipped_to_the_next_gs(place: str) -> None:
    start, end = ZOE.split("S3ZOE", 1)
    scan = scanned(start + place + "S3ZOE" + end)
    assert (scan.given_names, scan.hints) == ("ZOE", frozenset({InsHint.UNKNOWN_FIELD}))
    assert scanned(ZOE + GS + place).given_names == "ZOE"


def test_a_name_of_a_hundred_letters_takes_no_gs() -> None:
    name = "A" * 100
    scan = scanned(ZOE.replace(f"S3ZOE{GS}", f"S3{name}").replace(f"S4ADRUN{GS}", f"S4{name}"))
    assert (scan.given_names, scan.birth_name, scan.hints) == (name, name, frozenset())


@pytest.mark.parametrize(
    ("change", "hint"),
    [
        (("74974", "74975"), InsHint.KEY_WRONG),
        (("1.4.8", "1.4.2"), InsHint.OID_UNKNOWN),
        (("31-12-1975", "31-02-1975"), InsHint.DATE_LUNAR),
        (("31-12-1975", "00-00-1975"), InsHint.DATE_LUNAR),
        (("S763220", "S763A20"), InsHint.COG_SHAPE),
        (("ADRUN", "Adrun"), InsHint.TRAIT_CHARACTERS),
        (("ZOE", "ZOÉ"), InsHint.TRAIT_CHARACTERS),
    ],
)
def test_what_is_doubtful_is_told_and_read_all_the_same(change: tuple[str, str], hint: InsHint) -> None:
    scan = scanned(ZOE.replace(*change))
    assert scan.hints == {hint}
    assert (scan.ins is None) == (hint is InsHint.KEY_WRONG or "1.4.2" in change)
    assert (scan.birth_date is None) == (hint is InsHint.DATE_LUNAR)


def test_latin_letters_of_an_old_scanner_are_read() -> None:
    raw = RawScan(content=SecretBytes(ZOE.replace("ZOE", "ZOÉ").encode("latin-1")), source=ScanSource.SERIAL)
    scan = recognise(raw, today=TODAY)
    assert isinstance(scan, InsScan)
    assert scan.given_names == "ZOÉ"


@pytest.mark.parametrize(
    ("text", "reason", "field"),
    [
        (ZOE.replace("IS01", "IS02"), "version", None),
        ("ISà&àààà", "layout", None),
        ("$d&ISà&àààà", "layout", None),
        ("IS)!))))", "layout", None),
        (HEADER[:20], "header", None),
        (HEADER, "unreadable", None),
        (HEADER + "X1", "unreadable", None),
        (ZOE.replace("ADRUN" + GS, "ADRUN" + GS + "??"), "unreadable", None),
        (ZOE.replace("S1275126322074974", ""), "missing", "S1"),
        (ZOE.replace("S5F", ""), "missing", "S5"),
        (ZOE.replace("S631-12-1975", ""), "missing", "S6"),
        (ZOE.replace("S5F", "S5X"), "value", "S5"),
        (ZOE.replace("31-12-1975", "1975-12-31"), "value", "S6"),
        (ZOE.replace("S3ZOE", "S3"), "length", "S3"),
        (ZOE.replace("S763220", "S7632"), "length", "S7"),
        (ZOE.replace(GS, "").replace("S5F", "S5FF"), "length", "S5"),
        (ZOE + GS + "S3LEA" + GS, "duplicate", "S3"),
    ],
)
def test_what_cannot_be_read_says_where_and_never_what(text: str, reason: str, field: str | None) -> None:
    assert refusal(text) == (reason, field)
    with pytest.raises(InvalidInput) as refused:
        scanned(text)
    assert not any(word in str(refused.value) for word in ("ADRUN", "ZOE", "2751263220749", "LEA"))


def test_a_scan_prints_nothing_of_the_person() -> None:
    scan = scanned(ZOE.replace(GS, ""))
    printed = f"{scan!r} {scan} {scan:>10} {RawScan(content=SecretBytes(ZOE.encode()), source=ScanSource.TEXT)!r}"
    assert "separator_lost" in printed
    assert not any(word in printed for word in ("ADRUN", "ZOE", "275126322074974", "1975", "63220"))


LETTERS = st.text(alphabet="ABCDEFGHIJKLMNOPQRSTUVWXYZ", min_size=1, max_size=30)
NAMES = st.lists(LETTERS, min_size=1, max_size=3).map(" ".join)
FIELDS = st.fixed_dictionaries(
    {
        "S1": st.just("275126322074974"),
        "S2": st.sampled_from([f"1.2.250.1.213.1.4.{end}" for end in (8, 9, 10, 11)]),
        "S3": NAMES,
        "S4": NAMES,
        "S5": st.sampled_from("FM"),
        "S6": st.dates(dt.date(1900, 1, 1), TODAY).map(lambda day: f"{day:%d-%m-%Y}"),
        "S7": st.sampled_from(["63220", "2A004", "99352", "97411"]),
    }
)


@given(FIELDS, st.permutations(["S1", "S2", "S3", "S4", "S5", "S6", "S7"]), st.booleans())
def test_what_is_written_is_read_in_any_order_with_or_without_gs(
    fields: dict[str, str], order: list[str], keeps_gs: bool
) -> None:
    separator = GS if keeps_gs else ""
    limits = {"S2": 20, "S3": 100, "S4": 100}
    text = HEADER + "".join(
        name + fields[name] + (separator if len(fields[name]) < limits.get(name, 0) else "") for name in order
    )
    scan = scanned(text)
    assert [scan.matricule, scan.oid, scan.given_names, scan.birth_name] == [
        fields[name] for name in ("S1", "S2", "S3", "S4")
    ]
    assert [scan.sex.value, scan.birth_date_text, scan.birth_place_cog] == [fields[name] for name in ("S5", "S6", "S7")]


@given(st.text(alphabet="S0123456789ABF-. 'IXé\x1d<>{}^]\\", max_size=200), st.booleans())
def test_any_text_after_the_header_is_read_or_refused_with_a_code(text: str, whole_header: bool) -> None:
    assert code_of(lambda: read_ins((HEADER if whole_header else "IS01") + text)) in {None, "INS_CODE_INVALID"}


@given(st.integers(0, len(ZOE) - 1), st.characters(max_codepoint=255))
def test_one_changed_character_never_breaks_the_reader(place: int, letter: str) -> None:
    raw = RawScan(content=SecretBytes((ZOE[:place] + letter + ZOE[place + 1 :]).encode()), source=ScanSource.CAMERA)
    assert code_of(lambda: recognise(raw, today=TODAY)) in {None, "INS_CODE_INVALID", "BOX_CODE_INVALID"}
