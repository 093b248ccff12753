"""What the first bytes of an image say without decoding it: format, size in pixels, transparency.

Owns five formats: PNG, JPEG, WebP, BMP, TIFF. It exists so that a picture too large is refused before a byte of it is
expanded. Pure; reads within the bytes given, whatever they say. Source: PNG (ISO/IEC 15948), JPEG (ITU-T T.81), WebP
container (RFC 9649), TIFF 6.0, BMP.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

_PNG: Final = b"\x89PNG\r\n\x1a\n"
_MOST_MARKERS: Final = 10_000
_MOST_TAGS: Final = 4_096
_TIFF_SIZES: Final = {1: "B", 3: "H", 4: "I"}


class ImageFormat(StrEnum):
    """Formats that are decoded."""

    PNG = "png"
    JPEG = "jpeg"
    WEBP = "webp"
    BMP = "bmp"
    TIFF = "tiff"


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """Format, size in pixels, and whether pixels may be transparent."""

    format: ImageFormat
    width: int
    height: int
    transparent: bool = False


class HeaderBroken(ValueError):
    """The bytes begin like a known format and do not go on like one."""


def header(data: bytes) -> Header | None:
    """Return what the header says; None when the format is not one of ours.

    Raises:
        HeaderBroken: the header is cut or says a size of nothing.
    """
    try:
        found = _header(data)
    except (struct.error, IndexError) as cause:
        raise HeaderBroken from cause
    if found is not None and (found.width <= 0 or found.height <= 0):
        raise HeaderBroken
    return found


def _header(data: bytes) -> Header | None:
    if data.startswith(_PNG):
        return _png(data)
    if data.startswith(b"\xff\xd8\xff"):
        return _jpeg(data)
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return _webp(data)
    if data.startswith(b"BM"):
        return _bmp(data)
    if data[:4] in (b"II*\0", b"MM\0*"):
        return _tiff(data)
    return None


def _png(data: bytes) -> Header:
    if data[12:16] != b"IHDR":
        raise HeaderBroken
    width, height, _depth, colour = struct.unpack_from(">IIBB", data, 16)
    return Header(format=ImageFormat.PNG, width=width, height=height, transparent=bool(colour & 4) or _has_trns(data))


def _has_trns(data: bytes) -> bool:
    """Whether a palette or a colour is transparent: the chunk stands before the first pixels."""
    at = 8
    for _ in range(_MOST_TAGS):
        if at + 8 > len(data):
            return False
        length, name = struct.unpack_from(">I4s", data, at)
        if name in (b"tRNS", b"IDAT"):
            return bool(name == b"tRNS")
        at += 12 + length
    return False


def _jpeg(data: bytes) -> Header:
    at = 2
    for _ in range(_MOST_MARKERS):
        if data[at] != 0xFF:
            raise HeaderBroken
        marker = data[at + 1]
        if marker == 0xFF:  # fill
            at += 1
        elif 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack_from(">HH", data, at + 5)
            return Header(format=ImageFormat.JPEG, width=width, height=height)
        elif marker in (0x01, *range(0xD0, 0xDA)):  # markers without length; 0xD9 ends the image
            at += 2
        else:
            (length,) = struct.unpack_from(">H", data, at + 2)
            at += 2 + max(2, length)
    raise HeaderBroken


def _webp(data: bytes) -> Header:
    kind = data[12:16]
    if kind == b"VP8X":
        flags = data[20]
        width, height = (1 + int.from_bytes(data[at : at + 3], "little") for at in (24, 27))
        if len(data) < 30:
            raise HeaderBroken
        return Header(format=ImageFormat.WEBP, width=width, height=height, transparent=bool(flags & 0x10))
    if kind == b"VP8L":
        (bits,) = struct.unpack_from("<I", data, 21)
        return Header(
            format=ImageFormat.WEBP,
            width=(bits & 0x3FFF) + 1,
            height=(bits >> 14 & 0x3FFF) + 1,
            transparent=bool(bits >> 28 & 1),
        )
    if kind == b"VP8 ":
        width, height = struct.unpack_from("<HH", data, 26)
        return Header(format=ImageFormat.WEBP, width=width & 0x3FFF, height=height & 0x3FFF)
    raise HeaderBroken


def _bmp(data: bytes) -> Header:
    (size,) = struct.unpack_from("<I", data, 14)
    if size == 12:
        width, height = struct.unpack_from("<HH", data, 18)
    else:
        width, height = struct.unpack_from("<ii", data, 18)
    return Header(format=ImageFormat.BMP, width=width, height=abs(height))


def _tiff(data: bytes) -> Header:
    order = "<" if data[:2] == b"II" else ">"
    (at,) = struct.unpack_from(f"{order}I", data, 4)
    (tags,) = struct.unpack_from(f"{order}H", data, at)
    sizes: dict[int, int] = {}
    for index in range(min(tags, _MOST_TAGS)):
        place = at + 2 + 12 * index
        tag, kind, count = struct.unpack_from(f"{order}HHI", data, place)
        if tag in (256, 257) and count == 1 and kind in _TIFF_SIZES:
            (sizes[tag],) = struct.unpack_from(f"{order}{_TIFF_SIZES[kind]}", data, place + 8)
    return Header(format=ImageFormat.TIFF, width=sizes.get(256, 0), height=sizes.get(257, 0))
