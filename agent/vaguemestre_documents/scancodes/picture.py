"""The picture of a Data Matrix as a PNG: symbol, quiet zone and, for a Datamatrix INS, the words "INS à scanner" below.

Owns the drawing in pixels and the writing of one bit a pixel; the words are a small bitmap, so that no font library is
loaded. Deterministic. Source: ISO/IEC 16022 (quiet zone), PNG (ISO/IEC 15948).
"""

from __future__ import annotations

import base64
import struct
import zlib
from typing import Final

from vaguemestre_core.errors import InvalidInput
from vaguemestre_documents.scancodes.datamatrix import Symbol
from vaguemestre_documents.scancodes.ins_writing import QUIET_ZONE_MODULES

LABEL: Final = "INS à scanner"
DEFAULT_MODULE_PX: Final = 6  # half a millimetre at 300 dots an inch
MIN_MODULE_PX: Final = 2
MAX_MODULE_PX: Final = 24
_DOTS_PER_METRE: Final = 11_811  # 300 an inch

# The words in Bitstream Vera at 26 pixels: one bit a pixel, rows of whole octets, most significant first, compressed.
_LABEL_WIDTH: Final = 177
_LABEL_HEIGHT: Final = 21
_LABEL_BITS: Final = (
    "eNpt0DFuhDAQBdBPKLzVmvQjuAYFClfJEUZKEQqUkHvsYZwL5ARbTLQF3eLSBYKMvYq0gh1P9Wx5/A3EMnhY+bAB8ZQHZDsOZBbA"
    "7dkegdctz0RP+2GRH7xBlsjGaxv5xOhGZ93bIFcqARu0K78Ok0zSyvsgE1UOB0J5aIovFyRI53vISHoURxDqmII9M3fKp3y5MSsL"
    "66oZcjnhA7pTDoz2js+wsAusZ6yJ16D8e9b/K4/IA2dyx7Myaf6GM3e7RKeI/DNtuFDWSFRn34k5ca9WvqBomudL4q5IXM2wV1Qa"
    "fknc+shN/KcfGDHSJ7aO8QdH0JzE"
)


def png(symbol: Symbol, *, module_px: int = DEFAULT_MODULE_PX, is_ins: bool = True) -> bytes:
    """Return the symbol as a black and white PNG, with the words below unless it is no INS code.

    Raises:
        InvalidInput: ``INS_CODE_REFUSED`` (module_px): not between 2 and 24.
    """
    if not MIN_MODULE_PX <= module_px <= MAX_MODULE_PX:
        raise InvalidInput("INS_CODE_REFUSED", reason="module_px", field="module_px")
    quiet = QUIET_ZONE_MODULES * module_px
    square = (symbol.side + 2 * QUIET_ZONE_MODULES) * module_px
    enlarged = max(1, module_px // DEFAULT_MODULE_PX)
    label_width = _LABEL_WIDTH * enlarged
    width = max(square, label_width + 2 * enlarged) if is_ins else square
    left, label_left = (width - square) // 2 + quiet, (width - label_width) // 2
    rows: list[int] = [0] * quiet
    for modules in symbol.rows:
        row = _enlarged(int("".join("1" if dark else "0" for dark in modules), 2), symbol.side, module_px)
        rows += [row << width - left - symbol.side * module_px] * module_px
    rows += [0] * quiet
    if is_ins:
        for line in _label_rows():
            rows += [_enlarged(line, _LABEL_WIDTH, enlarged) << width - label_left - label_width] * enlarged
        rows += [0] * (2 * enlarged)
    return _written(rows, width)


def _label_rows() -> list[int]:
    octets = -(-_LABEL_WIDTH // 8)
    raw = zlib.decompress(base64.b64decode(_LABEL_BITS))
    starts = range(0, _LABEL_HEIGHT * octets, octets)
    return [int.from_bytes(raw[start : start + octets], "big") >> octets * 8 - _LABEL_WIDTH for start in starts]


def _enlarged(bits: int, width: int, times: int) -> int:
    """Return a row of bits, each repeated."""
    run = (1 << times) - 1
    wide = 0
    for place in range(width - 1, -1, -1):
        wide = wide << times | (run if bits >> place & 1 else 0)
    return wide


def _written(rows: list[int], width: int) -> bytes:
    octets = -(-width // 8)
    spare = octets * 8 - width
    everything = (1 << octets * 8) - 1
    # Filter 0 before each row; in a grey PNG of one bit, 1 is white.
    lines = b"".join(b"\0" + (everything ^ row << spare).to_bytes(octets, "big") for row in rows)
    return b"".join(
        (
            b"\x89PNG\r\n\x1a\n",
            _chunk(b"IHDR", struct.pack(">IIBBBBB", width, len(rows), 1, 0, 0, 0, 0)),
            _chunk(b"pHYs", struct.pack(">IIB", _DOTS_PER_METRE, _DOTS_PER_METRE, 1)),
            _chunk(b"IDAT", zlib.compress(lines, 9)),
            _chunk(b"IEND", b""),
        )
    )


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
