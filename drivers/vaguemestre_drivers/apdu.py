"""ISO 7816-4 commands and answers: building, splitting, and the one rule for 61xx and 6Cxx, bounded.

Owns the bytes of a command and the meaning of a status word; never opens a reader, never logs a byte, has no command
that changes a card. The transport is any callable that takes a command and gives (data, status word).
Source: ISO/IEC 7816-3 and 7816-4, short form.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeAlias

from vaguemestre_core.errors import InvalidInput, Recovery, VaguemestreError
from vaguemestre_core.redaction import REDACTED

Transmit: TypeAlias = Callable[[bytes], tuple[bytes, int]]

APDU_INS_SELECT: Final = 0xA4
APDU_INS_READ_BINARY: Final = 0xB0
APDU_INS_GET_RESPONSE: Final = 0xC0

SW_OK: Final = 0x9000
SW_END_OF_FILE: Final = 0x6282

# A real file is read in a few rounds; a card that always says "more" is hostile or broken.
MAX_ROUNDS: Final = 64
MAX_ANSWER_BYTES: Final = 8_192
_DATA_MAX: Final = 255
_LE_MAX: Final = 256


class CardAnswerInvalid(VaguemestreError):
    """The card's answers follow no protocol: endless, too long, or not shaped as an answer."""

    default_code = "CARD_ANSWER_INVALID"
    recovery = Recovery.USER_ACTION

    def __init__(self, reason: str) -> None:
        super().__init__(reason=reason)
        self.reason = reason


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Command:
    """A command in short form. ``le`` is the number of bytes wanted, 256 written as 00; None asks for none.

    Raises:
        InvalidInput: ``APDU_INVALID`` with the field.
    """

    cla: int
    ins: int
    p1: int
    p2: int
    data: bytes = b""
    le: int | None = None

    def __post_init__(self) -> None:
        for field, value in (("cla", self.cla), ("ins", self.ins), ("p1", self.p1), ("p2", self.p2)):
            if not 0 <= value <= 0xFF:
                raise InvalidInput("APDU_INVALID", field=field)
        if len(self.data) > _DATA_MAX:
            raise InvalidInput("APDU_INVALID", field="data")
        if self.le is not None and not 1 <= self.le <= _LE_MAX:
            raise InvalidInput("APDU_INVALID", field="le")

    def encode(self) -> bytes:
        """Return the bytes: header, then Lc and data, then Le."""
        head = bytes([self.cla, self.ins, self.p1, self.p2])
        body = bytes([len(self.data)]) + self.data if self.data else b""
        return head + body + (b"" if self.le is None else bytes([self.le % _LE_MAX]))

    def __repr__(self) -> str:
        return f"Command({self.cla:02X} {self.ins:02X} {self.p1:02X} {self.p2:02X}, {len(self.data)} bytes {REDACTED})"


def decode_command(raw: bytes) -> Command:
    """Read a command in short form back.

    Raises:
        InvalidInput: ``APDU_INVALID`` (shape).
    """
    if len(raw) < 4:
        raise InvalidInput("APDU_INVALID", field="shape")
    cla, ins, p1, p2 = raw[:4]
    body = raw[4:]
    if len(body) <= 1:
        le = (body[0] or _LE_MAX) if body else None
        return Command(cla=cla, ins=ins, p1=p1, p2=p2, le=le)
    data, rest = body[1 : 1 + body[0]], body[1 + body[0] :]
    if not body[0] or len(data) != body[0] or len(rest) > 1:
        raise InvalidInput("APDU_INVALID", field="shape")
    return Command(cla=cla, ins=ins, p1=p1, p2=p2, data=data, le=(rest[0] or _LE_MAX) if rest else None)


def split_answer(raw: bytes) -> tuple[bytes, int]:
    """Return (data, status word) of a raw answer.

    Raises:
        CardAnswerInvalid: ``CARD_ANSWER_INVALID`` (short, long or status) for what is not an answer.
    """
    if len(raw) < 2:
        raise CardAnswerInvalid("short")
    if len(raw) > _LE_MAX + 2:
        raise CardAnswerInvalid("long")
    status = int.from_bytes(raw[-2:], "big")
    if status >> 12 not in (0x6, 0x9):
        raise CardAnswerInvalid("status")
    return raw[:-2], status


def exchange(transmit: Transmit, command: Command) -> tuple[bytes, int]:
    """Send a command and gather its whole answer: GET RESPONSE on 61xx, the same command with Le = xx on 6Cxx.

    True afterwards: at most ``MAX_ROUNDS`` exchanges took place and the data is at most ``MAX_ANSWER_BYTES`` long.

    Returns:
        The data and the last status word, which is neither 61xx nor 6Cxx.

    Raises:
        CardAnswerInvalid: ``CARD_ANSWER_INVALID`` with reason endless (too many rounds), too_long, or status.
        Whatever the transport raises (card removed, reader lost).
    """
    gathered = bytearray()
    current, corrected = command, False
    for _ in range(MAX_ROUNDS):
        data, status = transmit(current.encode())
        if not 0x6000 <= status <= 0x9FFF:
            raise CardAnswerInvalid("status")
        high, low = status >> 8, status & 0xFF
        if high == 0x6C:
            if corrected:
                raise CardAnswerInvalid("endless")  # it has just been given the length it asked for
            current, corrected = _with_le(current, low or _LE_MAX), True
            continue
        gathered += data
        if len(gathered) > MAX_ANSWER_BYTES:
            raise CardAnswerInvalid("too_long")
        if high != 0x61:
            return bytes(gathered), status
        current, corrected = get_response(command.cla, low or _LE_MAX), False
    raise CardAnswerInvalid("endless")


def _with_le(command: Command, le: int) -> Command:
    return Command(cla=command.cla, ins=command.ins, p1=command.p1, p2=command.p2, data=command.data, le=le)


def get_response(cla: int, le: int) -> Command:
    """Return GET RESPONSE on the logical channel of ``cla``."""
    return Command(cla=cla & 0x03, ins=APDU_INS_GET_RESPONSE, p1=0, p2=0, le=le)


def select_file(file_id: int) -> Command:
    """Return SELECT by file identifier (two bytes), as Vitale 2 and CPS accept it."""
    return Command(cla=0, ins=APDU_INS_SELECT, p1=0, p2=0, data=file_id.to_bytes(2, "big"))


def select_application(aid: bytes) -> Command:
    """Return SELECT by application identifier (5 to 16 bytes)."""
    return Command(cla=0, ins=APDU_INS_SELECT, p1=4, p2=0, data=aid)


def read_short_file(short_id: int, le: int = _LE_MAX) -> Command:
    """Return READ BINARY of a file named by its short identifier (1 to 30), which becomes the current file."""
    return Command(cla=0, ins=APDU_INS_READ_BINARY, p1=0x80 | short_id, p2=0, le=le)


def read_current_file(offset: int, le: int = _LE_MAX) -> Command:
    """Return READ BINARY of the current file from ``offset`` (below 32,768)."""
    return Command(cla=0, ins=APDU_INS_READ_BINARY, p1=offset >> 8, p2=offset & 0xFF, le=le)
