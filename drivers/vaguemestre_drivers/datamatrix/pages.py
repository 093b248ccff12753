"""Pages of a PDF → grey pictures of bounded size, drawn by PDFium in bounded time, or a code.

Owns the drawing. PDFium is not thread safe: one lock. A page is drawn progressively and given up at the deadline; what
PDFium does between two of its own stops cannot be interrupted, which is one of the reasons for a process apart.
Never runs what a document carries (no JavaScript, no forms: they are not loaded), never follows a link.
"""

from __future__ import annotations

import ctypes
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from vaguemestre_core.errors import InvalidInput
from vaguemestre_drivers.datamatrix.images import LEAST_SIDE
from vaguemestre_drivers.datamatrix.native import numpy, pdfium

if TYPE_CHECKING:
    from types import ModuleType

    from vaguemestre_drivers.datamatrix.native import Grey

_POINTS_AN_INCH: Final = 72.0
_WHITE: Final = 0xFFFFFFFF
_PDF: Final = b"%PDF-"
_HEADER_WITHIN: Final = 1024
_PDFIUM: Final = threading.Lock()


@dataclass(frozen=True, slots=True, kw_only=True)
class PageLimits:
    """What is accepted, and how pages are drawn.

    Attributes:
        max_bytes: of the file.
        max_pages: pages after the first this many are not looked at; the INS code is on the first one.
        dpi: resolution, lowered for a page that would have more than max_pixels.
        max_pixels: of a drawn page.
    """

    max_bytes: int = 32 * 1024 * 1024
    max_pages: int = 4
    dpi: float = 300.0
    max_pixels: int = 12_000_000


LIMITS: Final = PageLimits()


def is_pdf(data: bytes) -> bool:
    """Return whether the bytes begin like a PDF; its readers allow something before the header."""
    return _PDF in data[:_HEADER_WITHIN]


class PdfPages:
    """The first pages of a document, drawn one at a time.

    Use as a context: the document is closed at its end, whatever happened.
    """

    def __init__(self, library: ModuleType, document: int, limits: PageLimits, clock: Callable[[], float]) -> None:
        self._pdfium = library
        self._document = document
        self._limits = limits
        self._clock = clock
        with _PDFIUM:
            self.count: int = min(limits.max_pages, max(0, library.FPDF_GetPageCount(document)))

    def page(self, index: int, *, budget_s: float) -> Grey:
        """Draw a page.

        Args:
            index: from 0.
            budget_s: seconds after which the drawing is given up.

        Raises:
            InvalidInput: ``PDF_PAGE_UNREADABLE`` (no such page, or PDFium cannot draw it), ``PICTURE_TOO_SLOW``.
        """
        until = self._clock() + budget_s
        with _PDFIUM:
            page = self._pdfium.FPDF_LoadPage(self._document, index) if 0 <= index < self.count else None
            if not page:
                raise InvalidInput("PDF_PAGE_UNREADABLE")
            try:
                return self._drawn(page, until)
            finally:
                self._pdfium.FPDF_ClosePage(page)

    def _drawn(self, page: int, until: float) -> Grey:
        lib = self._pdfium
        width, height = self._size(lib.FPDF_GetPageWidthF(page), lib.FPDF_GetPageHeightF(page))
        pixels: Grey = numpy().full((height, width), 255, numpy().uint8)
        bitmap = lib.FPDFBitmap_CreateEx(width, height, lib.FPDFBitmap_Gray, pixels.ctypes.data, width)
        if not bitmap:
            raise InvalidInput("PDF_PAGE_UNREADABLE")
        pause = lib.IFSDK_PAUSE(version=1)
        pause.NeedToPauseNow = type(pause.NeedToPauseNow)(lambda _: int(self._clock() >= until))
        try:
            lib.FPDFBitmap_FillRect(bitmap, 0, 0, width, height, _WHITE)
            flags = lib.FPDF_ANNOT | lib.FPDF_GRAYSCALE
            status = lib.FPDF_RenderPageBitmap_Start(bitmap, page, 0, 0, width, height, 0, flags, ctypes.byref(pause))
            lib.FPDF_RenderPage_Close(page)
        finally:
            lib.FPDFBitmap_Destroy(bitmap)
        if status == lib.FPDF_RENDER_TOBECONTINUED:
            raise InvalidInput("PICTURE_TOO_SLOW")
        if status != lib.FPDF_RENDER_DONE:
            raise InvalidInput("PDF_PAGE_UNREADABLE")
        return pixels

    def _size(self, width_points: float, height_points: float) -> tuple[int, int]:
        """Return the pixels of a page; a page of nothing, or of no number, cannot be drawn."""
        if not (0 < width_points < 1e7 and 0 < height_points < 1e7):
            raise InvalidInput("PDF_PAGE_UNREADABLE")
        scale = self._limits.dpi / _POINTS_AN_INCH
        most = (self._limits.max_pixels / (width_points * height_points)) ** 0.5
        scale = min(scale, most)
        width, height = int(width_points * scale), int(height_points * scale)
        if min(width, height) < LEAST_SIDE:
            raise InvalidInput("PDF_PAGE_UNREADABLE")
        return width, height


@contextmanager
def opened(
    data: bytes, limits: PageLimits = LIMITS, *, clock: Callable[[], float] = time.perf_counter
) -> Iterator[PdfPages]:
    """Open a document.

    Raises:
        InvalidInput: ``PICTURE_TOO_LARGE``, ``PDF_LOCKED`` (a password), ``PDF_UNREADABLE``.
        DecoderMissing: DECODER_MISSING.
    """
    if len(data) > limits.max_bytes:
        raise InvalidInput("PICTURE_TOO_LARGE", limit=limits.max_bytes, unit="octets")
    lib = pdfium()
    kept = ctypes.create_string_buffer(data, len(data))  # PDFium reads it as long as the document is open
    with _PDFIUM:
        document = lib.FPDF_LoadMemDocument64(kept, len(data), None)
        failure = 0 if document else lib.FPDF_GetLastError()
    if not document:
        raise InvalidInput("PDF_LOCKED" if failure == lib.FPDF_ERR_PASSWORD else "PDF_UNREADABLE")
    try:
        yield PdfPages(lib, document, limits, clock)
    finally:
        with _PDFIUM:
            lib.FPDF_CloseDocument(document)
        del kept
