"""BER-TLV, bytes to values and back, with hard bounds: what a card writes is never believed.

Owns the grammar only; knows no card. Definite lengths on at most 3 bytes, tags on at most 3 bytes, a depth and a number
of objects that no real file reaches. Zero bytes between objects are padding.
Source: ISO/IEC 7816-4 (5.2.2), ITU-T X.690.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from vaguemestre_core.errors import Recovery, VaguemestreError
from vaguemestre_core.redaction import REDACTED

MAX_BYTES: Final = 65_536
MAX_OBJECTS: Final = 1_024
MAX_DEPTH: Final = 8
_TAG_MAX_BYTES: Final = 3
_LENGTH_MAX_BYTES: Final = 3


class TlvInvalid(VaguemestreError):
    """The bytes are not the BER-TLV they should be; ``reason`` is a word, ``offset`` counts bytes; no content."""

    default_code = "CARD_TLV_INVALID"
    recovery = Recovery.USER_ACTION

    def __init__(self, reason: str, *, offset: int) -> None:
        super().__init__(reason=reason, offset=offset)
        self.reason = reason


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Tlv:
    """One object: its tag as the card writes it (0x65, 0x5F37), its value, and its children when constructed."""

    tag: int
    value: bytes
    children: tuple[Tlv, ...] = ()

    def first(self, tag: int) -> Tlv | None:
        """Return the first child with this tag, or nothing."""
        return next(self.all(tag), None)

    def all(self, tag: int) -> Iterator[Tlv]:
        """Yield the children with this tag, in order."""
        return (child for child in self.children if child.tag == tag)

    def __repr__(self) -> str:
        return f"Tlv({self.tag:X}, {len(self.value)} bytes {REDACTED})"


def parse_tlv(data: bytes, *, into: Container[int] | None = None) -> tuple[Tlv, ...]:
    """Return the objects of ``data``, constructed ones with their children.

    Args:
        data: a file of a card, ``MAX_BYTES`` at most.
        into: tags of the constructed objects to look into; every constructed one when None. What a caller does not
            need (a certificate) cannot then spoil what it needs.

    Raises:
        TlvInvalid: ``CARD_TLV_INVALID`` with reason size, tag, length, indefinite, truncated, depth or objects.
    """
    if len(data) > MAX_BYTES:
        raise TlvInvalid("size", offset=0)
    return _Parser(data, into).objects(0, len(data), depth=0)


def needed_bytes(data: bytes) -> int | None:
    """Return how many bytes the objects begun in ``data`` need in all; nothing when the last header is itself cut.

    A reader of a file asks it whether the block it has is whole: ``needed_bytes(data) <= len(data)``.

    Raises:
        TlvInvalid: as ``parse_tlv``, for a header that no length of file could make right.
    """
    parser, at = _Parser(data), 0
    while at < len(data):
        if data[at] == 0:
            at += 1
            continue
        try:
            _, start, length = parser.header(at, len(data))
        except TlvInvalid as error:
            if error.reason == "truncated":
                return None
            raise
        at = start + length
    return at


class _Parser:
    def __init__(self, data: bytes, into: Container[int] | None = None) -> None:
        self._data = data
        self._into = into
        self._seen = 0

    def objects(self, at: int, end: int, *, depth: int) -> tuple[Tlv, ...]:
        if depth > MAX_DEPTH:
            raise TlvInvalid("depth", offset=at)
        found: list[Tlv] = []
        while at < end:
            if self._data[at] == 0:
                at += 1
                continue
            tag, start, length = self.header(at, end)
            if length > end - start:
                raise TlvInvalid("truncated", offset=at)
            self._seen += 1
            if self._seen > MAX_OBJECTS:
                raise TlvInvalid("objects", offset=at)
            stop = start + length
            is_open = self._data[at] & 0x20 and (self._into is None or tag in self._into)
            inner = self.objects(start, stop, depth=depth + 1) if is_open else ()
            found.append(Tlv(tag=tag, value=self._data[start:stop], children=inner))
            at = stop
        return tuple(found)

    def header(self, at: int, end: int) -> tuple[int, int, int]:
        """Return (tag, where the value starts, its length) of the object at ``at``."""
        tag, after = self._tag(at, end)
        if after >= end:
            raise TlvInvalid("truncated", offset=at)
        first = self._data[after]
        if first < 0x80:
            return tag, after + 1, first
        count = first & 0x7F
        if count == 0:
            raise TlvInvalid("indefinite", offset=at)
        if count > _LENGTH_MAX_BYTES:
            raise TlvInvalid("length", offset=at)
        if after + count >= end:
            raise TlvInvalid("truncated", offset=at)
        return tag, after + 1 + count, int.from_bytes(self._data[after + 1 : after + 1 + count], "big")

    def _tag(self, at: int, end: int) -> tuple[int, int]:
        if self._data[at] == 0xFF:
            raise TlvInvalid("tag", offset=at)  # erased memory, never an object
        after = at + 1
        if self._data[at] & 0x1F == 0x1F:
            while True:
                if after - at >= _TAG_MAX_BYTES:
                    raise TlvInvalid("tag", offset=at)
                if after >= end:
                    raise TlvInvalid("truncated", offset=at)
                after += 1
                if self._data[after - 1] < 0x80:
                    break
        return int.from_bytes(self._data[at:after], "big"), after


def encode_tlv(tag: int, value: bytes) -> bytes:
    """Return one object with the shortest length.

    Raises:
        TlvInvalid: ``CARD_TLV_INVALID`` (tag or length) for what ``parse_tlv`` would not read back.
    """
    name = tag.to_bytes(max(1, (tag.bit_length() + 7) // 8), "big")
    several = name[0] & 0x1F == 0x1F
    body = name[1:]
    shaped = bool(body) == several and all(byte & 0x80 for byte in body[:-1]) and not (body and body[-1] & 0x80)
    if name[0] in (0x00, 0xFF) or len(name) > _TAG_MAX_BYTES or not shaped:
        raise TlvInvalid("tag", offset=0)
    if len(value) < 0x80:
        return name + bytes([len(value)]) + value
    size = len(value).to_bytes((len(value).bit_length() + 7) // 8, "big")
    if len(size) > _LENGTH_MAX_BYTES:
        raise TlvInvalid("length", offset=0)
    return name + bytes([0x80 | len(size)]) + size + value


def only(objects: Sequence[Tlv], tag: int) -> tuple[Tlv, ...]:
    """Return the objects of this tag, in order."""
    return tuple(item for item in objects if item.tag == tag)
