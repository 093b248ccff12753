"""What a CPS says without middleware: its number (EF.SN.ICC) and the PIN tries left, by commands that change nothing.

Owns these two reads over one card transaction. The number is what tells the right PKCS#11 slot among several; the tries
are asked with the commands that use none. Everything else goes through the middleware: no PIN is ever sent from here.
Source: APDU of the CPS3 and CPS4 volets (SELECT by path, GET DATA of the PIN object, VERIFY without data).
"""

from __future__ import annotations

from typing import Final

from vaguemestre_core.cards import CardKind, CardTrouble, Situation
from vaguemestre_core.cps import CardNumber
from vaguemestre_core.cpspin import MAX_TRIES, PinState
from vaguemestre_drivers.apdu import CardAnswerInvalid, decode_command, exchange
from vaguemestre_drivers.cps.holder import number_from_serial_file
from vaguemestre_drivers.pcsc.port import CardTransport
from vaguemestre_drivers.tlv import Tlv, TlvInvalid, parse_tlv

_OK: Final = 0x9000
_CONDITIONS: Final = 0x6985
_BLOCKED: Final = 0x6983
_SERIAL_BYTES: Final = 12
_SELECT_SERIAL: Final = (
    (bytes.fromhex("00a4090c043f00d003"),),  # by path
    (bytes.fromhex("00a4000c023f00"), bytes.fromhex("00a4020c02d003")),  # by identifiers, from the root
)
# A CPS4 whose application was left in the middle answers 6985 until it is selected again, through channel 1.
_WAKE_CPS4: Final = (
    bytes.fromhex("01a4040c07a0000001510000"),
    bytes.fromhex("00a4040c088025000001ff0002"),
    bytes.fromhex("01a4040c088025000001ff0100"),
)
_TRIES_LEFT: Final = 0x9B


def read_number(transport: CardTransport) -> CardNumber:
    """Return the number of the card in the reader: no PIN, about four commands.

    Raises:
        CardTrouble: ``CARD_UNREADABLE`` with reason serial_file, and whatever the transport raises.
    """
    for attempt in range(2):
        was_asleep = False
        for commands in _SELECT_SERIAL:
            status = _all(transport, commands)
            if status == _OK:
                data, status = _asked(transport, bytes([0, 0xB0, 0, 0, _SERIAL_BYTES]))
                found = number_from_serial_file(data) if status == _OK else None
                if found is not None:
                    return found
            was_asleep = was_asleep or status == _CONDITIONS
        if attempt or not was_asleep:
            break
        _all(transport, _WAKE_CPS4, until_refused=False)
    raise CardTrouble(Situation.CARD_UNREADABLE, reason="serial_file")


def _asked(transport: CardTransport, command: bytes) -> tuple[bytes, int]:
    try:
        return exchange(transport.transmit, decode_command(command))
    except CardAnswerInvalid as invalid:
        raise CardTrouble(Situation.CARD_UNREADABLE, reason=invalid.reason) from None


def _all(transport: CardTransport, commands: tuple[bytes, ...], *, until_refused: bool = True) -> int:
    status = _OK
    for command in commands:
        _, status = _asked(transport, command)
        if status != _OK and until_refused:
            break
    return status


def tries_left(transport: CardTransport, kind: CardKind, reference: int) -> PinState:
    """Return what the card says of its PIN, without using a try.

    Args:
        transport: a card transaction.
        kind: CPS3 or CPS4: they are asked in two ways; any other says nothing.
        reference: the PIN's number on the card, 1 to 31 (a setting: the cards' own numbering is not published).

    Raises:
        CardTrouble: whatever the transport raises. An answer that is not understood is ``PinState.UNKNOWN``.
    """
    if kind is CardKind.CPS4:
        _, status = _asked(transport, bytes([0, 0x20, 0, reference]))
        if status == _BLOCKED:
            return PinState.BLOCKED
        return state_of(status & 0x0F) if status & 0xFFF0 == 0x63C0 else PinState.UNKNOWN
    if kind is not CardKind.CPS3:
        return PinState.UNKNOWN
    asked = bytes([0x4D, 0x08, 0x70, 0x06, 0xBF, 0x81, reference, 0x02, 0xA0, 0x80])
    _asked(transport, bytes.fromhex("00a4000c023f00"))
    data, status = _asked(transport, bytes([0, 0xCB, 0x3F, 0xFF, len(asked)]) + asked + b"\x00")
    if status != _OK:
        return PinState.UNKNOWN
    try:
        found = _first(parse_tlv(data), _TRIES_LEFT)
    except TlvInvalid:
        return PinState.UNKNOWN
    return state_of(found[0]) if found is not None and len(found) == 1 else PinState.UNKNOWN


def _first(objects: tuple[Tlv, ...], tag: int) -> bytes | None:
    for one in objects:
        value = one.value if one.tag == tag else _first(one.children, tag)
        if value is not None:
            return value
    return None


def state_of(left: int) -> PinState:
    """Return the state for a number of tries left; a number no card has says nothing."""
    if left == 0:
        return PinState.BLOCKED
    if left == 1:
        return PinState.LAST_TRY
    if left < MAX_TRIES:
        return PinState.LOW
    return PinState.OK if left == MAX_TRIES else PinState.UNKNOWN
