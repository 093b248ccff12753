"""Virtual professional cards at the level of commands: CPS3 and CPS4, in contact and contactless.

Owns how these cards answer, status words included: applications, files by path and by identifier, the PIN with its
three tries, what is refused before it, what contactless hides. Signatures are not made here: the middleware's stand-in
(`softhsm`) makes them, as no program of ours sends them to a card by itself.
Source: docs/cards.md; invented persons; the coding of files whose specification is not public is left empty.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from vaguemestre_sandbox.cards.card import CLA_NOT_SUPPORTED, FILE_NOT_FOUND, INS_NOT_SUPPORTED, OK, WRONG_LENGTH
from vaguemestre_sandbox.cards.cpspki import CardPerson

CPS3_ATR: Final = bytes.fromhex("3B AC 00 40 2A 00 12 25 00 64 80 00 03 10 00 90 00")
CPS3_CONTACTLESS_ATR: Final = bytes.fromhex("3B 8F 80 01 00 31 B8 64 04 B0 EC C1 73 94 01 80 82 90 00 0E")
CPS4_ATR: Final = bytes.fromhex("3B 9B 18 80 01 00 12 25 00 64 80 04 01 00 00 90 44")
AID_CPS3: Final = bytes.fromhex("E8 28 BD 08 0F 80 25 00 00 01 FF 00 10")
AID_CPS3_CONTACTLESS: Final = AID_CPS3[:-1] + b"\x20"
AID_CPS4: Final = bytes.fromhex("80 25 00 00 01 FF 01 00")
AID_CPS2TER: Final = bytes.fromhex("80 25 00 00 01 FF 00 02")
AID_DOMAIN: Final = bytes.fromhex("A0 00 00 01 51 00 00")
TRIES: Final = 3

REFUSED: Final = b"\x69\x82"
BLOCKED: Final = b"\x69\x83"
CONDITIONS: Final = b"\x69\x85"
NO_FILE_SELECTED: Final = b"\x69\x86"
WRONG_PARAMETERS: Final = b"\x6a\x86"
BEYOND_THE_FILE: Final = b"\x6b\x00"
_LONGEST_READ: Final = 0xE7
_MASTER: Final = b"\x3f\x00"
_PKCS15: Final = b"\x3f\x00\x50\x15"
_CPS2TER_DENIED: Final = b"\x98\x04"
_CPS2TER_NOT_FOUND: Final = b"\x94\x04"


class Generation(Enum):
    """Which card it is and how it is read."""

    CPS3 = "cps3"
    CPS3_CONTACTLESS = "cps3_contactless"
    CPS4 = "cps4"


_ATRS: Final = {
    Generation.CPS3: CPS3_ATR,
    Generation.CPS3_CONTACTLESS: CPS3_CONTACTLESS_ATR,
    Generation.CPS4: CPS4_ATR,
}
_APPLICATIONS: Final = {
    Generation.CPS3: frozenset({AID_CPS3, AID_CPS2TER}),
    Generation.CPS3_CONTACTLESS: frozenset({AID_CPS3_CONTACTLESS}),
    Generation.CPS4: frozenset({AID_CPS4, AID_CPS3, AID_CPS2TER}),
}


def serial_file(number: str) -> bytes:
    """Return EF.SN.ICC for a card number of ten digits: ``5A 0A``, issuer, number."""
    return bytes.fromhex(f"5a0a8025000001{number}")


def update_file(begins_on: str, ends_on: str) -> bytes:
    """Return EF_ACTUA: two dates AAAAMMJJ in BCD."""
    return b"\xec\x0c\x81\x04" + bytes.fromhex(begins_on) + b"\x82\x04" + bytes.fromhex(ends_on)


@dataclass(slots=True, kw_only=True)
class VirtualCps:
    """A professional card.

    Attributes:
        person: whose.
        generation: which one, and whether it lies on a contactless reader.
        pin: its code.
        tries: left; 0 is a blocked card.
        reference: the PIN's number on the card.
        updated: content of EF_ACTUA, or empty when the card never was updated.
        asleep: a CPS4 left in the middle by another program: 6985 until woken through channel 1.
    """

    person: CardPerson
    generation: Generation = Generation.CPS3
    pin: str = "1234"
    tries: int = TRIES
    reference: int = 1
    updated: bytes = b""
    asleep: bool = False
    _path: bytes = field(default=_MASTER, init=False)
    _content: bytes | None = field(default=None, init=False, repr=False)
    _refused: bool = field(default=False, init=False)
    _verified: bool = field(default=False, init=False)
    _pending: bytes = field(default=b"", init=False, repr=False)

    @property
    def atr(self) -> bytes:
        """The answer to reset."""
        return _ATRS[self.generation]

    @property
    def is_contactless(self) -> bool:
        """Whether it lies on a contactless reader."""
        return self.generation is Generation.CPS3_CONTACTLESS

    def reset(self) -> None:
        """Forget what was selected and verified."""
        self._path, self._content, self._verified, self._pending = _MASTER, None, False, b""

    def respond(self, command: bytes) -> bytes:
        """Answer one command."""
        if len(command) < 4:
            return WRONG_LENGTH
        if command[0] == 0xA0 and self.generation is not Generation.CPS3_CONTACTLESS:
            return self._cps2ter(command)
        if command[0] not in {0x00, 0x01}:
            return CLA_NOT_SUPPORTED
        if self.asleep and not self._wakes(command):
            return CONDITIONS
        acts: Mapping[int, Callable[[bytes], bytes]] = {
            0xA4: self._select,
            0xB0: self._read,
            0xC0: self._get_response,
            0x20: self._verify,
            0xCB: self._get_data,
        }
        act = acts.get(command[1])
        return INS_NOT_SUPPORTED if act is None else act(command)

    def _wakes(self, command: bytes) -> bool:
        """Wake at the last of the three selections of the recovery, through channel 1."""
        if command[0] == 0x01 and command[1] == 0xA4 and command[5:].startswith(AID_CPS4):
            self.asleep = False
        return not self.asleep

    def _files(self) -> Mapping[bytes, bytes]:
        """Files that need no PIN, by path."""
        files = {
            _MASTER + b"\xd0\x03": serial_file(self.person.number),
            _MASTER + b"\x2f\x00": b"\x61\x0f\x4f\x0d" + AID_CPS3,
        }
        if not self.is_contactless:
            files[_MASTER + b"\x00\x01\x70\x01"] = b"\x00"
            if self.updated:
                files[_MASTER + b"\xd0\x10"] = self.updated
        return files

    def _protected(self, path: bytes) -> bool:
        """Whether a path is a situation d'exercice: there, and refused before the PIN."""
        return path[:4] == _MASTER + b"\x00\x01" and len(path) == 6 and path[4] == 0xD1 and path[5] in range(0x20, 0x30)

    def _select(self, command: bytes) -> bytes:
        how, data = command[2], command[5 : 5 + command[4]] if len(command) > 5 else b""
        if len(command) > 5 and len(data) != command[4]:
            return WRONG_LENGTH
        if how == 0x04:
            known = data in _APPLICATIONS[self.generation] or (data == AID_DOMAIN and command[0] == 0x01)
            return self._moved(_PKCS15 if known else None, command)
        if how in {0x08, 0x09}:
            return self._moved(data if data.startswith(_MASTER) else _MASTER + data, command)
        if how == 0x03:
            return self._moved(self._path[:-2] or _MASTER, command)
        if how in {0x00, 0x01, 0x02} and len(data) == 2:
            return self._moved(_MASTER if data == _MASTER else self._path + data, command)
        return WRONG_PARAMETERS

    def _moved(self, path: bytes | None, command: bytes) -> bytes:
        content = None if path is None else self._files().get(path)
        is_folder = path in {_MASTER, _PKCS15, _MASTER + b"\x00\x01"}
        if path is None or not (is_folder or content is not None or self._protected(path)):
            return FILE_NOT_FOUND
        if is_folder:
            self._path, self._content = path, None
        else:
            # A file leaves its folder the current one.
            self._path, self._content = path[:-2], content if content is not None else b""
        self._refused = content is None and not is_folder
        if command[3] & 0x0C == 0x0C:
            return OK
        return self._given(b"\x6f\x04\x83\x02" + path[-2:])

    def _given(self, data: bytes) -> bytes:
        """Hand data over as T=0 does: announce it, and wait for GET RESPONSE."""
        self._pending = data
        return bytes([0x61, len(data)])

    def _get_response(self, command: bytes) -> bytes:
        if not self._pending:
            return CONDITIONS
        wanted = (command[4] if len(command) > 4 else 0) or 256
        data, self._pending = self._pending[:wanted], self._pending[wanted:]
        return data + (bytes([0x61, len(self._pending)]) if self._pending else OK)

    def _read(self, command: bytes) -> bytes:
        if self._content is None:
            return NO_FILE_SELECTED
        if self._refused and not self._verified:
            return REFUSED
        offset, wanted = (command[2] << 8) | command[3], (command[4] if len(command) > 4 else 0) or 256
        if offset > len(self._content):
            return BEYOND_THE_FILE
        if wanted > _LONGEST_READ:
            left = min(len(self._content) - offset, _LONGEST_READ)
            return bytes([0x6C, left]) if left else OK
        return self._content[offset : offset + wanted] + OK

    def _verify(self, command: bytes) -> bytes:
        if self.is_contactless:
            return INS_NOT_SUPPORTED
        if command[3] & 0x1F != self.reference:
            return b"\x6a\x88"
        given = command[5 : 5 + command[4]] if len(command) > 5 else b""
        if self.tries <= 0:
            return BLOCKED
        if not given:
            return OK if self._verified else bytes([0x63, 0xC0 | self.tries])
        self._verified = given.rstrip(b"\x00\xff") == self.pin.encode("ascii")
        self.tries = TRIES if self._verified else self.tries - 1
        return OK if self._verified else bytes([0x63, 0xC0 | self.tries])

    def _get_data(self, command: bytes) -> bytes:
        asked = bytes([0x4D, 0x08, 0x70, 0x06, 0xBF, 0x81, self.reference, 0x02, 0xA0, 0x80])
        if self.generation is not Generation.CPS3 or command[2:4] != b"\x3f\xff" or command[5:15] != asked:
            return b"\x6a\x88"
        counters = bytes([0xA0, 0x06, 0x9A, 0x01, TRIES, 0x9B, 0x01, self.tries])
        pin_object = bytes([0xBF, 0x81, self.reference, len(counters)]) + counters
        return self._given(bytes([0x70, len(pin_object)]) + pin_object)

    def _cps2ter(self, command: bytes) -> bytes:
        """Answer for the older volet, class A0: the root is free, situations d'exercice and billing ask for the PIN."""
        if command[1] == 0xC0:
            return self._get_response(command)
        if command[1] == 0xA4 and len(command) >= 7:
            chosen = command[5:7]
            kind = 0x01 if chosen == _MASTER else 0x02 if chosen == b"\x7f\x01" else 0x04
            if kind == 0x04 and chosen[0] != 0x40:
                return _CPS2TER_NOT_FOUND
            self._pending = b"\x00\x40" + chosen + bytes([kind])
            return bytes([0x9F, len(self._pending)])
        if command[1] == 0xB0:
            return b"" + OK if self._verified else _CPS2TER_DENIED
        return INS_NOT_SUPPORTED
