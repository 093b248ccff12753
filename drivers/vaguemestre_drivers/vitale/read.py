"""The public read of Vitale 2: no licence, no PIN, four commands.

Owns the sequence on a ``CardTransport`` and what counts as a flaky reader; never keeps the card, never writes to it,
never logs what it says. Rights, birth names, ranks and certified NIRs are not readable this way.
Source: docs/cards.md (sequence of two working public readers).
"""

from __future__ import annotations

from typing import Final

from vaguemestre_core.cards import CardTrouble, Situation
from vaguemestre_core.vitale import Beneficiary, NirKey, VitaleReading, VitaleSource
from vaguemestre_drivers import apdu
from vaguemestre_drivers.apdu import CardAnswerInvalid, Command
from vaguemestre_drivers.pcsc.port import CardTransport
from vaguemestre_drivers.tlv import TlvInvalid, needed_bytes
from vaguemestre_drivers.vitale.decoding import (
    Identities,
    VitaleContentInvalid,
    decode_identities,
    decode_nirs,
    is_empty_file,
    pair,
)
from vaguemestre_drivers.vitale.fingerprint import Fingerprints

MASTER_FILE: Final = 0x3F00
APPLICATION_VITALE: Final = bytes.fromhex("D2 50 00 00 02 56 49 54 41 4C 45")
SHORT_FILE: Final = 2  # identities under the master file, NIRs under the application
FILE_MAX_BLOCKS: Final = 32  # 8 KiB, ten times what the largest family needs; a card that dribbles stops there too
ATTEMPTS: Final = 4  # keyboard readers lose an exchange now and then
_BLOCK: Final = 256


class VitaleReader:
    """Reads Vitale 2 cards; readings compare within one process (``Fingerprints``).

    Args:
        fingerprints: those of the process.
    """

    def __init__(self, fingerprints: Fingerprints) -> None:
        self._fingerprints = fingerprints

    def read(self, transport: CardTransport) -> VitaleReading:
        """Read the card in one go; a wrong NIR key is read a second time before it is believed.

        Raises:
            CardTrouble: VITALE_COMPONENT_ABSENT (the card refuses this read: Vitale 1 and test cards need the GIE's
                library), CARD_UNREADABLE with ``reason`` (what the card says is no Vitale content, or the exchange
                failed four times), and what the transport raises when the card or the reader leaves.
        """
        reading = self._read_once(transport)
        if any(_has_wrong_key(person) for person in reading.beneficiaries):
            again = self._read_once(transport)
            if not any(_has_wrong_key(person) for person in again.beneficiaries):
                return again
            if again.fingerprint != reading.fingerprint:
                raise CardTrouble(Situation.CARD_UNREADABLE, reason="unstable")
        return reading

    def _read_once(self, transport: CardTransport) -> VitaleReading:
        try:
            _, status = _patient_exchange(transport, apdu.select_file(MASTER_FILE))
            if status != apdu.SW_OK:
                raise CardTrouble(Situation.VITALE_COMPONENT_ABSENT, status=f"{status:04X}")
            identities = _read_file(transport, file="identities")
            _, status = _patient_exchange(transport, apdu.select_application(APPLICATION_VITALE))
            if status != apdu.SW_OK:
                raise CardTrouble(Situation.CARD_UNREADABLE, reason="application", status=f"{status:04X}")
            nirs = _read_file(transport, file="nirs")
            decoded: Identities = decode_identities(identities)
            beneficiaries = pair(decoded, decode_nirs(nirs))
        except (CardAnswerInvalid, VitaleContentInvalid) as error:
            raise CardTrouble(Situation.CARD_UNREADABLE, reason=error.reason) from error
        return VitaleReading(
            source=VitaleSource.CARD,
            beneficiaries=beneficiaries,
            fingerprint=self._fingerprints.of(VitaleSource.CARD, transport.atr, identities, nirs),
            valid_from=decoded.valid_from,
        )


def _has_wrong_key(person: Beneficiary) -> bool:
    return person.nir is not None and person.nir.key_status is NirKey.WRONG


def _patient_exchange(transport: CardTransport, command: Command) -> tuple[bytes, int]:
    """Exchange a command that only reads and may thus be repeated whole: four times in all if an exchange is lost."""
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return apdu.exchange(transport.transmit, command)
        except CardTrouble as trouble:
            if trouble.situation is not Situation.CARD_UNREADABLE or attempt == ATTEMPTS:
                raise
    raise AssertionError("the last attempt returns or raises")


def _read_file(transport: CardTransport, *, file: str) -> bytes:
    """Read short file 2 of what is selected, block after block while its objects need more."""
    data, status = _patient_exchange(transport, apdu.read_short_file(SHORT_FILE))
    if status not in (apdu.SW_OK, apdu.SW_END_OF_FILE):
        raise CardTrouble(Situation.CARD_UNREADABLE, reason=f"file_{file}", status=f"{status:04X}")
    for _ in range(FILE_MAX_BLOCKS):
        if status != apdu.SW_OK or not _wants_more(data):
            break
        block, status = _patient_exchange(transport, apdu.read_current_file(len(data)))
        if not block:
            break  # the file ends here (6B00, 6A86, 9000 without data): the parser says whether it is whole
        data += block
    return data


def _wants_more(data: bytes) -> bool:
    """Whether the objects begun need bytes that the blocks read so far do not hold."""
    if is_empty_file(data):
        return False
    try:
        needed = needed_bytes(data)
    except TlvInvalid:
        return False  # garbage: more of it would not help
    return needed is None or needed > len(data) or (len(data) % _BLOCK == 0 and data[-1] != 0)
