#!/usr/bin/env python3
"""Writes small PDF files byte by byte: text pages in Helvetica, or one image a page as PDF/A-1b.

Owns the PDF syntax only, for make_documents.py. Nothing is compressed by a library, so the same input gives the same
bytes everywhere. Source: ISO 32000-1 (syntax, font widths), ISO 19005-1 (PDF/A-1b), ICC.1:2001-04 (grey profile).
"""

from __future__ import annotations

import hashlib
import struct
import unicodedata
from dataclasses import dataclass
from xml.sax.saxutils import escape

A4_PT = (595.0, 842.0)
# Advance widths of Helvetica for the characters 32 to 126, in thousandths of the size.
_WIDTHS = (
    "278 278 355 556 556 889 667 191 333 333 389 584 278 333 278 278 556 556 556 556 556 556 556 556 556 556 278 278 "
    "584 584 584 556 1015 667 667 722 722 667 611 778 722 278 500 667 556 833 722 778 667 778 722 667 611 722 667 944 "
    "667 667 611 278 278 278 469 556 333 556 556 500 556 556 278 556 556 222 222 500 222 833 556 556 556 556 333 500 "
    "278 556 500 722 500 500 500 334 260 334 584"
)
HELVETICA = {chr(32 + index): int(width) for index, width in enumerate(_WIDTHS.split())}


def text_width_pt(text: str, size_pt: float) -> float:
    """Return the width of a line; an accented letter is as wide as its base."""
    bases = (unicodedata.normalize("NFD", character)[0] for character in text)
    return sum(HELVETICA.get(base, 556) for base in bases) * size_pt / 1000


def wrap(text: str, size_pt: float, width_pt: float) -> list[str]:
    """Break a paragraph into lines that fit."""
    lines: list[str] = [""]
    for word in text.split():
        candidate = f"{lines[-1]} {word}".strip()
        if text_width_pt(candidate, size_pt) <= width_pt:
            lines[-1] = candidate
        else:
            lines.append(word)
    return lines


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line of text on a page: left end of its baseline in points from the lower left corner."""

    x_pt: float
    y_pt: float
    text: str
    size_pt: float = 10.5
    bold: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A thin horizontal line."""

    x_pt: float
    y_pt: float
    width_pt: float


@dataclass(frozen=True, slots=True, kw_only=True)
class GreyImage:
    """A page image.

    Attributes:
        data: the encoded samples.
        encoding: PDF filter name: ``DCTDecode`` (JPEG) or ``RunLengthDecode``.
        bits: bits a sample, 8 or 1 (a bit set is black).
    """

    width_px: int
    height_px: int
    data: bytes
    encoding: str
    bits: int


def run_lengths(data: bytes) -> bytes:
    """Encode as RunLengthDecode reads (ISO 32000-1, 7.4.5)."""
    encoded = bytearray()
    position = 0
    while position < len(data):
        run = 1
        while run < 128 and position + run < len(data) and data[position + run] == data[position]:
            run += 1
        if run > 1:
            encoded += bytes((257 - run, data[position]))
            position += run
            continue
        start = position
        while position < len(data) and position - start < 128:
            if data[position : position + 3] == data[position : position + 1] * 3:
                break
            position += 1
        encoded += bytes((position - start - 1,)) + data[start:position]
    return bytes(encoded) + b"\x80"


def _stream(dictionary: str, data: bytes) -> bytes:
    return f"<< {dictionary} /Length {len(data)} >>\nstream\n".encode("ascii") + data + b"\nendstream"


def _literal(text: str) -> bytes:
    raw = text.encode("cp1252")
    return b"(" + raw.replace(b"\\", b"\\\\").replace(b"(", b"\\(").replace(b")", b"\\)") + b")"


def _metadata(title: str, *, pdf_a: bool) -> bytes:
    claim = (
        '<rdf:Description rdf:about="" xmlns:pdfaid="http://www.aiim.org/pdfa/ns/id/">'
        "<pdfaid:part>1</pdfaid:part><pdfaid:conformance>B</pdfaid:conformance></rdf:Description>"
        if pdf_a
        else ""
    )
    packet = (
        '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>\n'
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        f'{claim}<rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:title><rdf:Alt>'
        f'<rdf:li xml:lang="x-default">{escape(title)}</rdf:li></rdf:Alt></dc:title></rdf:Description>'
        '</rdf:RDF></x:xmpmeta>\n<?xpacket end="w"?>'
    )
    return _stream("/Type /Metadata /Subtype /XML", packet.encode("utf-8"))


def grey_profile() -> bytes:
    """Return a monochrome ICC profile of gamma 2.2: what PDF/A wants beside DeviceGray."""
    d50 = struct.pack(">3I", 0xF6D6, 0x10000, 0xD32D)
    name = b"Grey, gamma 2.2\x00"
    tags = (
        (b"desc", b"desc" + struct.pack(">II", 0, len(name)) + name + bytes(4 + 4 + 2 + 1 + 67)),
        (b"cprt", b"text" + bytes(4) + b"No copyright\x00"),
        (b"wtpt", b"XYZ " + bytes(4) + d50),
        (b"kTRC", b"curv" + struct.pack(">IIH", 0, 1, round(2.2 * 256))),
    )
    table, content = struct.pack(">I", len(tags)), b""
    for signature, value in tags:
        table += signature + struct.pack(">II", 128 + 4 + 12 * len(tags) + len(content), len(value))
        content += value + bytes(-len(value) % 4)
    date = struct.pack(">6H", 2026, 11, 23, 0, 0, 0)
    header = b"\x00\x00\x00\x00\x02\x10\x00\x00mntrGRAYXYZ " + date + b"acsp" + bytes(28) + d50 + bytes(48)
    size = struct.pack(">I", len(header) + 4 + len(table) + len(content))
    return size + header + table + content


def _file(objects: list[bytes]) -> bytes:
    """Join objects, numbered from 1 (the first is the catalogue), and their cross-reference table."""
    content = bytearray(b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n")
    offsets = []
    for number, body in enumerate(objects, 1):
        offsets.append(len(content))
        content += b"%d 0 obj\n" % number + body + b"\nendobj\n"
    digest = hashlib.md5(bytes(content), usedforsecurity=False).hexdigest().upper()
    start = len(content)
    content += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    content += b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    content += (
        f"trailer\n<< /Size {len(objects) + 1} /Root 1 0 R /ID [<{digest}> <{digest}>] >>\nstartxref\n{start}\n%%EOF\n"
    ).encode("ascii")
    return bytes(content)


def text_pdf(title: str, pages: list[list[Line | Rule]]) -> bytes:
    """Return a PDF of text pages. Its fonts are the standard ones, not embedded: it is not PDF/A, as many LGC write."""
    first_page = 6
    kids = " ".join(f"{first_page + 2 * index} 0 R" for index in range(len(pages)))
    font = "<< /Type /Font /Subtype /Type1 /BaseFont /{} /Encoding /WinAnsiEncoding >>"
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R /Metadata 3 0 R /Lang (fr-FR) >>",
        f"<< /Type /Pages /Kids [{kids}] /Count {len(pages)} >>".encode("ascii"),
        _metadata(title, pdf_a=False),
        font.format("Helvetica").encode("ascii"),
        font.format("Helvetica-Bold").encode("ascii"),
    ]
    for index, marks in enumerate(pages):
        content = bytearray()
        for mark in marks:
            if isinstance(mark, Rule):
                content += (
                    f"0.6 w {mark.x_pt:g} {mark.y_pt:g} m {mark.x_pt + mark.width_pt:g} {mark.y_pt:g} l S\n".encode()
                )
            else:
                face = "F2" if mark.bold else "F1"
                content += f"BT /{face} {mark.size_pt:g} Tf {mark.x_pt:g} {mark.y_pt:g} Td ".encode()
                content += _literal(mark.text) + b" Tj ET\n"
        objects.append(
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 {A4_PT[0]:g} {A4_PT[1]:g}]"
            f" /Contents {first_page + 2 * index + 1} 0 R"
            " /Resources << /Font << /F1 4 0 R /F2 5 0 R >> >> >>".encode("ascii")
        )
        objects.append(_stream("", bytes(content)))
    return _file(objects)


def image_pdf(title: str, image: GreyImage) -> bytes:
    """Return a PDF/A-1b of one page that is only an image: no text can be extracted."""
    decode = "/Decode [1 0] " if image.bits == 1 else ""
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R /Metadata 3 0 R /OutputIntents [<< /Type /OutputIntent /S /GTS_PDFA1"
        b" /OutputConditionIdentifier (Grey) /Info (Grey, gamma 2.2) /DestOutputProfile 7 0 R >>] >>",
        b"<< /Type /Pages /Kids [4 0 R] /Count 1 >>",
        _metadata(title, pdf_a=True),
        f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 {A4_PT[0]:g} {A4_PT[1]:g}] /Contents 5 0 R"
        " /Resources << /XObject << /Im1 6 0 R >> >> >>".encode("ascii"),
        _stream("", f"q {A4_PT[0]:g} 0 0 {A4_PT[1]:g} 0 0 cm /Im1 Do Q".encode("ascii")),
        _stream(
            f"/Type /XObject /Subtype /Image /Width {image.width_px} /Height {image.height_px} /ColorSpace /DeviceGray "
            f"/BitsPerComponent {image.bits} {decode}/Filter /{image.encoding}",
            image.data,
        ),
        _stream("/N 1", grey_profile()),
    ]
    return _file(objects)
