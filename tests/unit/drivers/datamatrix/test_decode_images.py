"""Image files become grey pictures of bounded size, or a code."""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING

import pytest

from vaguemestre_core.errors import InvalidInput
from vaguemestre_drivers.datamatrix.images import ImageLimits, grey_image, reduced

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png_that_claims(width: int, height: int) -> bytes:
    """A bomb: a few hundred bytes that would become a picture of that size."""
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    pixels = zlib.compress(bytes(100_000))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def encoded(picture: NDArray[np.uint8] | NDArray[np.uint16], suffix: str = ".png") -> bytes:
    import cv2

    done, data = cv2.imencode(suffix, picture)
    assert done
    return bytes(data.tobytes())


def code(data: bytes, limits: ImageLimits | None = None) -> str:
    with pytest.raises(InvalidInput) as refused:
        grey_image(data, limits or ImageLimits())
    return refused.value.code


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".bmp", ".tiff"])
@pytest.mark.parametrize("channels", [1, 3])
def test_every_format_becomes_grey(native: None, suffix: str, channels: int) -> None:
    import numpy as np

    picture = np.full((40, 60) if channels == 1 else (40, 60, 3), 200, np.uint8)
    grey = grey_image(encoded(picture, suffix))
    assert grey.shape == (40, 60)
    assert grey.flags.c_contiguous
    assert abs(int(grey[20, 30]) - 200) <= 2


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_transparent_is_paper(native: None, dtype: str) -> None:
    import numpy as np

    most = np.iinfo(dtype).max
    picture = np.zeros((20, 20, 4), dtype)  # black ink, transparent around it
    picture[5:15, 5:15, 3] = most
    grey = grey_image(encoded(picture))
    assert (int(grey[0, 0]), int(grey[10, 10])) == (255, 0)


def test_sixteen_bits_become_eight(native: None) -> None:
    import numpy as np

    assert int(grey_image(encoded(np.full((20, 20), 0x8000, np.uint16)))[3, 3]) == 128


@pytest.mark.parametrize(
    ("width", "height"), [(100_000, 100_000), (7_000, 7_000), (2_000_000, 8), (2**31 - 1, 2**31 - 1)]
)
def test_a_giant_is_refused_by_its_header(width: int, height: int) -> None:
    assert code(png_that_claims(width, height)) == "PICTURE_TOO_LARGE"  # no decoder was even loaded


def test_too_many_bytes_are_refused() -> None:
    assert code(bytes(2_000), ImageLimits(max_bytes=1_999)) == "PICTURE_TOO_LARGE"


@pytest.mark.parametrize("data", [b"", b"hello", b"GIF89a\x10\x00\x10\x00" + bytes(50), b"%!PS-Adobe"])
def test_other_formats_are_refused(data: bytes) -> None:
    assert code(data) == "PICTURE_UNSUPPORTED"


def test_a_header_alone_is_unreadable(native: None) -> None:
    assert code(png_that_claims(300, 300)[:40]) == "PICTURE_UNREADABLE"
    assert code(b"\xff\xd8\xff\xe0") == "PICTURE_UNREADABLE"


def test_smaller_than_a_symbol_is_unreadable(native: None) -> None:
    import numpy as np

    assert code(encoded(np.zeros((7, 40), np.uint8))) == "PICTURE_UNREADABLE"


def test_a_large_one_is_worked_on_reduced(native: None) -> None:
    import numpy as np

    grey = grey_image(encoded(np.full((900, 1200), 90, np.uint8)), ImageLimits(working_pixels=100_000))
    assert 90_000 < grey.size <= 100_000
    assert int(grey[10, 10]) == 90
    small = np.full((10, 10), 7, np.uint8)
    assert reduced(small, 100) is small
