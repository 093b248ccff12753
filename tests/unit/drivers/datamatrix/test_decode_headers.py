"""Headers of images say format and size, whatever bytes follow them."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vaguemestre_drivers.datamatrix.headers import Header, HeaderBroken, ImageFormat, header

SUFFIXES = {
    ".png": ImageFormat.PNG,
    ".jpg": ImageFormat.JPEG,
    ".webp": ImageFormat.WEBP,
    ".bmp": ImageFormat.BMP,
    ".tiff": ImageFormat.TIFF,
}


def encoded(suffix: str, *, channels: int = 1, width: int = 37, height: int = 21) -> bytes:
    import cv2
    import numpy as np

    shape = (height, width) if channels == 1 else (height, width, channels)
    done, data = cv2.imencode(suffix, np.full(shape, 200, np.uint8))
    assert done
    return data.tobytes()


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("channels", [1, 3])
def test_size_and_format_are_read(native: None, suffix: str, channels: int) -> None:
    assert header(encoded(suffix, channels=channels)) == Header(format=SUFFIXES[suffix], width=37, height=21)


@pytest.mark.parametrize("suffix", [".png", ".webp"])
def test_transparency_is_read(native: None, suffix: str) -> None:
    import cv2
    import numpy as np

    picture = np.zeros((21, 37, 4), np.uint8)
    picture[::2, :, 3] = 255
    told = header(cv2.imencode(suffix, picture)[1].tobytes())
    assert told is not None
    assert (told.width, told.height, told.transparent) == (37, 21, True)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_cut_header_is_broken_or_unknown(native: None, suffix: str) -> None:
    whole = encoded(suffix)
    full = header(whole)
    for length in range(60):
        try:
            told = header(whole[:length])
        except HeaderBroken:
            continue
        assert told is None or told == full


def test_no_size_is_broken() -> None:
    with pytest.raises(HeaderBroken):
        header(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + struct.pack(">IIBBBBB", 0, 5, 8, 0, 0, 0, 0))


def test_other_formats_are_not_ours() -> None:
    assert header(b"GIF89a\x10\x00\x10\x00") is None
    assert header(b"") is None


@given(
    st.sampled_from(
        [b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", b"\xff\xd8\xff", b"RIFF\0\0\0\0WEBP", b"BM", b"II*\0", b"MM\0*"]
    ),
    st.binary(max_size=200),
)
def test_any_bytes_give_a_header_or_a_refusal(start: bytes, rest: bytes) -> None:
    try:
        told = header(start + rest)
    except HeaderBroken:
        return
    assert told is None or (told.width > 0 and told.height > 0)
