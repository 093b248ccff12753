"""zxing-cpp: the first reader, fast and without a limit of its own; its cost is bounded by the size of the picture.

Owns the call and the mapping of what it gives; which pass asks what is in ``plan``.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Final, Protocol

from vaguemestre_core.redaction import SecretBytes
from vaguemestre_drivers.datamatrix.native import zxing
from vaguemestre_drivers.datamatrix.plan import Engine, Kinds
from vaguemestre_drivers.datamatrix.symbols import FoundSymbol, Quad, Reader

if TYPE_CHECKING:
    from vaguemestre_drivers.datamatrix.native import Grey

_NAMES: Final = {
    Kinds.DATA_MATRIX: ("DataMatrix",),
    Kinds.MATRIX: ("DataMatrix", "QRCode"),
    Kinds.OTHERS: ("QRCode", "EAN13", "EAN8", "Code128", "DataBar", "DataBarLtd", "DataBarExp"),
}


class _Corner(Protocol):
    x: int
    y: int


class _Position(Protocol):
    top_left: _Corner
    top_right: _Corner
    bottom_right: _Corner
    bottom_left: _Corner


class _Barcode(Protocol):
    bytes: bytes
    symbology_identifier: str
    position: _Position
    valid: bool


def decode(image: Grey, *, engine: Engine, kinds: Kinds, found_by: str) -> tuple[FoundSymbol, ...]:
    """Return every symbol that zxing-cpp reads in a grey picture.

    Raises:
        DecoderMissing: DECODER_MISSING when the library is not installed.
    """
    around = engine is not Engine.ZXING_DIRECT
    barcodes: list[_Barcode] = zxing().read_barcodes(
        image,
        formats=_formats(kinds),
        try_rotate=around,
        try_downscale=engine is Engine.ZXING_FULL,
        try_invert=around,
    )
    return tuple(_symbol(one, found_by) for one in barcodes if one.valid and one.bytes)


def _symbol(one: _Barcode, found_by: str) -> FoundSymbol:
    at = one.position
    place = Quad(
        top_left=(float(at.top_left.x), float(at.top_left.y)),
        top_right=(float(at.top_right.x), float(at.top_right.y)),
        bottom_right=(float(at.bottom_right.x), float(at.bottom_right.y)),
        bottom_left=(float(at.bottom_left.x), float(at.bottom_left.y)),
    )
    return FoundSymbol(
        content=SecretBytes(bytes(one.bytes)),
        symbology=one.symbology_identifier,
        place=place,
        reader=Reader.ZXING,
        found_by=found_by,
    )


@functools.cache
def _formats(kinds: Kinds) -> tuple[object, ...]:
    known = zxing().BarcodeFormat
    return tuple(getattr(known, name) for name in _NAMES[kinds])
