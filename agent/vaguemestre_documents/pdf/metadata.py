"""The two places where a PDF describes itself, its information dictionary and its XMP packet, and their agreement.

Owns what PDF/A-1 asks of both (6.7); writes a packet that says the same as the dictionary. Parses XML with entities,
DTD and network off. Source: ISO 19005-1 6.7 and table 1, XMP specification part 1.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping
from typing import Final
from xml.sax.saxutils import escape

from lxml import etree
from pikepdf import String

from vaguemestre_documents.pdf.faults import Fault
from vaguemestre_documents.pdf.values import Snapshot, Stream

_MAX_PACKET_BYTES: Final = 1_000_000
_RDF: Final = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
_DC: Final = "http://purl.org/dc/elements/1.1/"
_XMP: Final = "http://ns.adobe.com/xap/1.0/"
_PDF: Final = "http://ns.adobe.com/pdf/1.3/"
_PDFAID: Final = "http://www.aiim.org/pdfa/ns/id/"
_EXTENSION: Final = "http://www.aiim.org/pdfa/ns/"
# Schemas that need no description in the packet.
_KNOWN: Final = (
    _RDF,
    _DC,
    _XMP,
    _PDF,
    _EXTENSION,
    "http://ns.adobe.com/xap/1.0/",
    "http://ns.adobe.com/photoshop/1.0/",
    "http://ns.adobe.com/tiff/1.0/",
    "http://ns.adobe.com/exif/1.0/",
    "http://ns.adobe.com/xmp/",
    "adobe:ns:meta/",
    "http://www.w3.org/XML/1998/namespace",
)
_SEPARATE_PACKET_ATTRIBUTE: Final = re.compile(rb"<\?xpacket[^>]*\b(?:bytes|encoding)\s*=")
_PLACES: Final[Mapping[str, str]] = {
    "Title": f"{{{_DC}}}title",
    "Author": f"{{{_DC}}}creator",
    "Subject": f"{{{_DC}}}description",
    "Keywords": f"{{{_PDF}}}Keywords",
    "Creator": f"{{{_XMP}}}CreatorTool",
    "Producer": f"{{{_PDF}}}Producer",
    "CreationDate": f"{{{_XMP}}}CreateDate",
    "ModDate": f"{{{_XMP}}}ModifyDate",
}
DATES: Final = frozenset({"CreationDate", "ModDate"})
_DATE: Final = re.compile(
    r"D:(\d{4})(\d\d)?(\d\d)?(\d\d)?(\d\d)?(\d\d)?(?:(Z)|([+-])(\d\d)'?(\d\d)?)?(?:'|0'|00'?00'?)?\Z"
)
_NOT_XML: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_PACKET: Final = """<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description rdf:about="" xmlns:pdfaid="http://www.aiim.org/pdfa/ns/id/">\
<pdfaid:part>1</pdfaid:part><pdfaid:conformance>B</pdfaid:conformance></rdf:Description>
{properties}</rdf:RDF></x:xmpmeta>
<?xpacket end="w"?>"""
_PROPERTY: Final = '<rdf:Description rdf:about="" xmlns:{prefix}="{namespace}">{element}</rdf:Description>\n'
_ELEMENTS: Final[Mapping[str, tuple[str, str, str]]] = {
    "Title": ("dc", _DC, '<dc:title><rdf:Alt><rdf:li xml:lang="x-default">{}</rdf:li></rdf:Alt></dc:title>'),
    "Author": ("dc", _DC, "<dc:creator><rdf:Seq><rdf:li>{}</rdf:li></rdf:Seq></dc:creator>"),
    "Subject": (
        "dc",
        _DC,
        '<dc:description><rdf:Alt><rdf:li xml:lang="x-default">{}</rdf:li></rdf:Alt></dc:description>',
    ),
    "Keywords": ("pdf", _PDF, "<pdf:Keywords>{}</pdf:Keywords>"),
    "Creator": ("xmp", _XMP, "<xmp:CreatorTool>{}</xmp:CreatorTool>"),
    "Producer": ("pdf", _PDF, "<pdf:Producer>{}</pdf:Producer>"),
    "CreationDate": ("xmp", _XMP, "<xmp:CreateDate>{}</xmp:CreateDate>"),
    "ModDate": ("xmp", _XMP, "<xmp:ModifyDate>{}</xmp:ModifyDate>"),
}


def metadata_faults(snapshot: Snapshot) -> frozenset[Fault]:
    """Return what is wrong with the metadata of a PDF: METADATA, NOT_CLAIMED."""
    stream = snapshot.resolve(snapshot.root().get("Metadata"))
    if not isinstance(stream, Stream):
        return frozenset({Fault.METADATA, Fault.NOT_CLAIMED})
    faults: set[Fault] = set()
    if "Filter" in stream.entries or _SEPARATE_PACKET_ATTRIBUTE.search(stream.raw):
        faults.add(Fault.METADATA)
    properties = _read_packet(stream.raw)
    if properties is None:
        return frozenset({Fault.METADATA, Fault.NOT_CLAIMED})
    claim = (properties.get(f"{{{_PDFAID}}}part"), properties.get(f"{{{_PDFAID}}}conformance"))
    if claim not in (("1", "A"), ("1", "B")):
        faults.add(Fault.NOT_CLAIMED)
    has_extension = any(name.startswith(f"{{{_EXTENSION}}}extension") or "/extension/" in name for name in properties)
    if not has_extension and not all(name[1:].startswith(_KNOWN) for name in properties):
        faults.add(Fault.METADATA)
    for key, value in snapshot.entries(snapshot.trailer.get("Info")).items():
        text = snapshot.resolve(value)
        if key in _PLACES and isinstance(text, bytes):
            written, said = _comparable(key, decode_text(text)), properties.get(_PLACES[key])
            if said is None or written is None or written != _comparable_said(key, said):
                faults.add(Fault.METADATA)
    return frozenset(faults)


def described(snapshot: Snapshot) -> dict[str, str]:
    """Return the information dictionary as text, without what cannot be said twice (a date that is none)."""
    values: dict[str, str] = {}
    for key, value in snapshot.entries(snapshot.trailer.get("Info")).items():
        text = snapshot.resolve(value)
        if key not in _PLACES or not isinstance(text, bytes):
            continue
        clean = _NOT_XML.sub("", decode_text(text)).strip()
        if clean and (key not in DATES or parse_date(clean) is not None):
            values[key] = clean
    return values


def packet(values: Mapping[str, str]) -> bytes:
    """Return an XMP packet that claims PDF/A-1b and says what ``values`` (an information dictionary) says."""
    properties = ""
    for key, value in values.items():
        prefix, namespace, element = _ELEMENTS[key]
        said = value
        if key in DATES:
            date = parse_date(value)
            assert date is not None  # described() leaves the others out
            said = date.isoformat()
        properties += _PROPERTY.format(prefix=prefix, namespace=namespace, element=element.format(escape(said)))
    return _PACKET.format(properties=properties).encode()


def pdf_date(value: str) -> str:
    """Return a date of ``described`` in full: the precision that its XMP form has."""
    date = parse_date(value)
    assert date is not None
    offset = date.strftime("%z")
    return f"D:{date:%Y%m%d%H%M%S}{offset[:3]}'{offset[3:5]}'"


def parse_date(text: str) -> dt.datetime | None:
    """Return the instant of a PDF date, UTC when it names no offset; None for what is no date."""
    found = _DATE.match(text)
    if found is None:
        return None
    year, month, day, hour, minute, second = (int(item) if item else None for item in found.groups()[:6])
    zone: dt.tzinfo = dt.UTC
    try:
        if found[8] is not None:
            offset = dt.timedelta(hours=int(found[9]), minutes=int(found[10] or 0))
            zone = dt.timezone(offset if found[8] == "+" else -offset)
        return dt.datetime(year or 1, month or 1, day or 1, hour or 0, minute or 0, second or 0, tzinfo=zone)
    except ValueError:
        return None


def decode_text(value: bytes) -> str:
    """Return a text string of a PDF."""
    if value.startswith(b"\xfe\xff"):
        return value[2:].decode("utf-16-be", errors="replace")
    return str(String(value))


def _read_packet(raw: bytes) -> dict[str, str] | None:
    if len(raw) > _MAX_PACKET_BYTES:
        return None
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
    try:
        root = etree.fromstring(raw.strip(b"\x00\r\n\t "), parser)
    except (etree.XMLSyntaxError, ValueError):
        return None
    if root.getroottree().docinfo.internalDTD is not None:
        return None
    properties: dict[str, str] = {}
    for description in root.iter(f"{{{_RDF}}}Description"):
        for name, value in description.attrib.items():
            if not str(name).startswith(f"{{{_RDF}}}"):
                properties.setdefault(str(name), str(value))
        for child in description:
            if isinstance(child.tag, str):
                items = child.findall(f".//{{{_RDF}}}li")
                text = (items[0].text if items else child.text) or ""
                properties.setdefault(child.tag, text.strip())
    return properties


def _comparable(key: str, text: str) -> str | None:
    if key not in DATES:
        return text.strip("\x00 ")
    date = parse_date(text)
    return None if date is None else date.astimezone(dt.UTC).isoformat()


def _comparable_said(key: str, text: str) -> str | None:
    if key not in DATES:
        return text.strip("\x00 ")
    try:
        date = dt.datetime.fromisoformat(text)
    except ValueError:
        return None
    return date.replace(tzinfo=date.tzinfo or dt.UTC).astimezone(dt.UTC).isoformat()
