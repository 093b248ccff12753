"""A band below a page of a PDF: the page grows at its bottom, and a drawing goes into the room; nothing is covered.

Owns the place and the growing, whatever way the page is turned, and the embedded font; what is drawn is given.
Source: ISO 32000-1, 7.7.3, 14.11.2.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import pikepdf
from reportlab.pdfbase.ttfonts import TTFont

from vaguemestre_documents.pdf.faults import Fault
from vaguemestre_documents.pdf.rewriting import name_srgb, written
from vaguemestre_documents.pdf.values import PdfRefused

FONT: Final = "Vera"
_BOXES: Final = ("/CropBox", "/BleedBox", "/TrimBox", "/ArtBox")


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a band goes: the part of the page that is shown, in its own units, and how it is turned."""

    left: float
    bottom: float
    right: float
    top: float
    turn: int
    unit: float

    @property
    def width(self) -> float:
        """Width as the reader sees it, points."""
        across = self.right - self.left if self.turn % 180 == 0 else self.top - self.bottom
        return across * self.unit

    def grown(self, height: float) -> tuple[float, float, float, float]:
        """Return the page with room for a band on the side that the reader sees at the bottom."""
        more = height / self.unit
        match self.turn:
            case 90:
                return (self.left, self.bottom, self.right + more, self.top)
            case 180:
                return (self.left, self.bottom, self.right, self.top + more)
            case 270:
                return (self.left - more, self.bottom, self.right, self.top)
            case _:
                return (self.left, self.bottom - more, self.right, self.top)

    def matrix(self, height: float) -> tuple[float, float, float, float, float, float]:
        """Return what puts a drawing of that height, upright for the reader, into that room."""
        scale = 1 / self.unit
        left, bottom, right, top = self.grown(height)
        match self.turn:
            case 90:
                return (0, scale, -scale, 0, right, bottom)
            case 180:
                return (-scale, 0, 0, -scale, right, top)
            case 270:
                return (0, -scale, scale, 0, left, top)
            case _:
                return (scale, 0, 0, scale, left, bottom)


def is_signed(pdf: pikepdf.Pdf) -> bool:
    """Return whether a change would break a signature."""
    form = pdf.Root.get("/AcroForm")
    flags = int(form.get("/SigFlags", 0)) if isinstance(form, pikepdf.Dictionary) else 0
    return bool(flags & 1) or "/Perms" in pdf.Root


def _inherited(page: pikepdf.Page, key: str) -> object:
    """Return what a page or the nodes above it say under a key, or None."""
    node: pikepdf.Object = page.obj
    for _ in range(64):
        if key in node:
            return node[key]
        if "/Parent" not in node:
            return None
        node = node.Parent
    raise PdfRefused(Fault.TOO_COMPLEX)


def _box(value: object) -> tuple[float, float, float, float] | None:
    if not isinstance(value, pikepdf.Array) or len(value) != 4:
        return None
    across = sorted((float(value[0]), float(value[2])))
    upward = sorted((float(value[1]), float(value[3])))
    return across[0], upward[0], across[1], upward[1]


def place_of(page: pikepdf.Page) -> Place:
    """Return where a band goes. Raises PdfRefused when the page has no size that can be read."""
    media = _box(_inherited(page, "/MediaBox"))
    if media is None:
        raise PdfRefused(Fault.UNREADABLE)
    crop = _box(_inherited(page, "/CropBox")) or media
    turn = _inherited(page, "/Rotate")
    unit = page.obj.get("/UserUnit", 1)
    return Place(
        left=max(media[0], crop[0]),
        bottom=max(media[1], crop[1]),
        right=min(media[2], crop[2]),
        top=min(media[3], crop[3]),
        turn=int(turn) % 360 if isinstance(turn, int) else 0,
        unit=max(float(unit), 0.01),
    )


def add_band(pdf: pikepdf.Pdf, page: pikepdf.Page, drawing: bytes, height: float, *, claims_pdfa: bool) -> bytes:
    """Put a drawing (a PDF of one page, as wide as the page is seen) below a page; return the whole PDF, written again.

    Raises:
        PdfRefused: the page tree is too deep.
    """
    with pikepdf.open(io.BytesIO(drawing)) as drawn:
        form = pdf.copy_foreign(drawn.pages[0].as_form_xobject())
    _put(page, form, place_of(page), height)
    if claims_pdfa and "/OutputIntents" not in pdf.Root:
        name_srgb(pdf)
    return written(pdf, pikepdf.ObjectStreamMode.preserve)


def _put(page: pikepdf.Page, form: pikepdf.Object, place: Place, height: float) -> None:
    name = _named(page, form)
    depth = 0
    for instruction in pikepdf.parse_content_stream(page, operators="q Q"):
        depth = depth + 1 if str(instruction.operator) == "q" else max(0, depth - 1)
    # What was cut off stays cut off: the page shows no more of itself than before.
    shown = _numbers(place.left, place.bottom, place.right - place.left, place.top - place.bottom)
    page.contents_add(f"q {shown} re W n q\n".encode(), prepend=True)
    matrix = _numbers(*place.matrix(height))
    page.contents_add(("\n" + "Q " * (depth + 2) + f"q {matrix} cm {name} Do Q").encode())
    grown = pikepdf.Array([round(side, 3) for side in place.grown(height)])
    page.obj.MediaBox = grown
    for key in _BOXES:
        if key in page.obj:
            del page.obj[key]
    if _inherited(page, "/CropBox") is not None:
        page.obj.CropBox = grown


def _named(page: pikepdf.Page, form: pikepdf.Object) -> str:
    """Give the drawing a free name in the page's own resources, never in those that other pages share."""
    inherited = _inherited(page, "/Resources")
    resources = (
        pikepdf.Dictionary(dict(inherited.items()))
        if isinstance(inherited, pikepdf.Dictionary)
        else pikepdf.Dictionary()
    )
    named = resources.get("/XObject")
    drawings = (
        pikepdf.Dictionary(dict(named.items())) if isinstance(named, pikepdf.Dictionary) else pikepdf.Dictionary()
    )
    number = 0
    while f"/Band{number}" in drawings:
        number += 1
    drawings[f"/Band{number}"] = form
    resources["/XObject"] = drawings
    page.obj.Resources = resources
    return f"/Band{number}"


def _numbers(*values: float) -> str:
    return " ".join(f"{value:.4f}".rstrip("0").rstrip(".") or "0" for value in values)


@lru_cache(maxsize=1)
def font() -> TTFont:
    """Return the embedded font, registered. Letters are Bitstream Vera's, shipped by reportlab."""
    # Imported here: the module opens configuration files of its own when it loads.
    from reportlab.pdfbase import pdfmetrics

    vera = TTFont(FONT, "Vera.ttf")
    pdfmetrics.registerFont(vera)
    return vera
