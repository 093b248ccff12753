"""Read a PDF into plain values within bounds. The only reader of PDF files here; never repairs what it reads.

A damaged file is refused: a reader that repairs may lose a page without a word. Owns the limits on
objects, values and nesting. The memory of the parser itself is bounded by the worker process.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Final

import pikepdf

from vaguemestre_documents.pdf.faults import Fault
from vaguemestre_documents.pdf.values import (
    MAX_DEPTH,
    MAX_OBJECTS,
    MAX_VALUES,
    Name,
    PdfRefused,
    Ref,
    Snapshot,
    Stream,
    Value,
)

_LIBRARY_ERRORS: Final = (pikepdf.PdfError, ValueError, TypeError, RuntimeError, KeyError, IndexError, OverflowError)


@contextmanager
def open_pdf(content: bytes) -> Iterator[pikepdf.Pdf]:
    """Open a PDF.

    Raises:
        PdfRefused: BODY_ENCRYPTED, PDF_UNREADABLE, PDF_TOO_COMPLEX (also when memory runs out).
    """
    try:
        with pikepdf.open(io.BytesIO(content), attempt_recovery=False, inherit_page_attributes=False) as pdf:
            if pdf.is_encrypted:
                raise PdfRefused(Fault.ENCRYPTED)
            if len(pdf.objects) > MAX_OBJECTS:
                raise PdfRefused(Fault.TOO_COMPLEX)
            yield pdf
    except pikepdf.PasswordError:
        raise PdfRefused(Fault.ENCRYPTED) from None
    except (MemoryError, RecursionError):
        raise PdfRefused(Fault.TOO_COMPLEX) from None
    except _LIBRARY_ERRORS:
        raise PdfRefused(Fault.UNREADABLE) from None


def read_pdf(content: bytes) -> Snapshot:
    """Return all objects of a PDF. Raises PdfRefused."""
    with open_pdf(content) as pdf:
        taking = _Taking()
        objects: dict[int, Value] = {}
        is_classic = True
        listed: Iterable[object] = pdf.objects
        for item in listed:
            if not isinstance(item, pikepdf.Object):
                continue  # a number or null on its own: no rule looks at it
            value = taking.whole(item)
            objects[item.objgen[0]] = value
            kind = value.entries.get("Type") if isinstance(value, Stream) else None
            is_classic = is_classic and kind not in ("XRef", "ObjStm")
        trailer = taking.whole(pdf.trailer)
        if not isinstance(trailer, dict) or pdf.get_warnings():
            raise PdfRefused(Fault.UNREADABLE)
        # A cross-reference stream keeps its own keys in the trailer.
        is_classic = is_classic and "W" not in trailer
        return Snapshot(objects=objects, trailer=trailer, is_classic=is_classic)


class _Taking:
    def __init__(self) -> None:
        self._left = MAX_VALUES

    def whole(self, item: pikepdf.Object) -> Value:
        """Return an object with all that is directly in it; what is indirect stays a reference."""
        return self._take(item, 0, is_top=True)

    def _take(self, item: object, depth: int, *, is_top: bool = False) -> Value:
        self._left -= 1
        if self._left < 0 or depth > MAX_DEPTH:
            raise PdfRefused(Fault.TOO_COMPLEX)
        if item is None or isinstance(item, bool | int):
            return item
        if isinstance(item, Decimal | float):
            return float(item)
        if not isinstance(item, pikepdf.Object):
            raise PdfRefused(Fault.UNREADABLE)
        if not is_top and item.is_indirect:
            return Ref(item.objgen[0])
        match item._type_name:  # noqa: SLF001  # the library's own name of the kind; its classes cannot be asked cheaply
            case "name":
                return Name(str(item)[1:])
            case "string":
                return bytes(item)
            case "array":
                return [self._take(child, depth + 1) for child in item.as_list()]
            case "dictionary":
                return self._entries(item, depth)
            case "stream":
                return Stream(entries=self._entries(item, depth), raw=item.read_raw_bytes())
            case _:
                return None

    def _entries(self, item: pikepdf.Object, depth: int) -> dict[str, Value]:
        return {key[1:]: self._take(child, depth + 1) for key, child in item.items()}
