"""Cards of a test authority, in software: certificates shaped like a CPS's, and keys that sign when asked."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

CPS, CPE = 0, 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A key and its certificate."""

    key: rsa.RSAPrivateKey
    certificate: x509.Certificate

    @property
    def der(self) -> bytes:
        """The certificate."""
        return self.certificate.public_bytes(serialization.Encoding.DER)

    @property
    def key_der(self) -> bytes:
        """The key, PKCS #1."""
        return self.key.private_bytes(
            serialization.Encoding.DER, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
        )

    def raised(self, block: bytes) -> bytes:
        """Return a block raised to the key's power, as CKM_RSA_X_509 does."""
        numbers = self.key.private_numbers()
        return pow(int.from_bytes(block, "big"), numbers.d, numbers.public_numbers.n).to_bytes(256, "big")

    def padded(self, digest_info: bytes) -> bytes:
        """Return the PKCS #1 signature of a DigestInfo, as CKM_RSA_PKCS does."""
        return self.raised(b"\0\1" + b"\xff" * (253 - len(digest_info)) + b"\0" + digest_info)


@dataclass(frozen=True, slots=True, kw_only=True)
class SoftCard:
    """A card's two pairs."""

    holder: str
    authentication: Pair
    signature: Pair


class SoftCardAuthority:
    """A test authority for cards."""

    def __init__(self) -> None:
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "TEST AC CARTES")])
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        constraint = x509.BasicConstraints(ca=True, path_length=0)
        certificate = _builder(name, name, key).add_extension(constraint, critical=True).sign(key, hashes.SHA256())
        self._pair = Pair(key=key, certificate=certificate)

    def write(self, path: Path) -> Path:
        """Write its certificate as PEM."""
        path.write_bytes(self._pair.certificate.public_bytes(serialization.Encoding.PEM))
        return path

    def issue(
        self, holder: str, *, card_type: int = CPS, profession: int = 10, signature_holder: str | None = None
    ) -> SoftCard:
        """Return a card; ``signature_holder`` makes one whose two halves are two persons'."""
        return SoftCard(
            holder=holder,
            authentication=self._issue(holder, card_type, profession, signs=False),
            signature=self._issue(signature_holder or holder, card_type, profession, signs=True),
        )

    def _issue(self, holder: str, card_type: int, profession: int, *, signs: bool) -> Pair:
        names = [x509.NameAttribute(NameOID.GIVEN_NAME, "CAMILLE"), x509.NameAttribute(NameOID.COMMON_NAME, holder)]
        subject = x509.Name(
            [
                x509.RelativeDistinguishedName([x509.NameAttribute(NameOID.COUNTRY_NAME, "FR")]),
                x509.RelativeDistinguishedName([*names, x509.NameAttribute(NameOID.SURNAME, "ESSAI")]),
            ]
        )
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        builder = _builder(subject, self._pair.certificate.subject, key).add_extension(
            _usage(signs=signs), critical=True
        )
        numbers = {"1.2.250.1.71.1.2.2": card_type} | ({"1.2.250.1.71.1.2.7": profession} if profession else {})
        for oid, number in numbers.items():
            value = x509.UnrecognizedExtension(x509.ObjectIdentifier(oid), bytes([2, 1, number]))
            builder = builder.add_extension(value, critical=False)
        return Pair(key=key, certificate=builder.sign(self._pair.key, hashes.SHA256()))


def _builder(subject: x509.Name, issuer: x509.Name, key: rsa.RSAPrivateKey) -> x509.CertificateBuilder:
    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=30))
    )


def _usage(*, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs,
        content_commitment=signs,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
