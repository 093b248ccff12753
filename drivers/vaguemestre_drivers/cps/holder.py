"""Whose card it is: certificates and data objects of a CPS, bytes to values, no card and no library at hand.

Owns the reading of the subject (its last RDN has several values: identifier, name, given name), of extensions
1.2.250.1.71.1.2.*, and of what the data objects add. A certificate without what makes a holder is refused as a whole:
half a holder would sign in nobody's name.
Source: decoded IGC-Santé test certificates; DICO-FR G01, G02, G08; TRE_G15; RFC 5280.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID, ObjectIdentifier

from vaguemestre_core.cps import (
    ISSUER_PREFIX,
    CardCategory,
    CardNumber,
    CardValidity,
    CpsError,
    CpsHolder,
    CpsSituation,
    NationalIdentifier,
    is_specialty,
)
from vaguemestre_core.errors import InvalidInput
from vaguemestre_core.redaction import REDACTED, Personal

OID_CARD_TYPE: Final = "1.2.250.1.71.1.2.2"
OID_CARD_NUMBER: Final = "1.2.250.1.71.1.2.3"
OID_CARD_CATEGORY: Final = "1.2.250.1.71.1.2.5"
OID_PROFESSION: Final = "1.2.250.1.71.1.2.7"

_TAG_INTEGER: Final = 0x02
_TAG_OCTET_STRING: Final = 0x04
_TAG_PRINTABLE_STRING: Final = 0x13
_TEST_CATEGORY: Final = 0x80
_TEST_ISSUER: Final = re.compile(r"\bTEST\b")
_NUMBER: Final = re.compile(r"([0-9]{10})/([0-9]{8,12})")
_SERIAL_TAG: Final = b"\x5a\x0a"
_TAIL_CHARACTERS: Final = 4
_MAX_CERTIFICATE_BYTES: Final = 16_384
# What the certificate parser raises on bytes that are no certificate of ours.
_PARSER_REFUSALS: Final = (
    ValueError,
    TypeError,
    OverflowError,
    UnsupportedAlgorithm,
    x509.DuplicateExtension,
    x509.InvalidVersion,
    x509.UnsupportedGeneralNameType,
)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class CertificateFacts:
    """What one certificate says: its holder (without specialty), its key, and whether it may prove a signature."""

    holder: CpsHolder
    public_key: rsa.RSAPublicKey
    is_for_signature: bool

    def __repr__(self) -> str:
        return f"CertificateFacts({REDACTED})"


def read_certificate(der: bytes) -> CertificateFacts:
    """Read a certificate of a card.

    Raises:
        CpsError: ``CPS_UNREADABLE`` with a reason (size, certificate, key, name, extension, value); nothing else.
    """
    if len(der) > _MAX_CERTIFICATE_BYTES:
        raise _unreadable("size")
    try:
        certificate = x509.load_der_x509_certificate(der)
        key = certificate.public_key()
        names = _subject(certificate)
        extensions = {one.oid.dotted_string: one.value for one in certificate.extensions}
        issuer = certificate.issuer.rfc4514_string()
        begins_at, ends_at = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    except _PARSER_REFUSALS:
        raise _unreadable("certificate") from None
    if not isinstance(key, rsa.RSAPublicKey):
        raise _unreadable("key")
    usage = extensions.get("2.5.29.15")
    try:
        holder = CpsHolder(
            identifier=NationalIdentifier.parse(_one(names, NameOID.COMMON_NAME) or ""),
            family_name=Personal((_one(names, NameOID.SURNAME) or "").strip()),
            given_name=_personal(_one(names, NameOID.GIVEN_NAME)),
            title=_personal(_one(names, NameOID.TITLE)),
            profession=_integer(extensions, OID_PROFESSION),
            specialty=None,
            number=_number(extensions),
            category=_category(extensions),
            is_test=_is_test(extensions, issuer),
            validity=CardValidity(begins_at=begins_at, ends_at=ends_at),
        )
    except InvalidInput as refused:
        raise _unreadable("value", rule=refused.code) from None
    return CertificateFacts(
        holder=holder,
        public_key=key,
        is_for_signature=isinstance(usage, x509.KeyUsage) and usage.content_commitment,
    )


def _unreadable(reason: str, **params: str) -> Exception:
    return CpsError(CpsSituation.CPS_UNREADABLE, reason=reason, **params)


def _subject(certificate: x509.Certificate) -> dict[ObjectIdentifier, list[str]]:
    """Return each attribute of the subject, whatever RDN it shares with others."""
    found: dict[ObjectIdentifier, list[str]] = {}
    for rdn in certificate.subject.rdns:
        for attribute in rdn:
            value = attribute.value
            found.setdefault(attribute.oid, []).append(value if isinstance(value, str) else "")
    return found


def _one(names: dict[ObjectIdentifier, list[str]], oid: ObjectIdentifier) -> str | None:
    values = names.get(oid, [])
    if len(values) > 1:  # two identifiers in one name: which one would we act for?
        raise _unreadable("name")
    return values[0] if values else None


def _personal(value: str | None) -> Personal | None:
    return Personal(value.strip()) if value is not None and value.strip() else None


def _content(extensions: dict[str, x509.ExtensionType], oid: str, tag: int) -> bytes | None:
    """Return the content of the one short primitive an extension of the card holds; None when it is absent."""
    value = extensions.get(oid)
    if value is None:
        return None
    if not isinstance(value, x509.UnrecognizedExtension):
        raise _unreadable("extension")
    der = value.value
    if len(der) < 3 or der[0] != tag or der[1] >= 0x80 or len(der) != 2 + der[1]:
        raise _unreadable("extension")
    return der[2:]


def _integer(extensions: dict[str, x509.ExtensionType], oid: str) -> int | None:
    content = _content(extensions, oid, _TAG_INTEGER)
    return None if content is None else int.from_bytes(content, "big", signed=True)


def _number(extensions: dict[str, x509.ExtensionType]) -> CardNumber:
    content = _content(extensions, OID_CARD_NUMBER, _TAG_PRINTABLE_STRING)
    match = _NUMBER.fullmatch((content or b"").decode("ascii", "replace"))
    if match is None:
        raise _unreadable("extension")
    return CardNumber(digits=match.group(2))


def _category(extensions: dict[str, x509.ExtensionType]) -> CardCategory:
    number = _integer(extensions, OID_CARD_TYPE)
    try:
        return CardCategory(0 if number is None else number)
    except ValueError:
        raise _unreadable("extension") from None


def _is_test(extensions: dict[str, x509.ExtensionType], issuer: str) -> bool:
    """Return whether any sign says so: a test card taken for a real one would touch real patients."""
    category = _content(extensions, OID_CARD_CATEGORY, _TAG_OCTET_STRING)
    return bool(category and category[0] & _TEST_CATEGORY) or _TEST_ISSUER.search(issuer) is not None


def number_from_label(label: str) -> CardNumber | None:
    """Return the number that a token's label ends with (``CPS3v3-2900995235``), or None (``CPS3v3_CL``)."""
    match = re.search(r"-([0-9]{8,12})$", label.strip())
    return CardNumber(digits=match.group(1)) if match else None


def number_from_serial_file(content: bytes) -> CardNumber | None:
    """Return the number in EF.SN.ICC: ``5A 0A``, issuer on five bytes, number on five, BCD without its filler."""
    if len(content) < 12 or not content.startswith(_SERIAL_TAG):
        return None
    digits = content[2:12].hex()
    if not digits.startswith(ISSUER_PREFIX):
        return None
    own = digits[len(ISSUER_PREFIX) :].rstrip("f")
    return CardNumber(digits=own) if own.isdigit() and len(own) >= 8 else None


def specialty_from_info(content: bytes) -> str | None:
    """Return the specialty at the end of the data object CPS_INFO_PS (``…SM26``), or None when there is none.

    The object's coding differs between cards and its specification is not public: only its last characters are read.
    """
    return _tail_code(content, is_specialty)


def sector_from_activity(content: bytes) -> str | None:
    """Return the secteur d'activité (SAxx) at the end of a data object CPS_ACTIVITY_nn_PS, or None."""
    return _tail_code(content, lambda text: re.fullmatch(r"SA[0-9]{2}", text) is not None)


def _tail_code(content: bytes, is_code: Callable[[str], bool]) -> str | None:
    tail = content.rstrip(b"\x00\x20")[-_TAIL_CHARACTERS:]
    text = tail.decode("latin-1")
    return text if text.isascii() and is_code(text) else None
