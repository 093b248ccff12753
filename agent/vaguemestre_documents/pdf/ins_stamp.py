"""Put a Datamatrix INS below the first page of a PDF, with the words "INS à scanner" beside it.

Owns the drawing of the symbol; its place is ``band.py``'s: the page grows, nothing is covered. Modules are one filled
path, so that no hairline shows between them, and a PDF/A-1 stays one. Source: ANS, Format datamatrix INS; ISO/IEC
16022.
"""

from __future__ import annotations

import io
from typing import Final

from reportlab.pdfgen.canvas import Canvas

from vaguemestre_documents.pdf.band import FONT, add_band, font, is_signed, place_of
from vaguemestre_documents.pdf.faults import Fault
from vaguemestre_documents.pdf.reading import open_pdf
from vaguemestre_documents.pdf.values import PdfRefused
from vaguemestre_documents.scancodes.datamatrix import Symbol
from vaguemestre_documents.scancodes.ins_writing import QUIET_ZONE_MODULES
from vaguemestre_documents.scancodes.picture import LABEL

MODULE_POINTS: Final = 1.5  # 0.53 mm
_MARGIN: Final = 28.0
_GAP: Final = 6.0
_LABEL_SIZE: Final = 9.0
_LABEL_ROOM: Final = 72.0


class StampLeftOut(Exception):
    """The PDF carries a signature, which a change would break: it stays as it is."""


def with_ins_code(content: bytes, symbol: Symbol, *, claims_pdfa: bool) -> bytes:
    """Return the PDF with the symbol below its first page.

    Raises:
        StampLeftOut: the PDF is signed.
        PdfRefused: it cannot be read within bounds, or its first page is too narrow (PDFA_LIMIT).
    """
    with open_pdf(content) as pdf:
        if is_signed(pdf):
            raise StampLeftOut
        page = pdf.pages[0]
        width = place_of(page).width
        height = (symbol.side + 2 * QUIET_ZONE_MODULES) * MODULE_POINTS
        if width < 2 * _MARGIN + height + _GAP + _LABEL_ROOM:
            raise PdfRefused(Fault.LIMIT)
        return add_band(pdf, page, _drawn(symbol, width, height), height, claims_pdfa=claims_pdfa)


def _drawn(symbol: Symbol, width: float, height: float) -> bytes:
    font()
    out = io.BytesIO()
    canvas = Canvas(out, pagesize=(width, height), invariant=1, pageCompression=1, initialFontName=FONT)
    quiet = QUIET_ZONE_MODULES * MODULE_POINTS
    path = canvas.beginPath()
    for down, row in enumerate(symbol.rows):
        bottom = height - quiet - (down + 1) * MODULE_POINTS
        for start, length in _runs(row):
            left = _MARGIN + quiet + start * MODULE_POINTS
            path.rect(left, bottom, length * MODULE_POINTS, MODULE_POINTS)
    canvas.drawPath(path, stroke=0, fill=1)
    canvas.setFont(FONT, _LABEL_SIZE)
    canvas.drawString(_MARGIN + height + _GAP, (height - _LABEL_SIZE) / 2, LABEL)
    canvas.showPage()
    canvas.save()
    return out.getvalue()


def _runs(row: tuple[bool, ...]) -> list[tuple[int, int]]:
    """Return the dark runs of a row: where each starts, and its length."""
    runs: list[tuple[int, int]] = []
    for place, dark in enumerate(row):
        if not dark:
            continue
        if runs and sum(runs[-1]) == place:
            runs[-1] = (runs[-1][0], runs[-1][1] + 1)
        else:
            runs.append((place, 1))
    return runs
