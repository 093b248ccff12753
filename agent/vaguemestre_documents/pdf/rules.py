"""The rules of PDF/A-1b, applied to the objects of a PDF.

Owns the walk over all objects and the rules that are not about fonts, metadata or the inside of a content.
Stricter than the standard where that is simpler (objects that nothing refers to are judged too): a fault too many leads
to a conversion, one too few to a wrong document. What it does not see is listed in docs/pdfa.md.
Source: ISO 19005-1:2005 with its corrigenda, ISO 32000-1.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from vaguemestre_documents.pdf import icc
from vaguemestre_documents.pdf.content import CMYK, DEVICE_SPACES, FORBIDDEN_FILTERS, RGB, Seen, scan
from vaguemestre_documents.pdf.decoding import decode, filters_of
from vaguemestre_documents.pdf.faults import Fault
from vaguemestre_documents.pdf.fonts import font_faults
from vaguemestre_documents.pdf.metadata import metadata_faults
from vaguemestre_documents.pdf.reading import read_pdf
from vaguemestre_documents.pdf.values import (
    MAX_INFLATED_BYTES,
    MAX_TOKENS,
    Name,
    PdfRefused,
    Ref,
    Snapshot,
    Stream,
    Value,
)

_HEADER: Final = re.compile(rb"%PDF-1\.[0-7](?:\r\n|\r|\n)%[\x80-\xff]{4}")
_JOINED_END: Final = re.compile(rb"[^\r\n]endstream")
_END: Final = re.compile(rb"%%EOF(?:\r\n|\r|\n)?\Z")
_ACTIONS: Final = frozenset(
    {
        "Launch",
        "Sound",
        "Movie",
        "ResetForm",
        "ImportData",
        "SetState",
        "NOP",
        "Hide",
        "Rendition",
        "Trans",
        "GoTo3DView",
    }
)
_MOVES: Final = frozenset({"NextPage", "PrevPage", "FirstPage", "LastPage"})
_ANNOTATIONS: Final = frozenset(
    [
        "Text",
        "Link",
        "FreeText",
        "Line",
        "Square",
        "Circle",
        "Highlight",
        "Underline",
        "Squiggly",
        "StrikeOut",
        "Stamp",
        "Ink",
        "Popup",
        "Widget",
        "PrinterMark",
        "TrapNet",
    ]
)
PRINT: Final = 4
HIDING: Final = 1 | 2 | 32  # invisible, hidden, no view
_SPACES_ON: Final[Mapping[str, int]] = {"Indexed": 1, "Separation": 2, "DeviceN": 2, "Pattern": 1}
_MAX_PROFILE_BYTES: Final = 16_000_000
_MAX_PAGES: Final = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Examination:
    """What was seen: the faults, the device colours used, the number of pages (0 when it could not be counted)."""

    faults: frozenset[Fault]
    spaces: frozenset[str] = frozenset()
    pages: int = 0
    snapshot: Snapshot | None = None


def examine(content: bytes) -> Examination:
    """Return what keeps a PDF from being PDF/A-1b; no faults: it follows all rules known here. Never raises."""
    try:
        snapshot = read_pdf(content)
        walk = _Walk(snapshot)
        walk.run()
    except PdfRefused as refused:
        return Examination(faults=frozenset({refused.fault}))
    except (MemoryError, RecursionError):
        return Examination(faults=frozenset({Fault.TOO_COMPLEX}))
    faults = walk.seen.faults | metadata_faults(snapshot)
    identifiers = snapshot.items(snapshot.trailer.get("ID"))
    is_whole = _HEADER.match(content) and _END.search(content) and len(identifiers) == 2 and snapshot.is_classic
    if not is_whole or "XRefStm" in snapshot.trailer or _JOINED_END.search(content):
        faults.add(Fault.STRUCTURE)
    if not _are_described(snapshot, walk.seen.spaces):
        faults.add(Fault.COLOUR)
    return Examination(
        faults=frozenset(faults), spaces=frozenset(walk.seen.spaces), pages=walk.pages, snapshot=snapshot
    )


def _are_described(snapshot: Snapshot, spaces: set[str]) -> bool:
    """Return whether the output intents are right and describe the device colours used."""
    profiles: set[Value] = set()
    described: set[int | None] = set()
    for intent in snapshot.items(snapshot.root().get("OutputIntents")):
        if snapshot.get(intent, "S") != "GTS_PDFA1":
            continue
        place = snapshot.entries(intent).get("DestOutputProfile")
        stream = snapshot.resolve(place)
        if not isinstance(stream, Stream) or not isinstance(snapshot.get(intent, "OutputConditionIdentifier"), bytes):
            return False
        count = icc.components(decode(snapshot, stream, _MAX_PROFILE_BYTES) or b"")
        if count is None or count != snapshot.get(stream, "N"):
            return False
        profiles.add(place if isinstance(place, Ref) else None)
        described.add(count)
    if len(profiles) > 1:
        return False
    return (
        (not spaces or bool(described))
        and (RGB not in spaces or 3 in described)
        and (CMYK not in spaces or 4 in described)
    )


class _Walk:
    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        self._inflatable = MAX_INFLATED_BYTES
        self.seen = Seen(tokens_left=MAX_TOKENS)
        self.pages = 0

    def run(self) -> None:
        """Judge every object, then the catalogue and the pages."""
        for value in self._snapshot.objects.values():
            self._visit(value)
        self._catalogue()
        self._page_tree()

    def _fault(self, fault: Fault, *, when: bool) -> None:
        if when:
            self.seen.faults.add(fault)

    def _visit(self, top: Value) -> None:
        """Judge an object and all that is directly in it; the reader has bounded the depth."""
        waiting: list[Value] = [top]
        while waiting:
            value = waiting.pop()
            if isinstance(value, Stream):
                self._stream(value)
                waiting.append(value.entries)
            elif isinstance(value, Mapping):
                self._dictionary(value)
                waiting.extend(value.values())
            elif isinstance(value, list):
                self._array(value)
                waiting.extend(value)
            else:
                self._fault(Fault.LIMIT, when=_is_beyond_limits(value))

    def _stream(self, stream: Stream) -> None:
        entries = stream.entries
        self._fault(Fault.FILTER, when=not FORBIDDEN_FILTERS.isdisjoint(filters_of(self._snapshot, stream)))
        self._fault(Fault.STRUCTURE, when=not {"F", "FFilter", "FDecodeParms"}.isdisjoint(entries))
        kind = entries.get("Subtype")
        if kind == "Image":
            is_other = not {"Alternates", "OPI"}.isdisjoint(entries) or entries.get("Interpolate") is True
            self._fault(Fault.CONTENT, when=is_other or self._snapshot.get(entries, "BitsPerComponent") == 16)
            self._fault(Fault.TRANSPARENCY, when=bool(self._snapshot.get(entries, "SMaskInData")))
        elif kind == "PS" or entries.get("Subtype2") == "PS":
            self._fault(Fault.CONTENT, when=True)
        elif kind == "Form" or "PatternType" in entries:
            self._fault(Fault.CONTENT, when=not {"PS", "OPI", "Ref"}.isdisjoint(entries))
            self._scan(stream)

    def _scan(self, *streams: Value) -> None:
        """Scan the streams of one content, which are read as one."""
        parts: list[bytes] = []
        for place in streams:
            stream = self._snapshot.resolve(place)
            if not isinstance(stream, Stream):
                self._fault(Fault.CONTENT, when=True)
                continue
            content = decode(self._snapshot, stream, self._inflatable)
            self._fault(Fault.CONTENT, when=content is None)
            self._inflatable -= len(content or b"")
            parts.append(content or b"")
        scan(b"\n".join(parts), self.seen)

    def _dictionary(self, entries: Mapping[str, Value]) -> None:
        get = self._snapshot.get
        self._fault(Fault.LIMIT, when=len(entries) > 4095 or any(len(key) > 127 for key in entries))
        self._action(entries)
        self._fault(Fault.EMBEDDED_FILE, when=bool(self._snapshot.entries(entries.get("EF"))))
        self._fault(Fault.TRANSPARENCY, when=get(entries, "Group", "S") == "Transparency")
        self._fault(Fault.TRANSPARENCY, when="SMask" in entries and get(entries, "SMask") not in (None, "None"))
        space = get(entries, "ColorSpace")
        if isinstance(space, Name) and space in DEVICE_SPACES:
            self.seen.spaces.add(DEVICE_SPACES[space])
        for key in ("Resources", "DR"):
            self._resources(self._snapshot.entries(entries.get(key)))
        if entries.get("Type") == "Font":
            self.seen.faults |= font_faults(self._snapshot, entries)
            for glyph in self._snapshot.entries(entries.get("CharProcs")).values():
                self._scan(glyph)

    def _action(self, entries: Mapping[str, Value]) -> None:
        kind = entries.get("S")
        is_action = entries.get("Type") == "Action" or ("Type" not in entries and "P" not in entries)
        if is_action and isinstance(kind, Name):
            self._fault(Fault.JAVASCRIPT, when=kind == "JavaScript")
            self._fault(Fault.ACTION, when=kind in _ACTIONS)
            self._fault(Fault.ACTION, when=kind == "Named" and self._snapshot.get(entries, "N") not in _MOVES)
        self._fault(Fault.JAVASCRIPT, when="JS" in entries)
        self._fault(Fault.ACTION, when=bool(self._snapshot.entries(entries.get("AA"))))

    def _resources(self, resources: Mapping[str, Value]) -> None:
        get = self._snapshot.get
        for space in self._snapshot.entries(resources.get("ColorSpace")).values():
            name = self._snapshot.resolve(space)
            if isinstance(name, Name) and name in DEVICE_SPACES:
                self.seen.spaces.add(DEVICE_SPACES[name])
        for state in self._snapshot.entries(resources.get("ExtGState")).values():
            self._fault(Fault.CONTENT, when=get(state, "TR") is not None)
            self._fault(Fault.CONTENT, when=get(state, "TR2") not in (None, "Default"))
            modes = self._snapshot.items(get(state, "BM"))
            is_see_through = get(state, "CA") not in (None, 1) or get(state, "ca") not in (None, 1)
            is_blended = any(mode not in ("Normal", "Compatible") for mode in modes)
            self._fault(Fault.TRANSPARENCY, when=is_see_through or is_blended)

    def _array(self, items: list[Value]) -> None:
        self._fault(Fault.LIMIT, when=len(items) > 8191)
        kind = items[0] if items else None
        if not isinstance(kind, Name):
            return
        if kind in _SPACES_ON and len(items) > _SPACES_ON[kind]:
            base = self._snapshot.resolve(items[_SPACES_ON[kind]])
            if isinstance(base, Name) and base in DEVICE_SPACES:
                self.seen.spaces.add(DEVICE_SPACES[base])
            self._fault(Fault.LIMIT, when=kind == "DeviceN" and len(self._snapshot.items(items[1])) > 8)
        elif kind == "ICCBased" and len(items) > 1:
            stream = self._snapshot.resolve(items[1])
            profile = decode(self._snapshot, stream, _MAX_PROFILE_BYTES) if isinstance(stream, Stream) else None
            count = icc.components(profile or b"")
            self._fault(Fault.COLOUR, when=count is None or count != self._snapshot.get(stream, "N"))

    def _catalogue(self) -> None:
        root, get = self._snapshot.root(), self._snapshot.get
        self._fault(Fault.OPTIONAL_CONTENT, when=get(root, "OCProperties") is not None)
        self._fault(Fault.EMBEDDED_FILE, when=get(root, "Names", "EmbeddedFiles") is not None)
        self._fault(Fault.JAVASCRIPT, when=get(root, "Names", "JavaScript") is not None)
        self._fault(Fault.DYNAMIC_FORM, when=get(root, "AcroForm", "XFA") is not None)
        self._fault(Fault.FORM, when=get(root, "AcroForm", "NeedAppearances") is True)

    def _page_tree(self) -> None:
        """Visit the pages in their order; a loop or a tree without a page is a damaged file."""
        waiting: list[Value] = [self._snapshot.root().get("Pages")]
        visited: set[int] = set()
        while waiting:
            place = waiting.pop()
            if isinstance(place, Ref):
                if place.number in visited:
                    raise PdfRefused(Fault.UNREADABLE)
                visited.add(place.number)
            node = self._snapshot.entries(place)
            if "Kids" in node:
                waiting.extend(reversed(self._snapshot.items(node["Kids"])))
            elif node.get("Type") == "Page":
                self.pages += 1
                self._page(node)
            else:
                raise PdfRefused(Fault.UNREADABLE)
        if not 0 < self.pages <= _MAX_PAGES:
            raise PdfRefused(Fault.UNREADABLE if not self.pages else Fault.TOO_COMPLEX)

    def _page(self, page: Mapping[str, Value]) -> None:
        self._scan(*self._snapshot.items(page.get("Contents")))
        for annotation in self._snapshot.items(page.get("Annots")):
            self._annotation(self._snapshot.entries(annotation))

    def _annotation(self, entries: Mapping[str, Value]) -> None:
        get = self._snapshot.get
        kind, flags = entries.get("Subtype"), get(entries, "F")
        appearance = self._snapshot.entries(entries.get("AP"))
        is_shown = isinstance(flags, int) and flags & PRINT and not flags & HIDING
        is_known = isinstance(kind, Name) and kind in _ANNOTATIONS
        is_plain = get(entries, "CA") in (None, 1) and not {"R", "D"} & set(appearance)
        self._fault(Fault.ANNOTATION, when=not (is_shown and is_known and is_plain))
        if "C" in entries or "IC" in entries:
            self.seen.spaces.add(RGB)
        if kind == "Widget":
            self._fault(Fault.FORM, when="N" not in appearance)
            self._fault(Fault.ACTION, when="A" in entries)


def _is_beyond_limits(value: Value) -> bool:
    """Return whether a simple value is beyond what PDF 1.4 readers must take (6.1.12)."""
    if isinstance(value, Name):
        return len(value) > 127
    if isinstance(value, bytes):
        return len(value) > 65535
    if isinstance(value, float):
        return abs(value) > 32767
    return isinstance(value, int) and abs(value) > 2_147_483_648
