"""Codewords of Data Matrix become contents: each encodation, GS1, and any codewords at all."""

from __future__ import annotations

import ctypes
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vaguemestre_drivers.datamatrix.codewords import DATA_CODEWORDS, NotDecodable, message

BOX = b"01034009300000211727120010AB12C\x1d210A1B2C3D4E"


def ascii_words(content: bytes) -> bytes:
    """Encode in ASCII: pairs of digits, upper shift, GS as FNC1 (232)."""
    words = bytearray()
    at = 0
    while at < len(content):
        pair = content[at : at + 2]
        if len(pair) == 2 and pair.isdigit():
            words.append(130 + int(pair))
            at += 2
            continue
        if content[at] == 0x1D:
            words.append(232)
        elif content[at] > 127:
            words += bytes([235, content[at] - 127])
        else:
            words.append(content[at] + 1)
        at += 1
    return bytes(words)


@given(st.binary(max_size=60).filter(lambda content: b"\x1d" not in content))
def test_ascii_comes_back(content: bytes) -> None:
    read = message(ascii_words(content) + b"\x81\x00\x33")  # a pad, then what is random after it
    assert (read.content, read.symbology) == (content, "]d1")


@given(st.binary(min_size=1, max_size=200))
def test_base_256_comes_back(content: bytes) -> None:
    length = [len(content)] if len(content) < 250 else [len(content) // 250 + 249, len(content) % 250]
    words = bytearray([231])
    for value in [*length, *content]:
        words.append((value + 149 * (len(words) + 1) % 255 + 1) % 256)
    assert message(bytes(words)).content == content


@given(st.text(alphabet=" 0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ", max_size=30), st.booleans())
def test_c40_and_text_come_back(text: str, lower: bool) -> None:
    text += " " * (-len(text) % 3)
    alphabet = " 0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    words = bytearray([239 if lower else 230])
    values = [alphabet.index(letter) + 3 for letter in text]
    for a, b, c in zip(values[0::3], values[1::3], values[2::3], strict=True):
        words += (1600 * a + 40 * b + c + 1).to_bytes(2, "big")
    words += bytes([254]) + ascii_words(b"x9")
    expected = (text.lower() if lower else text).encode() + b"x9"
    assert message(bytes(words)).content == expected


def test_fnc1_first_marks_gs1_and_is_a_separator_afterwards() -> None:
    read = message(bytes([232]) + ascii_words(BOX))
    assert (read.content, read.symbology) == (BOX, "]d2")


@pytest.mark.parametrize(
    ("words", "content", "symbology"),
    [
        ([66, 232, 67], b"AB", "]d3"),  # FNC1 in second position: an industry's own format
        ([142, 232, 67], b"12B", "]d3"),
        ([66, 67, 232, 68], b"AB\x1dC", "]d1"),
        ([241, 27, 66], b"A", "]d4"),
        ([241, 128, 5, 66], b"A", "]d4"),
        ([241, 192, 5, 6, 66], b"A", "]d4"),
        ([236, 66], b"[)>\x1e05\x1dA\x1e\x04", "]d1"),
        ([233, 1, 2, 3, 66], b"A", "]d1"),
        ([238, 89, 233, 254, 66], b"ABCA", "]d1"),  # X12: 14 * 1600 + 15 * 40 + 16 + 1
        ([240, 4, 32, 196, 67, 68], b"ABCDBC", "]d1"),  # EDIFACT; two codewords left are ASCII again
    ],
    ids=["second", "second-digits", "third", "eci-1", "eci-2", "eci-3", "macro", "append", "x12", "edifact"],
)
def test_what_the_standard_gives(words: list[int], content: bytes, symbology: str) -> None:
    read = message(bytes(words))
    assert (read.content, read.symbology) == (content, symbology)


def test_edifact_unlatches_inside_three_codewords() -> None:
    bits = 1 << 18 | 0x1F << 12  # A, unlatch: the second codeword is over with it
    packed = bits.to_bytes(3, "big")
    assert message(bytes([240, packed[0], packed[1], 66, 67])).content == b"AAB"


@pytest.mark.parametrize("words", [[0], [242], [231, 200], [230, 255, 255], [241]])
def test_what_means_nothing_is_refused(words: list[int]) -> None:
    with pytest.raises(NotDecodable):
        message(bytes(words))


@given(st.binary(max_size=1558))
def test_any_codewords_end(words: bytes) -> None:
    try:
        read = message(words)
    except NotDecodable:
        return
    assert len(read.content) <= 2 * len(words) + 9


@pytest.mark.parametrize("scheme", ["Ascii", "C40", "Text", "X12", "Edifact", "Base256", "AutoBest"])
@pytest.mark.parametrize("content", [b"ABCDEF GHIJ 123456789", b"A1B2C3D4E5F6*", b"IS01 S3ZOE LOU"])
def test_what_libdmtx_encodes_is_read(families: ModuleType, scheme: str, content: bytes) -> None:
    from pylibdmtx import pylibdmtx, wrapper

    with pylibdmtx._encoder() as encoder:
        wrapper.dmtxEncodeSetProp(
            encoder, wrapper.DmtxProperty.DmtxPropScheme, wrapper.DmtxScheme[f"DmtxScheme{scheme}"]
        )
        if not wrapper.dmtxEncodeDataMatrix(
            encoder, len(content), ctypes.cast(ctypes.c_char_p(content), wrapper.c_ubyte_p)
        ):
            pytest.skip("libdmtx does not encode this content in this scheme")
        held = encoder[0].message[0]
        total = held.codeSize
        words = ctypes.string_at(held.code, DATA_CODEWORDS[total])
    assert message(words).content == content
