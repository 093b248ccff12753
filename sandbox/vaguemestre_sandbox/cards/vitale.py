"""Virtual cartes Vitale: a Vitale 2 with its two public files, and a Vitale 1 that refuses all of it.

Owns how these cards answer, status words included, for invented people. Cards in the field differ in how they hand over
data (at once, after 6Cxx, in pieces after 61xx): the manner is chosen by whoever makes the card.
Source: docs/cards.md; nothing but the public files is readable, as on a real card.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final

from vaguemestre_sandbox.cards.card import CLA_NOT_SUPPORTED, FILE_NOT_FOUND, INS_NOT_SUPPORTED, OK, WRONG_LENGTH

VITALE_2_ATR: Final = bytes.fromhex("3B 75 13 00 00 47 09 EA 90 00")
VITALE_1_ATR: Final = bytes.fromhex("3F 65 25 00 22 09 69 90 00")
AID_VITALE: Final = bytes.fromhex("D2 50 00 00 02") + b"VITALE"
AID_MASTER: Final = bytes.fromhex("D2 50 00 00 02") + b"MF_VITALE"

SELECT: Final = 0xA4
READ_BINARY: Final = 0xB0
GET_RESPONSE: Final = 0xC0
REFUSED: Final = b"\x69\x82"
NO_FILE_SELECTED: Final = b"\x69\x86"
NOTHING_WAITS: Final = b"\x69\x85"
WRONG_PARAMETERS: Final = b"\x6a\x86"
BEYOND_THE_FILE: Final = b"\x6b\x00"

MASTER_FILE: Final = b"\x3f\x00"
MAP_FILE: Final = b"\x20\x01"
REFUSED_FILES: Final = frozenset({b"\x2f\x00", b"\x2f\x02"})
_SHORT_FILE: Final = 2


class Manner(Enum):
    """How a card hands over what it is asked to read."""

    AT_ONCE = "at_once"  # padded with zeros up to the length asked
    EXACT_LENGTH = "exact_length"  # 6Cxx: ask again with the length that is there
    IN_PIECES = "in_pieces"  # 61xx: fetch it with GET RESPONSE


@dataclass(frozen=True, slots=True, kw_only=True)
class VitalePerson:
    """An invented person. `birth_date` is AAAAMMJJ, lunar if wanted; `nir` has 13 characters, its key is computed."""

    usual_name: str
    given_name: str
    birth_date: str
    nir: str
    country: str = "FR"
    key: str | None = None

    @property
    def full_nir(self) -> str:
        """13 characters and the key: the one given (a wrong one if wanted), else the right one."""
        return self.nir + (nir_key(self.nir) if self.key is None else self.key)


FAMILY: Final = (
    VitalePerson(usual_name="FICTIF", given_name="Hélène", birth_date="19790312", nir="2790375112345"),
    VitalePerson(usual_name="FICTIF", given_name="Noé", birth_date="20110607", nir="1110675112346"),
    VitalePerson(usual_name="D'ESSAI-FICTIF", given_name="Anne Marie", birth_date="19410000", nir="2410099352017"),
)
"""A mother, her son, and an ascendant whose day and month of birth are unknown."""

OTHER_FAMILY: Final = (
    VitalePerson(usual_name="IMAGINÉ", given_name="Paul", birth_date="19620229", nir="162022B033018"),
)
"""One person born in Corsica, on a day that the calendar does not have."""


def nir_key(number: str) -> str:
    """Return the two digits of the key of a 13-character NIR."""
    digits = number.replace("2A", "19", 1) if number[5:7] == "2A" else number
    digits = digits[:5] + "18" + digits[7:] if digits[5:7] == "2B" else digits
    return f"{97 - int(digits) % 97:02d}"


def tlv(tag: str, value: bytes) -> bytes:
    """Return one BER-TLV object; `tag` in hexadecimal."""
    size = len(value)
    length = (
        bytes([size]) if size < 0x80 else bytes([0x81, size]) if size < 0x100 else b"\x82" + size.to_bytes(2, "big")
    )
    return bytes.fromhex(tag) + length + value


@dataclass(frozen=True, slots=True, kw_only=True)
class VitaleFiles:
    """The bytes of the two public files; hostile ones are written here as they please."""

    identities: bytes
    nirs: bytes


def written_files(people: Sequence[VitalePerson], *, valid_from: str = "20200101") -> VitaleFiles:
    """Return the files that hold these people, in this order in both."""
    identities = b"".join(
        tlv(
            "65",
            tlv("80", person.usual_name.encode("latin-1"))
            + tlv("81", person.given_name.encode("latin-1"))
            + tlv("82", person.birth_date.encode("ascii"))
            + tlv("90", person.country.encode("ascii")),
        )
        for person in people
    )
    seal = hashlib.sha512(identities).digest()
    identities += tlv("66", tlv("80", valid_from.encode("ascii")))
    identities += tlv("7F21", tlv("5F37", seal) + tlv("5F38", seal[:16]))
    nirs = b"".join(tlv("65", tlv("93", person.full_nir.encode("ascii"))) for person in people)
    return VitaleFiles(identities=identities, nirs=nirs)


class Vitale2Card:
    """A Vitale 2: short file 2 under the master file (identities) and under the application VITALE (NIRs)."""

    def __init__(
        self,
        files: VitaleFiles | None = None,
        *,
        manner: Manner = Manner.AT_ONCE,
        atr: bytes = VITALE_2_ATR,
        piece_bytes: int = 100,
        file_bytes: int = 768,
    ) -> None:
        content = files or written_files(FAMILY)
        self._atr = atr
        self._manner = manner
        self._piece = piece_bytes
        self._identities = content.identities.ljust(file_bytes, b"\x00")
        self._nirs = content.nirs.ljust(file_bytes, b"\x00")
        self.asked: list[bytes] = []
        self.reset()

    @property
    def atr(self) -> bytes:
        """The answer to reset."""
        return self._atr

    def reset(self) -> None:
        """Go back to the master file, nothing selected."""
        self._in_application = False
        self._current: bytes | None = None
        self._waiting = b""

    def respond(self, command: bytes) -> bytes:
        """Answer SELECT, READ BINARY and GET RESPONSE in class 00; refuse the rest as the real card does."""
        self.asked.append(command[:4])
        if len(command) < 4:
            return WRONG_LENGTH
        cla, ins, p1, p2 = command[:4]
        if cla != 0:
            return CLA_NOT_SUPPORTED
        if ins == GET_RESPONSE:
            return self._get_response(command[4] if len(command) > 4 else 0)
        self._waiting = b""
        if ins == SELECT:
            return self._select(p1, command[5 : 5 + command[4]] if len(command) > 5 else b"")
        if ins == READ_BINARY:
            return self._read(p1, p2, command[4] if len(command) > 4 else 0)
        return INS_NOT_SUPPORTED

    def _select(self, p1: int, name: bytes) -> bytes:
        if p1 == 4:
            if name not in (AID_VITALE, AID_MASTER):
                return FILE_NOT_FOUND
            self._in_application, self._current = name == AID_VITALE, None
            return OK
        if p1 != 0:
            return WRONG_PARAMETERS
        if name == MASTER_FILE:
            self._in_application, self._current = False, None
            return OK
        if name == MAP_FILE and self._in_application:
            self._current = _map()
            return OK
        return REFUSED if name in REFUSED_FILES else FILE_NOT_FOUND

    def _read(self, p1: int, p2: int, le: int) -> bytes:
        offset = p1 << 8 | p2
        if p1 & 0x80:
            if p1 & 0x1F != _SHORT_FILE:
                return REFUSED
            self._current = self._nirs if self._in_application else self._identities
            offset = p2
        if self._current is None:
            return NO_FILE_SELECTED
        if offset >= len(self._current):
            return BEYOND_THE_FILE
        return self._hand_over(self._current[offset:], le or 256)

    def _hand_over(self, content: bytes, wanted: int) -> bytes:
        there = content[:256].rstrip(b"\x00") or b"\x00"
        if self._manner is Manner.EXACT_LENGTH and wanted != len(there):
            return bytes([0x6C, len(there) % 256])
        if self._manner is Manner.IN_PIECES:
            self._waiting = there[:wanted]
            return bytes([0x61, min(len(self._waiting), self._piece)])
        return content[:wanted] + OK

    def _get_response(self, le: int) -> bytes:
        if not self._waiting:
            return NOTHING_WAITS
        piece, self._waiting = self._waiting[: le or 256], self._waiting[le or 256 :]
        return piece + (bytes([0x61, min(len(self._waiting), self._piece)]) if self._waiting else OK)


def _map() -> bytes:
    """EF 2001 of the application: which file is where."""
    entry = b"\x00\x02" + AID_VITALE
    return tlv("E0", tlv("A0", tlv("82", b"\x00\x01" + entry))) + tlv("80", b"IDENTITE" + b"\x00\x02" + MAP_FILE)


class Vitale1Card:
    """A Vitale 1, or a test card of the industry's kits: it knows no ISO SELECT, in no class."""

    def __init__(self, *, atr: bytes = VITALE_1_ATR) -> None:
        self._atr = atr
        self.asked: list[bytes] = []

    @property
    def atr(self) -> bytes:
        """The answer to reset."""
        return self._atr

    def reset(self) -> None:
        """Nothing is kept."""

    def respond(self, command: bytes) -> bytes:
        """Refuse: the class 00, else the instruction."""
        self.asked.append(command[:4])
        return INS_NOT_SUPPORTED if command[:1] == b"\xbc" else CLA_NOT_SUPPORTED
