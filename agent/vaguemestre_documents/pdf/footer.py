"""Add a footer below the last page of a PDF: the page grows at its bottom, nothing is written over what is on it.

Owns the drawing; its place is ``band.py``'s, what it says is given. Letters are embedded (Bitstream Vera, shipped by
reportlab), so that a PDF/A-1 stays one. Deterministic: same bytes in, same bytes out.
Source: ISO 32000-1, 7.7.3, 14.11.2.
"""

from __future__ import annotations

import io
import unicodedata
from collections.abc import Sequence
from typing import Final

from reportlab.lib.utils import simpleSplit
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.pdfgen.canvas import Canvas

from vaguemestre_documents.pdf.band import FONT, add_band, font, is_signed, place_of
from vaguemestre_documents.pdf.faults import Fault
from vaguemestre_documents.pdf.reading import open_pdf
from vaguemestre_documents.pdf.values import PdfRefused

_SIZE: Final = 7.0  # points
_LEADING: Final = 9.0
_MARGIN: Final = 28.0
_PADDING: Final = 8.0
_MIN_WIDTH: Final = 144.0  # two inches: below that no sentence can be read


class FooterLeftOut(Exception):
    """The PDF carries a signature, which a change would break: it stays as it is."""


def with_footer(content: bytes, paragraphs: Sequence[str], *, claims_pdfa: bool) -> bytes:
    """Return the PDF with these paragraphs below its last page.

    A letter that the font lacks loses its accent, or becomes a question mark.

    Raises:
        FooterLeftOut: the PDF is signed.
        PdfRefused: it cannot be read within bounds, or its last page is too narrow (PDFA_LIMIT).
    """
    with open_pdf(content) as pdf:
        if is_signed(pdf):
            raise FooterLeftOut
        page = pdf.pages[-1]
        place = place_of(page)
        if place.width < _MIN_WIDTH:
            raise PdfRefused(Fault.LIMIT)
        drawing, height = _drawn(paragraphs, place.width)
        return add_band(pdf, page, drawing, height, claims_pdfa=claims_pdfa)


def _drawn(paragraphs: Sequence[str], width: float) -> tuple[bytes, float]:
    """Return a PDF of one page with the paragraphs, and its height, points."""
    vera = font()
    lines: list[str] = []
    for paragraph in paragraphs:
        lines += simpleSplit(_writable(paragraph, vera), FONT, _SIZE, width - 2 * _MARGIN)
    height = 2 * _PADDING + _LEADING * len(lines)
    out = io.BytesIO()
    canvas = Canvas(out, pagesize=(width, height), invariant=1, pageCompression=1, initialFontName=FONT)
    canvas.setLineWidth(0.3)
    canvas.line(_MARGIN, height - 0.3, width - _MARGIN, height - 0.3)
    text = canvas.beginText(_MARGIN, height - _PADDING - _SIZE)
    text.setFont(FONT, _SIZE, leading=_LEADING)
    for line in lines:
        text.textLine(line)
    canvas.drawText(text)
    canvas.showPage()
    canvas.save()
    return out.getvalue(), height


def _writable(text: str, vera: TTFont) -> str:
    """Return the text in letters that the font has."""
    known = vera.face.charToGlyph
    written: list[str] = []
    for letter in unicodedata.normalize("NFC", text):
        if ord(letter) in known and letter.isprintable():
            written.append(letter)
            continue
        if letter.isspace():
            written.append(" ")
            continue
        plain = [
            piece for piece in unicodedata.normalize("NFKD", letter) if ord(piece) in known and piece.isprintable()
        ]
        bare = [piece for piece in plain if not unicodedata.combining(piece)]
        written.append("".join(bare) or "?")
    return "".join(written)
