"""Names of files in the drop folder: which are taken, which are ours, which are refused without being opened.

Names may hold anything, patients' names too: they are never logged. The rules are those of Windows on every system, so
that a folder behaves the same wherever it lives.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from enum import StrEnum, unique
from typing import Final

REQUEST: Final = ".json"
BODIES: Final[Mapping[str, str]] = {
    ".pdf": "application/pdf",
    ".xml": "text/xml",
    ".rtf": "text/rtf",
    ".txt": "text/plain",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".tif": "image/tiff",
    ".tiff": "image/tiff",
}
LONGEST_STEM: Final = 120
_STEM: Final = re.compile(r'[^\x00-\x1f\x7f<>:"/\\|?*. ~][^\x00-\x1f\x7f<>:"/\\|?*]*')
_DEVICES: Final = re.compile(r"(con|prn|aux|nul|conin\$|conout\$|com[0-9¹²³]|lpt[0-9¹²³])", re.IGNORECASE)


@unique
class Reply(StrEnum):
    """Files that the agent writes beside the request."""

    ANSWER = "answer"
    RECEIPT = "receipt"
    OUTCOME = "outcome"


def is_ours(name: str) -> bool:
    """Say whether a file of the folder is one that the agent wrote."""
    return name.lower().endswith(tuple(f".{reply}{REQUEST}" for reply in Reply))


def split(name: str) -> tuple[str, str]:
    """Return stem and lower-case extension with its dot; the extension is empty when there is none."""
    stem, dot, extension = name.rpartition(".")
    return (stem, f".{extension.lower()}") if dot else (name, "")


def concerns_us(name: str) -> bool:
    """Say whether a file looks like a request or a body that was finished; others are left alone."""
    return not is_ours(name) and split(name)[1] in {REQUEST, *BODIES}


def is_good_stem(stem: str) -> bool:
    """Say whether a stem is a plain name on every system."""
    if not 1 <= len(stem) <= LONGEST_STEM or _STEM.fullmatch(stem) is None or stem[-1] in ". ":
        return False
    if _DEVICES.fullmatch(stem.partition(".")[0].rstrip(" ")) is not None:
        return False
    try:
        encoded = stem.encode()
    except UnicodeEncodeError:
        return False  # not a text on this system
    return len(encoded) <= 200


def stand_in(name: str) -> str:
    """Return a plain stem for a name that is refused: the same one for the same name."""
    return f"refus-{hashlib.sha256(name.encode(errors='surrogatepass')).hexdigest()[:16]}"
