"""What a practice decides about PDF: those that are not PDF/A-1, and what is written below the last page.

Owns the values of the settings ``preparation.pdfa`` and ``footer``, and the bounds of the converter.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum, unique
from typing import Final

from vaguemestre_core.errors import InvalidInput

MENTION_MAX_CHARS: Final = 2_000


@unique
class PdfaMode(StrEnum):
    """What is done with a PDF."""

    ACCEPT = "accept"  # it leaves as it is; one that does not even claim PDF/A-1 gives a warning
    REQUIRE = "require"  # one that is not PDF/A-1 is refused with its faults
    CONVERT = "convert"  # one that is not PDF/A-1 is converted, or refused when it cannot be


@dataclass(frozen=True, slots=True, kw_only=True)
class PdfPolicy:
    """The mode and the converter.

    Attributes:
        mode: what is done.
        ghostscript: path of the Ghostscript program; empty: none on this machine.
        ghostscript_s: longest time for one conversion, seconds.
        scratch: private folder for Ghostscript's own temporary files; empty: the system's.
    """

    mode: PdfaMode = PdfaMode.ACCEPT
    ghostscript: str = ""
    ghostscript_s: float = 30.0
    scratch: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FooterPolicy:
    """What is written below the last page of a PDF; by default nothing.

    Attributes:
        mention: the practice's information on personal data (DOC/va1.05), one paragraph; empty: none.
        types: type codes of the documents concerned, separated by spaces; empty: all.
        recipients: name the recipients (DOC/va1.09).
        ins: write the matricule INS of a qualified identity (DOC/va1.10).
    """

    mention: str = ""
    types: str = ""
    recipients: bool = False
    ins: bool = False

    def __post_init__(self) -> None:
        if len(self.mention) > MENTION_MAX_CHARS:
            raise InvalidInput("MENTION_TOO_LONG", max_chars=MENTION_MAX_CHARS)

    def concerns(self, type_code: str) -> bool:
        """Say whether documents of this type get a footer."""
        wanted = self.types.split()
        return (bool(self.mention.strip()) or self.recipients or self.ins) and (not wanted or type_code in wanted)
