"""Made INS codes: what they say, what is refused, that our own reader reads them back, the figures of the standard."""

from __future__ import annotations

import datetime as dt
import io
import struct
import zlib
from dataclasses import replace

import pikepdf
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vaguemestre_core.errors import InvalidInput
from vaguemestre_core.identities import (
    OID_INS_NIA,
    OID_INS_NIR,
    OID_INS_NIR_DEMO,
    OID_INS_NIR_TEST,
    BirthDate,
    IdentityStatus,
    Ins,
    PatientIdentity,
    Sex,
)
from vaguemestre_documents.cda.read import parse_cda, read_n1_body
from vaguemestre_documents.pdf.conformity import pdfa_faults
from vaguemestre_documents.pdf.ins_stamp import StampLeftOut, with_ins_code
from vaguemestre_documents.pdf.values import PdfRefused
from vaguemestre_documents.preparation import PreparationFailure, PreparationResult, prepare
from vaguemestre_documents.scancodes.datamatrix import SIZES, Size, symbol
from vaguemestre_documents.scancodes.encodation import encoded
from vaguemestre_documents.scancodes.ins import HEADER, HEADER_LENGTH, read_ins
from vaguemestre_documents.scancodes.ins_writing import ins_symbol, ins_text
from vaguemestre_documents.scancodes.picture import png
from vaguemestre_testkit import metadata_samples, pdf_samples
from vaguemestre_testkit.code_samples import ZOE

pytestmark = pytest.mark.req("SC.CDA/VISU.04")

GS = "\x1d"


def test_the_published_example_is_written_to_the_letter() -> None:
    assert ins_text(ZOE).reveal() == (
        f"{HEADER}S1275126322074974S21.2.250.1.213.1.4.8{GS}S3ZOE{GS}S4ADRUN{GS}S5FS631-12-1975S763220"
    )


def test_full_fields_take_no_gs() -> None:
    assert ins_text(replace(ZOE, ins=Ins(matricule="275126322074974", oid=OID_INS_NIR_TEST))).reveal().count(GS) == 2
    assert f"S3{'Z' * 100}S4" in ins_text(replace(ZOE, given_names="Z" * 100, first_given_name="Z" * 100)).reveal()


@pytest.mark.parametrize("status", [each for each in IdentityStatus if each is not IdentityStatus.QUALIFIEE])
def test_an_identity_that_is_not_qualified_has_no_code(status: IdentityStatus) -> None:
    for make in (ins_text, ins_symbol):
        with pytest.raises(InvalidInput) as refused:
            make(replace(ZOE, status=status))
        assert (refused.value.code, refused.value.params["reason"]) == ("INS_CODE_REFUSED", "not_qualified")


def test_an_undetermined_sex_has_no_code() -> None:
    # The identity itself already refuses to be qualified without a sex.
    with pytest.raises(InvalidInput, match="IDENTITY_INCOMPLETE"):
        replace(ZOE, sex=Sex.INDETERMINE)


def test_what_the_field_cannot_hold_is_refused_and_never_shortened() -> None:
    with pytest.raises(InvalidInput) as refused:
        ins_text(replace(ZOE, given_names="ZOE " + "A" * 97))
    assert (refused.value.params["reason"], refused.value.params["field"]) == ("length", "S3")


NAMES = st.from_regex(r"[A-Z]{1,12}([ '-][A-Z]{1,10}){0,3}", fullmatch=True)
IDENTITIES = st.builds(
    lambda given, name, day, sex, place, oid: replace(
        ZOE,
        given_names=given,
        first_given_name=given,
        birth_name=name,
        birth_date=BirthDate(value=day),
        sex=sex,
        birth_place_cog=place,
        ins=Ins(matricule="275126322074974", oid=oid),
    ),
    NAMES,
    NAMES,
    st.dates(dt.date(1880, 1, 1), dt.date(2026, 11, 24)),
    st.sampled_from([Sex.FEMININ, Sex.MASCULIN]),
    st.sampled_from(["63220", "2A004", "99352"]),
    st.sampled_from([OID_INS_NIR, OID_INS_NIA, OID_INS_NIR_TEST, OID_INS_NIR_DEMO]),
)


@given(IDENTITIES, st.booleans())
def test_what_is_written_is_read_back_with_or_without_gs(patient: PatientIdentity, keeps_gs: bool) -> None:
    text = ins_text(patient).reveal()
    scan = read_ins(text if keeps_gs else text.replace(GS, ""))
    assert (scan.given_names, scan.birth_name) == (patient.given_names, patient.birth_name)
    assert (scan.ins, scan.sex, scan.birth_date) == (patient.ins, patient.sex, patient.birth_date.value)
    assert scan.birth_place_cog == patient.birth_place_cog


def decoded(codewords: bytes) -> str:
    """Read codewords of ASCII and C40 by the tables of the standard, written here a second time."""
    basic = " 0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    signs = "!\"#$%&'()*+,-./:;<=>?@[\\]^_"
    text, place, shift = "", 0, 0
    while place < len(codewords):
        word = codewords[place]
        place += 1
        if word == 129:
            return text
        if word == 230:
            while codewords[place] != 254:
                number = codewords[place] * 256 + codewords[place + 1] - 1
                place += 2
                for value in (number // 1600, number // 40 % 40, number % 40):
                    if shift:
                        text += (chr(value), signs[value : value + 1], chr(value + 96))[shift - 1]
                        shift = 0
                    elif value < 3:
                        shift = value + 1
                    else:
                        text += basic[value - 3]
            place += 1
        elif word >= 130:
            text += f"{word - 130:02d}"
        else:
            text += chr(word - 1)
    return text


@given(st.text(alphabet=st.characters(max_codepoint=127), max_size=60), st.booleans())
def test_codewords_say_their_text(text: str, begins_in_c40: bool) -> None:
    written = HEADER + "S1" + text if begins_in_c40 else text
    assert decoded(encoded(written, in_c40=HEADER_LENGTH if begins_in_c40 else 0)) == written


def test_the_header_is_in_c40_and_the_figures_after_it_are_not() -> None:
    codewords = encoded(ins_text(ZOE).reveal(), in_c40=HEADER_LENGTH)
    # Latch, nine triplets (the header and the S that follows it), back to ASCII.
    assert (codewords[0], codewords[19]) == (230, 254)
    assert decoded(codewords[:20]) == HEADER + "S"
    assert len(codewords) == 73


def test_nothing_but_ascii_is_encoded() -> None:
    with pytest.raises(InvalidInput, match="SCAN_INVALID"):
        encoded("ZOÉ")


def test_the_symbol_of_the_standard_has_its_correction_words() -> None:
    # The example of ISO/IEC 16022: 123456 is 142 164 186, corrected by 114 25 5 88 102.
    drawn = ["".join("#" if dark else "." for dark in row) for row in symbol(bytes((142, 164, 186))).rows]
    assert drawn == [
        "#.#.#.#.#.",
        "##..#.##.#",
        "##.....#..",
        "##...###.#",
        "##....#...",
        "#.....####",
        "###.##....",
        "####.##..#",
        "#..###.#..",
        "##########",
    ]


@pytest.mark.parametrize("size", SIZES, ids=lambda size: str(size.side))
def test_every_size_is_filled_and_framed(size: Size) -> None:
    side, data = size.side, size.data
    made = symbol(bytes([66]) * data)
    assert made.side == side
    assert all(row[0] for row in made.rows)
    assert all(made.rows[-1])
    assert [row[-1] for row in made.rows] == [place % 2 == 1 for place in range(side)]
    assert list(made.rows[0]) == [place % 2 == 0 for place in range(side)]


def test_what_no_size_holds_is_refused() -> None:
    with pytest.raises(InvalidInput, match="SCAN_INVALID"):
        symbol(bytes([66]) * 369)


def pixels(content: bytes) -> list[str]:
    """Read a one-bit PNG: rows of 0 (dark) and 1."""
    width, height = struct.unpack(">II", content[16:24])
    start = content.index(b"IDAT")
    length = struct.unpack(">I", content[start - 4 : start])[0]
    raw = zlib.decompress(content[start + 4 : start + 4 + length])
    octets = -(-width // 8)
    rows = [raw[row * (octets + 1) + 1 : (row + 1) * (octets + 1)] for row in range(height)]
    return [f"{int.from_bytes(row, 'big'):0{octets * 8}b}"[:width] for row in rows]


@pytest.mark.parametrize("module_px", [2, 6, 7, 24])
def test_the_picture_holds_the_modules_their_quiet_zone_and_the_words(module_px: int) -> None:
    made = ins_symbol(ZOE)
    rows = pixels(png(made, module_px=module_px))
    left = (len(rows[0]) - (made.side + 4) * module_px) // 2 + 2 * module_px
    middle = module_px // 2
    seen = [
        [rows[(2 + down) * module_px + middle][left + right * module_px + middle] == "0" for right in range(made.side)]
        for down in range(made.side)
    ]
    assert seen == [list(row) for row in made.rows]
    assert all("0" not in row for row in rows[: 2 * module_px])
    below = rows[(made.side + 4) * module_px :]
    assert sum(row.count("0") for row in below) > 500
    assert all("0" not in row[:1] + row[-1:] for row in rows)


@pytest.mark.parametrize("module_px", [2, 7])
def test_the_picture_of_another_code_is_its_square_alone(module_px: int) -> None:
    made = symbol(bytes([66]) * 20)
    rows = pixels(png(made, module_px=module_px, is_ins=False))
    side = (made.side + 4) * module_px
    assert (len(rows), {len(row) for row in rows}) == (side, {side})
    middle = slice(2 * module_px + module_px // 2, side - 2 * module_px, module_px)
    assert [tuple(dot == "0" for dot in row[middle]) for row in rows[middle]] == list(made.rows)


@pytest.mark.parametrize("module_px", [1, 25])
def test_a_picture_too_small_or_too_large_is_refused(module_px: int) -> None:
    with pytest.raises(InvalidInput, match="INS_CODE_REFUSED"):
        png(ins_symbol(ZOE), module_px=module_px)


def test_a_made_code_prints_nothing_of_the_person() -> None:
    assert "ADRUN" not in f"{ins_text(ZOE)!r}{ins_symbol(ZOE)!r}"
    assert "#" not in repr(ins_symbol(ZOE))


# On a PDF.


def _second_page(pdf: pikepdf.Pdf) -> None:
    pdf.add_blank_page()


@pytest.mark.parametrize("claims_pdfa", [True, False])
def test_the_stamp_goes_below_the_first_page_and_leaves_pdfa_valid(claims_pdfa: bool) -> None:
    before = pdf_samples.conforming() if claims_pdfa else pdf_samples.plain(_second_page)
    after = with_ins_code(before, ins_symbol(ZOE), claims_pdfa=claims_pdfa)
    with pikepdf.open(io.BytesIO(before)) as old, pikepdf.open(io.BytesIO(after)) as new:
        assert len(old.pages) == len(new.pages)
        grown = float(new.pages[0].mediabox[3]) - float(new.pages[0].mediabox[1])
        side = ins_symbol(ZOE).side
        assert grown - float(old.pages[0].mediabox[3]) == pytest.approx((side + 4) * 1.5)
        for untouched in range(1, len(old.pages)):
            assert new.pages[untouched].mediabox == old.pages[untouched].mediabox
    if claims_pdfa:
        assert pdfa_faults(after) == ()
    assert with_ins_code(before, ins_symbol(ZOE), claims_pdfa=claims_pdfa) == after


def test_a_signed_pdf_is_never_changed() -> None:
    def sign(pdf: pikepdf.Pdf) -> None:
        pdf.Root.AcroForm = pikepdf.Dictionary(SigFlags=3, Fields=pikepdf.Array())

    with pytest.raises(StampLeftOut):
        with_ins_code(pdf_samples.plain(sign), ins_symbol(ZOE), claims_pdfa=False)


def test_a_page_too_narrow_is_refused() -> None:
    def narrow(pdf: pikepdf.Pdf) -> None:
        pdf.pages[0].MediaBox = pikepdf.Array([0, 0, 180, 842])

    with pytest.raises(PdfRefused):
        with_ins_code(pdf_samples.plain(narrow), ins_symbol(ZOE), claims_pdfa=False)


def prepared(status: str, body: bytes, media_type: str = "application/pdf") -> PreparationResult | PreparationFailure:
    value = {**metadata_samples.metadata(status), "ins_code": True}
    return prepare(metadata_samples.preparation(body, value=value, media_type=media_type, for_dmp=False))


def test_a_document_that_asks_for_the_code_carries_it() -> None:
    given_pdf = pdf_samples.conforming()
    result = prepared("qualifiée", given_pdf)
    assert isinstance(result, PreparationResult)
    body = read_n1_body(parse_cda(result.document.cda))
    with pikepdf.open(io.BytesIO(body)) as pdf:
        assert "/Band0" in pdf.pages[0].Resources.XObject
    assert pdfa_faults(body) == ()


@pytest.mark.parametrize(
    ("status", "body", "media_type", "code"),
    [
        ("validée", pdf_samples.plain(), "application/pdf", "INS_CODE_REFUSED"),
        ("qualifiée", "Été".encode(), "text/plain", "INS_CODE_NOT_POSSIBLE"),
    ],
)
def test_a_document_that_cannot_carry_it_is_refused(status: str, body: bytes, media_type: str, code: str) -> None:
    refused = prepared(status, body, media_type)
    assert isinstance(refused, PreparationFailure)
    assert [item.code for item in refused.findings] == [code]
