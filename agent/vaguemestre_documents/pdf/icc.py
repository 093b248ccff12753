"""The output profile that a converted PDF names: sRGB, computed here from its published definition.

Owns one profile (ICC version 2, matrix and curve); embeds nobody else's file.
Source: IEC 61966-2-1 (curve, primaries), ICC.1:2001-04 (layout); primaries adapted to D50 by the Bradford method.
"""

from __future__ import annotations

import struct
from functools import cache
from typing import Final

CONDITION: Final = "sRGB IEC61966-2.1"
_D50: Final = (0.9642, 1.0, 0.8249)
_RED: Final = (0.43607, 0.22249, 0.01392)
_GREEN: Final = (0.38515, 0.71687, 0.09708)
_BLUE: Final = (0.14307, 0.06061, 0.71410)
_POINTS: Final = 1024
_HEADER_BYTES: Final = 128


@cache
def srgb_profile() -> bytes:
    """Return the profile, always the same bytes."""
    curve = b"curv" + struct.pack(">II", 0, _POINTS) + b"".join(_point(index) for index in range(_POINTS))
    name = b"sRGB\x00"
    tags = (
        (b"desc", b"desc" + struct.pack(">II", 0, len(name)) + name + bytes(4 + 4 + 2 + 1 + 67)),
        (b"cprt", b"text" + bytes(4) + b"No copyright\x00"),
        (b"wtpt", _xyz(_D50)),
        (b"rXYZ", _xyz(_RED)),
        (b"gXYZ", _xyz(_GREEN)),
        (b"bXYZ", _xyz(_BLUE)),
        (b"rTRC", curve),
        (b"gTRC", curve),
        (b"bTRC", curve),
    )
    first = _HEADER_BYTES + 4 + 12 * len(tags)
    places: dict[bytes, int] = {}
    content = b""
    table = struct.pack(">I", len(tags))
    for signature, value in tags:
        if value not in places:  # the three curves are one
            places[value] = first + len(content)
            content += value + bytes(-len(value) % 4)
        table += signature + struct.pack(">II", places[value], len(value))
    date = struct.pack(">6H", 2026, 11, 24, 0, 0, 0)
    header = b"\x00\x00\x00\x00\x02\x10\x00\x00mntrRGB XYZ " + date + b"acsp" + bytes(28) + _numbers(_D50) + bytes(48)
    return struct.pack(">I", first + len(content)) + header + table + content


def components(profile: bytes) -> int | None:
    """Return the number of components of an output profile that PDF/A-1 accepts; None for another one."""
    if len(profile) < _HEADER_BYTES or profile[36:40] != b"acsp" or profile[8] not in (2,):
        return None
    if profile[12:16] not in (b"mntr", b"prtr", b"scnr", b"spac"):
        return None
    return {b"GRAY": 1, b"RGB ": 3, b"CMYK": 4, b"Lab ": 3}.get(profile[16:20])


def _point(index: int) -> bytes:
    value = index / (_POINTS - 1)
    linear = value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4
    return struct.pack(">H", round(linear * 65535))


def _numbers(values: tuple[float, float, float]) -> bytes:
    return b"".join(struct.pack(">i", round(value * 65536)) for value in values)


def _xyz(values: tuple[float, float, float]) -> bytes:
    return b"XYZ " + bytes(4) + _numbers(values)
