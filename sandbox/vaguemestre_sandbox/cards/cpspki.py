"""Certificates shaped like those of a professional's card, under an authority that nobody trusts.

Owns the shape: subject with a multi-valued last RDN (identifier, name, given name), the extensions 1.2.250.1.71.1.2.*,
key usages; and the values of a few fictitious professionals. Keys are made anew for each card.
Source: decoded IGC-Santé test certificates; fictitious persons of this sandbox.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from vaguemestre_sandbox.pki import key_usage

_CARD_TYPE: Final = x509.ObjectIdentifier("1.2.250.1.71.1.2.2")
_CARD_NUMBER: Final = x509.ObjectIdentifier("1.2.250.1.71.1.2.3")
_CARD_CATEGORY: Final = x509.ObjectIdentifier("1.2.250.1.71.1.2.5")
_PROFESSION: Final = x509.ObjectIdentifier("1.2.250.1.71.1.2.7")
_POLICY: Final = x509.ObjectIdentifier("1.2.250.1.213.1.7.2.1.1.1.1")
_ISSUER_NUMBER: Final = "8025000001"


@dataclass(frozen=True, slots=True, kw_only=True)
class CardPerson:
    """A fictitious professional and the card that names him or her.

    Attributes:
        generation: the beginning of the token's label (``CPS3v3``, ``CPS4v1``).
        number: ten digits.
        identifier: kind digit and number.
        family, given, title: as the certificate writes them.
        profession: TRE_G15 code.
        specialty: last characters of CPS_INFO_PS, or empty.
        sector: last characters of the activity objects.
        card_type: 0 CPS, 1 CPF, 2 CPE, 3 CPA.
        category: 0x80 for a test card, 0 for a real one.
    """

    generation: str = "CPS3v3"
    number: str = "2900995235"
    identifier: str = "899700000012"
    family: str = "ESSAI"
    given: str = "CAMILLE"
    title: str = "Médecin"
    profession: int = 10
    specialty: str = "SM26"
    sector: str = "SA07"
    card_type: int = 0
    category: int = 0x80


DOCTOR: Final = CardPerson()
DOCTOR_CPS4: Final = CardPerson(generation="CPS4v1", number="3100603746", identifier="899700000020", given="ALIX")
NURSE: Final = CardPerson(
    number="2800636234",
    identifier="00B6087510",
    family="MODELE",
    given="DOMINIQUE",
    title="Infirmier",
    profession=60,
    specialty="",
)
SECRETARY: Final = CardPerson(
    number="2700112239",
    identifier="3750000001/0000000017",
    family="EXEMPLE",
    given="SASHA",
    title="",
    profession=0,
    specialty="",
    card_type=2,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuedCard:
    """The two key pairs and certificates of a card, DER (keys PKCS #8)."""

    authentication: tuple[bytes, bytes]
    signature: tuple[bytes, bytes]


class CardAuthority:
    """A test authority for people's cards, in memory.

    Args:
        now: instant from which its own certificate is valid.
    """

    def __init__(self, now: datetime, *, ends_at: datetime) -> None:
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self._name = x509.Name(
            [
                x509.NameAttribute(NameOID.COUNTRY_NAME, "FR"),
                x509.NameAttribute(NameOID.ORGANIZATION_NAME, "BAC A SABLE"),
                x509.NameAttribute(NameOID.COMMON_NAME, "TEST AC BAC A SABLE PERSONNES"),
            ]
        )
        self.certificate = (
            x509.CertificateBuilder()
            .subject_name(self._name)
            .issuer_name(self._name)
            .public_key(self._key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now)
            .not_valid_after(ends_at)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .sign(self._key, hashes.SHA256())
        )

    def issue(self, person: CardPerson, *, begins_at: datetime, ends_at: datetime) -> IssuedCard:
        """Return a card's certificates and keys for a time (aware instants)."""
        return IssuedCard(
            authentication=self._pair(person, begins_at, ends_at, signs=False),
            signature=self._pair(person, begins_at, ends_at, signs=True),
        )

    def _pair(self, person: CardPerson, begins_at: datetime, ends_at: datetime, *, signs: bool) -> tuple[bytes, bytes]:
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        usage = ExtendedKeyUsageOID.EMAIL_PROTECTION if signs else ExtendedKeyUsageOID.CLIENT_AUTH
        number = f"{_ISSUER_NUMBER}/{person.number}".encode()
        raw = {
            _CARD_TYPE: bytes([2, 1, person.card_type]),
            _CARD_NUMBER: bytes([0x13, len(number)]) + number,
            _CARD_CATEGORY: bytes([4, 1, person.category]),
        }
        if person.profession:
            raw[_PROFESSION] = bytes([2, 1, person.profession])
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject_of(person))
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(begins_at)
            .not_valid_after(ends_at)
            .add_extension(key_usage(digital=not signs, commits=signs), critical=True)
            .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
            .add_extension(x509.CertificatePolicies([x509.PolicyInformation(_POLICY, None)]), critical=False)
        )
        for oid, value in raw.items():
            builder = builder.add_extension(x509.UnrecognizedExtension(oid, value), critical=False)
        certificate = builder.sign(self._key, hashes.SHA256())
        return (
            key.private_bytes(
                serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            ),
            certificate.public_bytes(serialization.Encoding.DER),
        )


def subject_of(person: CardPerson) -> x509.Name:
    """Return the subject as the cards write it: country, profession, then one RDN with three values."""
    rdns = [x509.RelativeDistinguishedName([x509.NameAttribute(NameOID.COUNTRY_NAME, "FR")])]
    if person.title:
        rdns.append(x509.RelativeDistinguishedName([x509.NameAttribute(NameOID.TITLE, person.title)]))
    rdns.append(
        x509.RelativeDistinguishedName(
            [
                x509.NameAttribute(NameOID.GIVEN_NAME, person.given),
                x509.NameAttribute(NameOID.COMMON_NAME, person.identifier),
                x509.NameAttribute(NameOID.SURNAME, person.family),
            ]
        )
    )
    return x509.Name(rdns)
