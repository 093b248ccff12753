"""Say what a read code is, and read it: INS, box, or opaque.

Owns the order of the questions; each grammar has its own module. Pure: the day is given. Source: AIM symbology
identifiers, ANS Format datamatrix INS, GS1 General Specifications.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Final

from vaguemestre_core.scans import OpaqueRule, RawScan, Scan, ScanKind
from vaguemestre_documents.scancodes.gs1 import looks_like_box, read_box, read_ean13
from vaguemestre_documents.scancodes.ins import looks_like_ins, read_ins
from vaguemestre_documents.scancodes.opaque import opaque
from vaguemestre_documents.scancodes.text import GS, received

# FNC1 in first position: Data Matrix, GS1-128, DataBar, QR code.
_GS1_SYMBOLOGIES: Final = frozenset({"]d2", "]C1", "]e0", "]Q3"})
_EAN_SYMBOLOGY: Final = "]E0"
_DATA_MATRIX: Final = "d"


def recognise(
    raw: RawScan, *, today: dt.date, rules: Sequence[OpaqueRule] = (), expected: ScanKind | None = None
) -> Scan:
    """Return what a code says, or the code itself when its content is not ours to read.

    Args:
        raw: the code as read, AIM identifier apart or in front of it.
        today: places the years of boxes, which have two digits.
        rules: beginnings of opaque codes that the practice's profile knows.
        expected: what the caller waits for; it names an opaque code that nothing else names.

    Raises:
        InvalidInput: ``INS_CODE_INVALID`` or ``BOX_CODE_INVALID`` when a code is one of these and cannot be read.
    """
    read = received(raw.content.reveal(), symbology=raw.symbology)
    text, symbology = read.text, read.symbology
    if symbology in _GS1_SYMBOLOGIES:
        return read_box(text, today=today)
    if symbology == _EAN_SYMBOLOGY:
        return read_ean13(text)
    if symbology is None or symbology[1] == _DATA_MATRIX:
        if looks_like_ins(text):
            return read_ins(text)
        if symbology is None:
            box = _box(text, today)
            if box is not None:
                return box
    return opaque(read.content, symbology=symbology, rules=rules, expected=expected)


def _box(text: str, today: dt.date) -> Scan | None:
    """Read a box that no AIM identifier announces: a right check digit announces it."""
    message = text.lstrip(GS)
    if not looks_like_box(message):
        return None
    return read_ean13(message) if len(message) == 13 else read_box(message, today=today)
