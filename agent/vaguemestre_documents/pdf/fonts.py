"""Rules of PDF/A-1 about fonts: embedded, complete, described.

Owns clause 6.3 as far as dictionaries show it; never opens a font program (widths and glyphs are not compared).
Source: ISO 19005-1 6.3, ISO 32000-1 9.6 to 9.9.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from vaguemestre_documents.pdf.faults import Fault
from vaguemestre_documents.pdf.values import Name, Snapshot, Stream, Value

_SUBSET: Final = re.compile(r"[A-Z]{6}\+")
_PROGRAMS: Final[Mapping[str, tuple[str, ...]]] = {
    "Type1": ("FontFile", "FontFile3"),
    "MMType1": ("FontFile", "FontFile3"),
    "TrueType": ("FontFile2",),
    "CIDFontType0": ("FontFile3",),
    "CIDFontType2": ("FontFile2",),
}
_COMPACT: Final = frozenset({"Type1C", "CIDFontType0C"})
_SYMBOLIC: Final = 4
_LATIN: Final = frozenset({"MacRomanEncoding", "WinAnsiEncoding"})
_IDENTITIES: Final = frozenset({"Identity-H", "Identity-V"})


def font_faults(snapshot: Snapshot, font: Mapping[str, Value]) -> frozenset[Fault]:
    """Return the faults of one font dictionary (of a composite font: its descendants are fonts of their own)."""
    kind = font.get("Subtype")
    if kind == "Type0":
        encoding = snapshot.resolve(font.get("Encoding"))
        is_good = encoding in _IDENTITIES if isinstance(encoding, Name) else isinstance(encoding, Stream)
        return frozenset() if is_good else frozenset({Fault.FONT})
    if kind == "Type3":
        return frozenset()
    names = _PROGRAMS.get(str(kind))
    if names is None:
        return frozenset({Fault.FONT})
    descriptor = snapshot.entries(font.get("FontDescriptor"))
    programs = [snapshot.resolve(descriptor[name]) for name in names if name in descriptor]
    if not any(isinstance(program, Stream) and program.raw for program in programs):
        return frozenset({Fault.FONT_NOT_EMBEDDED})
    is_complete = _is_described(snapshot, str(kind), font, descriptor) and all(
        name != "FontFile3" or snapshot.get(descriptor, name, "Subtype") in _COMPACT
        for name in names
        if name in descriptor
    )
    return frozenset() if is_complete else frozenset({Fault.FONT})


def _is_described(snapshot: Snapshot, kind: str, font: Mapping[str, Value], descriptor: Mapping[str, Value]) -> bool:
    is_subset = _SUBSET.match(str(font.get("BaseFont", ""))) is not None
    if kind.startswith("CIDFont"):
        if kind == "CIDFontType2":
            table = snapshot.resolve(font.get("CIDToGIDMap"))
            if table != "Identity" and not isinstance(table, Stream):
                return False
        return not is_subset or isinstance(snapshot.get(descriptor, "CIDSet"), Stream)
    first, last = snapshot.get(font, "FirstChar"), snapshot.get(font, "LastChar")
    widths = snapshot.items(font.get("Widths"))
    if not isinstance(first, int) or not isinstance(last, int) or len(widths) != last - first + 1:
        return False
    if kind != "TrueType":
        return not is_subset or bool(snapshot.get(descriptor, "CharSet"))
    flags = snapshot.get(descriptor, "Flags")
    encoding = snapshot.resolve(font.get("Encoding"))
    if isinstance(flags, int) and flags & _SYMBOLIC:
        return encoding is None
    if isinstance(encoding, Mapping):
        return encoding.get("BaseEncoding") in _LATIN and "Differences" not in encoding
    return encoding in _LATIN
