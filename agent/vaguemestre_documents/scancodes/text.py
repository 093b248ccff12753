r"""The text of a scanned code: its AIM identifier, its framing, and the many ways in which scanners write GS.

Owns what a device adds to a code or replaces in it; knows no grammar. Source: AIM symbology identifiers; keyboard
scanners as sold, which type GS as ``<GS>``, ``\x1d``, ``{GS}``, ``^]`` or its picture U+241D.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from vaguemestre_core.scans import is_symbology

GS: Final = "\x1d"

_SPELLINGS: Final = re.compile(r"<GS>|\{GS\}|\\x1d|\^\]|␝", re.IGNORECASE)
_FRAMING: Final = "\r\n"


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Received:
    """A code without what the device added: its bytes, and its AIM identifier when one was told or written."""

    content: bytes
    symbology: str | None

    @property
    def text(self) -> str:
        """The content as text, without the line ends around it; bytes that are no UTF-8 are Latin-1."""
        try:
            text = self.content.decode("utf-8")
        except UnicodeDecodeError:
            text = self.content.decode("latin-1")
        return text.strip(_FRAMING)


def received(content: bytes, *, symbology: str | None) -> Received:
    """Take the AIM identifier off the front when the reader did not give it apart. The rest is unchanged."""
    start = content.lstrip(b"\r\n")
    written = start[:3].decode("latin-1")
    if symbology is None and is_symbology(written):
        return Received(content=start[3:], symbology=written)
    if symbology is not None and written == symbology:
        return Received(content=start[3:], symbology=symbology)
    return Received(content=content, symbology=symbology)


def with_separators(text: str) -> str:
    """Return the text with GS where a scanner spelled it; a text that already has one is left as it is."""
    return text if GS in text else _SPELLINGS.sub(GS, text)
