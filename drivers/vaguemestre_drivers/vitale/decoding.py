"""The two files of the public read of Vitale 2, bytes to values: identities, NIR list, both in the same order.

Owns the tags and the pairing; never talks to a card. A file that does not follow the rules is refused whole: a person
paired with the NIR of another is worse than no reading.
Source: tags confirmed by two independent public readers (docs/cards.md).
"""

from __future__ import annotations

from typing import Final

from vaguemestre_core.errors import InvalidInput, Recovery, VaguemestreError
from vaguemestre_core.redaction import REDACTED
from vaguemestre_core.vitale import BENEFICIARIES_MAX, Beneficiary, Nir, VitaleDate
from vaguemestre_drivers.tlv import Tlv, TlvInvalid, only, parse_tlv

TAG_BENEFICIARY: Final = 0x65
TAG_USUAL_NAME: Final = 0x80
TAG_GIVEN_NAME: Final = 0x81
TAG_BIRTH_DATE: Final = 0x82
TAG_COUNTRY: Final = 0x90
TAG_NIR: Final = 0x93
TAG_VALIDITY: Final = 0x66
TAG_VALID_FROM: Final = 0x80
_TEMPLATES: Final = frozenset({TAG_BENEFICIARY, TAG_VALIDITY})


class VitaleContentInvalid(VaguemestreError):
    """The files of a Vitale do not say what they should; ``reason`` is a word, ``file`` is identities or nirs."""

    default_code = "VITALE_CONTENT_INVALID"
    recovery = Recovery.USER_ACTION

    def __init__(self, reason: str, *, file: str) -> None:
        super().__init__(reason=reason, file=file)
        self.reason = reason


class Identities:
    """The identity file once read: the templates in order, and the date from which the card is valid."""

    __slots__ = ("people", "valid_from")

    def __init__(self, people: tuple[Tlv, ...], valid_from: VitaleDate | None) -> None:
        self.people = people
        self.valid_from = valid_from

    def __repr__(self) -> str:
        return f"Identities({len(self.people)} people {REDACTED})"


def is_empty_file(data: bytes) -> bool:
    """Return whether a file of the card holds nothing: it begins with 00, or with 04 00."""
    return data[:1] in (b"", b"\x00") or data[:2] == b"\x04\x00"


def decode_identities(data: bytes) -> Identities:
    """Read the identity file.

    Raises:
        VitaleContentInvalid: ``VITALE_CONTENT_INVALID`` with reason empty, tlv_…, nobody or too_many.
    """
    objects = _objects(data, file="identities")
    people = _people(objects, file="identities")
    inside = (template for person in people for template in person.all(TAG_VALIDITY))
    validity = next(iter((*only(objects, TAG_VALIDITY), *inside)), None)
    return Identities(people, _date(None if validity is None else validity.first(TAG_VALID_FROM)))


def decode_nirs(data: bytes) -> tuple[Nir | None, ...]:
    """Read the NIR file: one entry per beneficiary, None for one whose number is not written.

    Raises:
        VitaleContentInvalid: as ``decode_identities``, or reason nir for a number that has not the shape of one.
    """
    return tuple(_nir(person) for person in _people(_objects(data, file="nirs"), file="nirs"))


def pair(identities: Identities, nirs: tuple[Nir | None, ...]) -> tuple[Beneficiary, ...]:
    """Return the beneficiaries: the nth identity with the nth NIR.

    Raises:
        VitaleContentInvalid: ``VITALE_CONTENT_INVALID`` (count) when the two files do not name as many people;
            reason name, text or birth_date for an identity that has no usable one.
    """
    if len(identities.people) != len(nirs):
        raise VitaleContentInvalid("count", file="nirs")
    return tuple(
        _beneficiary(position, person, nir)
        for position, (person, nir) in enumerate(zip(identities.people, nirs, strict=True))
    )


def _objects(data: bytes, *, file: str) -> tuple[Tlv, ...]:
    if is_empty_file(data):
        raise VitaleContentInvalid("empty", file=file)
    try:
        return parse_tlv(data, into=_TEMPLATES)
    except TlvInvalid as error:
        raise VitaleContentInvalid(f"tlv_{error.reason}", file=file) from None


def _people(objects: tuple[Tlv, ...], *, file: str) -> tuple[Tlv, ...]:
    people = only(objects, TAG_BENEFICIARY)
    if not people:
        raise VitaleContentInvalid("nobody", file=file)
    if len(people) > BENEFICIARIES_MAX:
        raise VitaleContentInvalid("too_many", file=file)
    return people


def _beneficiary(position: int, person: Tlv, nir: Nir | None) -> Beneficiary:
    try:
        return Beneficiary(
            position=position,
            usual_name=_text(person.first(TAG_USUAL_NAME)),
            given_name=_text(person.first(TAG_GIVEN_NAME)),
            birth_date=_date(person.first(TAG_BIRTH_DATE)),
            country=_text(person.first(TAG_COUNTRY)) or None,
            nir=nir,
        )
    except InvalidInput as error:
        raise VitaleContentInvalid(str(error.params.get("field", "text")), file="identities") from None


def _text(item: Tlv | None) -> str:
    """Return Latin-1 text without its padding; the empty string when absent."""
    if item is None:
        return ""
    text = item.value.rstrip(b"\x00 ").decode("latin-1").replace("\xa0", " ")
    return text.strip()


def _date(item: Tlv | None) -> VitaleDate | None:
    text = _text(item)
    if not text:
        return None
    try:
        return VitaleDate(text=text)
    except InvalidInput:
        raise VitaleContentInvalid("date", file="identities") from None


def _nir(person: Tlv) -> Nir | None:
    text = _text(person.first(TAG_NIR))
    if not text:
        return None
    try:
        return Nir.from_text(text)
    except InvalidInput:
        raise VitaleContentInvalid("nir", file="nirs") from None
