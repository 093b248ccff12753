"""Scan the content of a page: which colours it uses, which operators PDF 1.4 has not.

Owns a tokenizer bounded in tokens; interprets nothing, draws nothing. Source: ISO 32000-1, 7.8 and annex A.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

from vaguemestre_documents.pdf.decoding import ABBREVIATIONS
from vaguemestre_documents.pdf.faults import Fault
from vaguemestre_documents.pdf.values import PdfRefused

GRAY: Final = "DeviceGray"
RGB: Final = "DeviceRGB"
CMYK: Final = "DeviceCMYK"
DEVICE_SPACES: Final = {"DeviceGray": GRAY, "G": GRAY, "DeviceRGB": RGB, "RGB": RGB, "DeviceCMYK": CMYK, "CMYK": CMYK}
FORBIDDEN_FILTERS: Final = frozenset({"LZWDecode", "JPXDecode", "Crypt"})
INTENTS: Final = frozenset({"AbsoluteColorimetric", "RelativeColorimetric", "Saturation", "Perceptual"})

_SPACE: Final = rb"\x00\t\n\x0c\r "
_REGULAR: Final = rb"[^" + _SPACE + rb"()<>\[\]{}/%]"
_TOKEN: Final = re.compile(
    rb"[" + _SPACE + rb"]*+(?:%[^\r\n]*+[" + _SPACE + rb"]*+)*+"
    rb"(?:(?P<paren>\()|<<|>>|<[^>]*>|[\[\]{}]|/(?P<name>" + _REGULAR + rb"*)|(?P<word>" + _REGULAR + rb"+))"
)
_IN_STRING: Final = re.compile(rb"[^()\\]*([()]|\\.|\\\Z)", re.DOTALL)
_INLINE_END: Final = re.compile(rb"[\x00\t\n\x0c\r ]EI(?=[\x00\t\n\x0c\r /\[(<%]|\Z)")
_NUMBER: Final = re.compile(rb"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:-[0-9]*)?\Z")
_COLOURS: Final = {b"g": GRAY, b"G": GRAY, b"rg": RGB, b"RG": RGB, b"k": CMYK, b"K": CMYK}
_PAINTING: Final = frozenset(b"f F f* B B* b b* S s Tj TJ ' \"".split())
_OPERATORS: Final = frozenset(
    b"b B b* B* BDC BMC BT BX c cm CS cs d d0 d1 Do DP EMC ET EX f F f* G g gs h i j J K k l m M MP n q Q re RG rg ri"
    b" s S SC sc SCN scn sh T* Tc Td TD Tf Tj TJ TL Tm Tr Ts Tw Tz v w W W* y ' \" true false null".split()
)
_MAX_SAVES: Final = 28


@dataclass(slots=True)
class Seen:
    """What contents use; grows from one content to the next. ``tokens_left`` bounds them all together."""

    tokens_left: int
    spaces: set[str] = field(default_factory=set)
    faults: set[Fault] = field(default_factory=set)

    def count(self) -> None:
        """Count one token. Raises PdfRefused (PDF_TOO_COMPLEX) after the last one allowed."""
        self.tokens_left -= 1
        if self.tokens_left < 0:
            raise PdfRefused(Fault.TOO_COMPLEX)


def scan(content: bytes, seen: Seen) -> None:
    """Add what a content uses. Raises PdfRefused (PDF_TOO_COMPLEX) when it has too many tokens."""
    operators = _Operators(seen)
    position = 0
    while (token := _TOKEN.match(content, position)) is not None:
        seen.count()
        position = token.end()
        if token["name"] is not None:
            operators.last_name = token["name"].decode("latin-1")
        elif token["paren"] is not None:
            position = _after_string(content, position, seen)
        elif token["word"] == b"BI":
            position = _after_inline_image(content, position, seen)
        elif token["word"] is not None:
            operators.take(token["word"])
    if not _is_blank(content, position):
        seen.faults.add(Fault.CONTENT)
    operators.end()


def _is_blank(content: bytes, position: int) -> bool:
    rest = content[position:].lstrip(b"\x00\t\n\x0c\r ")
    return not rest or rest.startswith(b"%")


class _Operators:
    """The operators of one content, in order."""

    def __init__(self, seen: Seen) -> None:
        self._seen = seen
        self._depth = 0
        self._paints = False
        self._sets_space = False
        self.last_name = ""

    def take(self, word: bytes) -> None:
        """Judge an operator or a number."""
        if word in _COLOURS:
            self._seen.spaces.add(_COLOURS[word])
            self._sets_space = True
        elif word in (b"cs", b"CS"):
            self._sets_space = True
            if self.last_name in DEVICE_SPACES:
                self._seen.spaces.add(DEVICE_SPACES[self.last_name])
        elif word in (b"q", b"Q"):
            self._depth += 1 if word == b"q" else -1
            if self._depth > _MAX_SAVES:
                self._seen.faults.add(Fault.LIMIT)
        elif word in _PAINTING:
            self._paints = True
        elif not (word in _OPERATORS or _NUMBER.match(word)) or (word == b"ri" and self.last_name not in INTENTS):
            self._seen.faults.add(Fault.CONTENT)

    def end(self) -> None:
        """Judge the whole."""
        if self._paints and not self._sets_space:
            self._seen.spaces.add(GRAY)  # the colour that a page starts with


def _after_string(content: bytes, position: int, seen: Seen) -> int:
    depth = 1
    while depth and (found := _IN_STRING.match(content, position)) is not None:
        position = found.end()
        depth += {b"(": 1, b")": -1}.get(found[1], 0)
        seen.count()
    if depth:
        seen.faults.add(Fault.CONTENT)
        return len(content)
    return position


def _after_inline_image(content: bytes, position: int, seen: Seen) -> int:
    """Read the keys of an inline image, skip its data, return where the page goes on."""
    key = ""
    while (token := _TOKEN.match(content, position)) is not None:
        position = token.end()
        seen.count()
        if token["word"] == b"ID":
            end = _INLINE_END.search(content, position)
            if end is None:
                break
            return end.end()
        if token["name"] is not None:
            name = token["name"].decode("latin-1")
            if ABBREVIATIONS.get(name, name) in FORBIDDEN_FILTERS:
                seen.faults.add(Fault.FILTER)
            if key in ("CS", "ColorSpace") and name in DEVICE_SPACES:
                seen.spaces.add(DEVICE_SPACES[name])
            key = name
        elif token["word"] == b"true" and key in ("I", "Interpolate"):
            seen.faults.add(Fault.CONTENT)
    seen.faults.add(Fault.CONTENT)
    return len(content)
