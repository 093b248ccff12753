"""One command to its whole answer: follows 61xx and 6Cxx (and 9Fxx of class A0), bounded whatever the card says.

Owns the following only; what the answer means belongs to the card's own module. Source: ISO 7816-3 and -4, T=0.
"""

from __future__ import annotations

from typing import Final

from vaguemestre_core.cards import CardTrouble, Situation
from vaguemestre_drivers.pcsc.port import CardTransport

GET_RESPONSE: Final = 0xC0
MORE_DATA: Final = 0x61
WRONG_EXPECTED_LENGTH: Final = 0x6C
MORE_DATA_CLASS_A0: Final = 0x9F
CLASS_A0: Final = 0xA0
LONGEST_DATA_BYTES: Final = 65536
MOST_STEPS: Final = 300
"""Commands that one answer may take: 65536 bytes by 256, and some short ones."""
MOST_EMPTY_STEPS: Final = 2
"""Answers in a row that announce data and bring none."""


def exchange(transport: CardTransport, apdu: bytes) -> tuple[bytes, int]:
    """Send a command and return (whole data, last status word).

    Raises CardTrouble: CARD_UNREADABLE when the card announces data without end; whatever the transport raises.
    """
    data, status = transport.transmit(apdu)
    if status >> 8 == WRONG_EXPECTED_LENGTH:
        if len(apdu) < 5:
            apdu += b"\x00"
        data, status = transport.transmit(apdu[:-1] + bytes([status & 0xFF]))
        if status >> 8 == WRONG_EXPECTED_LENGTH:
            raise CardTrouble(Situation.CARD_UNREADABLE, reason="expected_length")
    received = bytearray(data)
    empty = 0
    for _ in range(MOST_STEPS):
        if not _announces_more(apdu[0], status):
            return bytes(received), status
        data, status = transport.transmit(bytes([apdu[0], GET_RESPONSE, 0, 0, status & 0xFF]))
        if status >> 8 == WRONG_EXPECTED_LENGTH:
            data, status = transport.transmit(bytes([apdu[0], GET_RESPONSE, 0, 0, status & 0xFF]))
        received += data
        empty = 0 if data else empty + 1
        if len(received) > LONGEST_DATA_BYTES or empty > MOST_EMPTY_STEPS:
            break
    raise CardTrouble(Situation.CARD_UNREADABLE, reason="endless_answer")


def _announces_more(command_class: int, status: int) -> bool:
    first = status >> 8
    return first == MORE_DATA or (first == MORE_DATA_CLASS_A0 and command_class == CLASS_A0)
