"""Look at the bytes of a body before they enter a CDA: what they are said to be, and whole.

Owns signatures and ends of files only; never parses deeply, never repairs, never converts. PDF/A-1 is not proved
here, only its claim is read: ``pdf/rules.py`` proves it.
Source: ISO 32000-1 (header, trailer, Encrypt), ISO 19005-1 (pdfaid), ISO 10918-1 (SOI, EOI), TIFF 6.0, RTF 1.9.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from vaguemestre_core.errors import InvalidInput
from vaguemestre_documents.codes import MediaType

# 10 MB of body is 14 MB in base64.
DEFAULT_MAX_BODY_BYTES: Final = 10_000_000
# Readers accept a PDF header and its end marker within this many bytes of either end.
_PDF_MARGIN: Final = 1024
_PDF_ENCRYPT: Final = re.compile(rb"/Encrypt\s*(?:[0-9]+\s+[0-9]+\s+R|<<)")
_PDFA_PART: Final = re.compile(rb"pdfaid:part\s*(?:>|=\s*[\"'])\s*1")
_SIGNATURES: Final[tuple[tuple[bytes, MediaType], ...]] = (
    (b"%PDF-", MediaType.PDF),
    (b"\xff\xd8\xff", MediaType.JPEG),
    (b"II*\x00", MediaType.TIFF),
    (b"MM\x00*", MediaType.TIFF),
    (b"{\\rtf", MediaType.RTF),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class BodyReport:
    """What was seen. ``is_pdfa_claimed`` is None for what is no PDF."""

    is_pdfa_claimed: bool | None


def inspect_body(media_type: MediaType, content: bytes, *, max_bytes: int = DEFAULT_MAX_BODY_BYTES) -> BodyReport:
    """Return what a body looks like.

    Raises:
        InvalidInput: ``BODY_EMPTY``, ``BODY_TOO_LARGE``, ``BODY_MISMATCH`` (not what it is said to be),
            ``BODY_TRUNCATED``, ``BODY_ENCRYPTED``.
    """
    if not content.strip():
        raise InvalidInput("BODY_EMPTY")
    if len(content) > max_bytes:
        raise InvalidInput("BODY_TOO_LARGE", max_bytes=max_bytes)
    seen = _recognise(content)
    if seen is not media_type:
        raise InvalidInput("BODY_MISMATCH")
    if not _ENDS[media_type](content):
        raise InvalidInput("BODY_TRUNCATED")
    if media_type is not MediaType.PDF:
        return BodyReport(is_pdfa_claimed=None)
    if _PDF_ENCRYPT.search(content) is not None:
        raise InvalidInput("BODY_ENCRYPTED")
    return BodyReport(is_pdfa_claimed=_PDFA_PART.search(content) is not None)


def _recognise(content: bytes) -> MediaType | None:
    for signature, media_type in _SIGNATURES:
        if content.startswith(signature):
            return media_type
    if b"%PDF-" in content[:_PDF_MARGIN]:
        return MediaType.PDF
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        return None
    has_control = any(ord(char) < 32 and char not in "\t\n\r\f" for char in text)
    return None if has_control else MediaType.TEXT


def _pdf_ends(content: bytes) -> bool:
    end = content[-_PDF_MARGIN:]
    return b"%%EOF" in end and b"startxref" in content


def _jpeg_ends(content: bytes) -> bool:
    return content.rstrip(b"\x00\r\n").endswith(b"\xff\xd9")


def _tiff_ends(content: bytes) -> bool:
    directory = int.from_bytes(content[4:8], "little" if content.startswith(b"II") else "big")
    return len(content) >= 8 and 8 <= directory <= len(content) - 2


def _rtf_ends(content: bytes) -> bool:
    return content.rstrip(b"\x00\r\n\t ").endswith(b"}")


def _text_ends(content: bytes) -> bool:
    return bool(content)


_ENDS: Final[Mapping[MediaType, Callable[[bytes], bool]]] = {
    MediaType.PDF: _pdf_ends,
    MediaType.JPEG: _jpeg_ends,
    MediaType.TIFF: _tiff_ends,
    MediaType.RTF: _rtf_ends,
    MediaType.TEXT: _text_ends,
}
