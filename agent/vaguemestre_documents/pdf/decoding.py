"""Decode the filters of streams, never beyond a number of bytes given: a small stream may not become a large one.

Owns ASCIIHex, ASCII85, Flate, LZW and RunLength without predictor; images are never decoded. Source: ISO 32000-1, 7.4.
"""

from __future__ import annotations

import base64
import binascii
import zlib
from collections.abc import Callable, Mapping
from typing import Final

from vaguemestre_documents.pdf.faults import Fault
from vaguemestre_documents.pdf.values import PdfRefused, Snapshot, Stream

_CLEAR: Final = 256
_END: Final = 257
ABBREVIATIONS: Final[Mapping[str, str]] = {
    "AHx": "ASCIIHexDecode",
    "A85": "ASCII85Decode",
    "LZW": "LZWDecode",
    "Fl": "FlateDecode",
    "RL": "RunLengthDecode",
    "CCF": "CCITTFaxDecode",
    "DCT": "DCTDecode",
}


def filters_of(snapshot: Snapshot, stream: Stream) -> tuple[str, ...]:
    """Return the names of the filters of a stream, first applied first."""
    return tuple(str(item) for item in snapshot.items(stream.entries.get("Filter")))


def decode(snapshot: Snapshot, stream: Stream, limit: int) -> bytes | None:
    """Return the content of a stream; None when it does not decode, or by a filter or predictor not known here.

    Raises:
        PdfRefused: PDF_TOO_COMPLEX: more than ``limit`` bytes at any step.
    """
    for parameters in snapshot.items(stream.entries.get("DecodeParms")):
        if snapshot.get(parameters, "Predictor") not in (None, 1):
            return None
    data = stream.raw
    for name in filters_of(snapshot, stream):
        decoder = _DECODERS.get(name)
        if decoder is None:
            return None
        try:
            data = decoder(data, limit)
        except (ValueError, zlib.error, IndexError):
            return None
    return data


def inflate(data: bytes, limit: int) -> bytes:
    """Return inflated bytes. Raises zlib.error; PdfRefused above the limit."""
    engine = zlib.decompressobj()
    content = engine.decompress(data, limit + 1)
    if len(content) > limit or engine.unconsumed_tail:
        raise PdfRefused(Fault.TOO_COMPLEX)
    return content


def lzw(data: bytes, limit: int, *, early: int = 1) -> bytes:
    """Return what LZW packed. Raises ValueError for a code out of order; PdfRefused above the limit."""
    content = bytearray()
    table: list[bytes] = []
    width, buffer, bits = 9, 0, 0
    previous: bytes | None = None
    for byte in data:
        buffer = (buffer << 8 | byte) & 0xFFFFFF
        bits += 8
        if bits < width:
            continue
        bits -= width
        code = buffer >> bits & ((1 << width) - 1)
        if code == _END:
            break
        if code == _CLEAR:
            table = [bytes((value,)) for value in range(256)] + [b"", b""]
            width, previous = 9, None
            continue
        if not table:
            table = [bytes((value,)) for value in range(256)] + [b"", b""]
        if code < len(table):
            entry = table[code]
        elif code == len(table) and previous is not None:
            entry = previous + previous[:1]
        else:
            raise ValueError("code")
        content += entry
        if len(content) > limit:
            raise PdfRefused(Fault.TOO_COMPLEX)
        if previous is not None and len(table) < 4096:
            table.append(previous + entry[:1])
        previous = entry
        # The decoder is one entry behind the encoder.
        width = next(size for size in (9, 10, 11, 12) if len(table) + early < 1 << size or size == 12)
    return bytes(content)


def _hexadecimal(data: bytes, _limit: int) -> bytes:
    digits = b"".join(data.partition(b">")[0].split())
    return binascii.unhexlify(digits + b"0" * (len(digits) % 2))


def _base85(data: bytes, _limit: int) -> bytes:
    return base64.a85decode(data.partition(b"~")[0].replace(b"\x00", b""))


def _run_length(data: bytes, limit: int) -> bytes:
    content = bytearray()
    position = 0
    while position < len(data) and data[position] != 128:
        length = data[position]
        if length < 128:
            content += data[position + 1 : position + 2 + length]
            position += length + 2
        else:
            content += data[position + 1 : position + 2] * (257 - length)
            position += 2
        if len(content) > limit:
            raise PdfRefused(Fault.TOO_COMPLEX)
    return bytes(content)


_DECODERS: Final[Mapping[str, Callable[[bytes, int], bytes]]] = {
    "ASCIIHexDecode": _hexadecimal,
    "ASCII85Decode": _base85,
    "FlateDecode": inflate,
    "LZWDecode": lzw,
    "RunLengthDecode": _run_length,
}
