"""Cards of a test authority, in software: the sandbox's certificates, and keys that sign when asked."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from vaguemestre_sandbox.cards.cpspki import CardAuthority, CardPerson, IssuedCard

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
    """A test authority for cards, valid from yesterday for a month."""

    def __init__(self) -> None:
        now = dt.datetime.now(dt.UTC)
        self._begins_at, self._ends_at = now - dt.timedelta(days=1), now + dt.timedelta(days=30)
        self._issuer = CardAuthority(self._begins_at, ends_at=self._ends_at)

    def write(self, path: Path) -> Path:
        """Write its certificate as PEM."""
        path.write_bytes(self._issuer.certificate.public_bytes(serialization.Encoding.PEM))
        return path

    def issue(
        self, holder: str, *, card_type: int = CPS, profession: int = 10, signature_holder: str | None = None
    ) -> SoftCard:
        """Return a card; ``signature_holder`` makes one whose two halves are two persons'."""
        own = self._issued(holder, card_type, profession)
        other = own if signature_holder is None else self._issued(signature_holder, card_type, profession)
        return SoftCard(holder=holder, authentication=_pair(*own.authentication), signature=_pair(*other.signature))

    def _issued(self, holder: str, card_type: int, profession: int) -> IssuedCard:
        person = CardPerson(identifier=holder, title="", card_type=card_type, profession=profession)
        return self._issuer.issue(person, begins_at=self._begins_at, ends_at=self._ends_at)


@cache
def card_authority() -> SoftCardAuthority:
    """Return the authority that all the tests of a run share: keys take long to make."""
    return SoftCardAuthority()


@cache
def card_of(
    holder: str, *, card_type: int = CPS, profession: int = 10, signature_holder: str | None = None
) -> SoftCard:
    """Return a card of the shared authority, made once for all who ask for it; see ``SoftCardAuthority.issue``."""
    return card_authority().issue(holder, card_type=card_type, profession=profession, signature_holder=signature_holder)


def _pair(key_der: bytes, certificate_der: bytes) -> Pair:
    key = serialization.load_der_private_key(key_der, None)
    assert isinstance(key, rsa.RSAPrivateKey)
    return Pair(key=key, certificate=x509.load_der_x509_certificate(certificate_der))
