"""What a practice decides about PDF that are not PDF/A-1.

Owns the values of the setting ``preparation.pdfa`` and the bounds of the converter.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum, unique


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
