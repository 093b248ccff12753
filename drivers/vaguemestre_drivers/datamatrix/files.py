"""A file that somebody gives, image or PDF → its symbols, page by page, within one budget.

Owns which door a file takes and how the budget is shared; the readers process calls ``read_file`` for ``/v1/scans``.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from vaguemestre_core.errors import InvalidInput
from vaguemestre_core.scans import MAX_CODE_BYTES, ScanSource
from vaguemestre_drivers.datamatrix import images, pages
from vaguemestre_drivers.datamatrix.plan import Wish
from vaguemestre_drivers.datamatrix.port import SymbolDecoder
from vaguemestre_drivers.datamatrix.symbols import FoundSymbol

FILE_BUDGET_S: Final = 4.0
_PAGE_LEAST_S: Final = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundInFile:
    """A symbol, and the page on which it is (from 0; an image has one page)."""

    page: int
    symbol: FoundSymbol
    source: ScanSource


@dataclass(frozen=True, slots=True, kw_only=True)
class FileReading:
    """What a file gave.

    Attributes:
        found: symbols, by page.
        pages_read: how many pages were looked at.
        pages_left: pages of the document, within the limit, for which no time was left.
    """

    found: tuple[FoundInFile, ...]
    pages_read: int
    pages_left: int


class FileReader:
    """Reads the symbols of files.

    Args:
        decoder: the port.
        clock: monotonic seconds.
    """

    def __init__(self, decoder: SymbolDecoder, *, clock: Callable[[], float] = time.perf_counter) -> None:
        self._decoder = decoder
        self._clock = clock

    def read_file(
        self, data: bytes, *, page: int | None = None, budget_s: float = FILE_BUDGET_S, wish: Wish = Wish.ALL
    ) -> FileReading:
        """Return the symbols of an image, or of the first pages of a PDF.

        Args:
            data: the file.
            page: the only page to look at, from 0; None: the first pages, and none after the first with a symbol
                when the wish is ``FIRST``.
            budget_s: seconds for everything; one pass more at most.
            wish: see ``Wish``.

        Raises:
            InvalidInput: ``PICTURE_TOO_LARGE``, ``PICTURE_UNSUPPORTED``, ``PICTURE_UNREADABLE``,
                ``PICTURE_TOO_SLOW``, ``PDF_UNREADABLE``, ``PDF_PAGE_UNREADABLE``, ``PDF_LOCKED``.
            DecoderMissing: DECODER_MISSING.
        """
        until = self._clock() + budget_s
        if pages.is_pdf(data):
            found, read, left = self._document(data, page, until, wish)
        else:
            if page not in (None, 0):
                raise InvalidInput("PDF_PAGE_UNREADABLE")
            image = images.grey_image(data)
            decoding = self._decoder.decode(image, budget_s=until - self._clock(), wish=wish)
            found, read, left = _at(0, decoding.symbols, ScanSource.IMAGE), 1, 0
        return FileReading(found=found, pages_read=read, pages_left=left)

    def _document(
        self, data: bytes, page: int | None, until: float, wish: Wish
    ) -> tuple[tuple[FoundInFile, ...], int, int]:
        found: tuple[FoundInFile, ...] = ()
        read = 0
        with pages.opened(data, clock=self._clock) as document:
            if not document.count:
                raise InvalidInput("PDF_UNREADABLE")
            wanted = range(document.count) if page is None else [page]
            for place, index in enumerate(wanted):
                left_s = until - self._clock()
                if place and (left_s < _PAGE_LEAST_S or (found and wish is Wish.FIRST)):
                    break
                image = document.page(index, budget_s=left_s)
                share = max(0.0, until - self._clock()) / (len(wanted) - place)
                decoding = self._decoder.decode(image, budget_s=share, wish=wish)
                found += _at(index, decoding.symbols, ScanSource.PDF)
                read += 1
        return found, read, len(wanted) - read


def _at(page: int, symbols: tuple[FoundSymbol, ...], source: ScanSource) -> tuple[FoundInFile, ...]:
    return tuple(
        FoundInFile(page=page, symbol=symbol, source=source)
        for symbol in symbols
        if 0 < len(symbol.content.reveal()) <= MAX_CODE_BYTES
    )
