"""Signs with the key of an open card, for a purpose, through the readers process."""

from __future__ import annotations

from cryptography import x509

from vaguemestre_core.cardports import CardKeysPort, KeyId
from vaguemestre_core.redaction import REDACTED
from vaguemestre_core.signing import SignatureAlgorithm, SignaturePurpose


class CardSigner:
    """One card as a signer.

    Args:
        keys: the readers process.
        key: the card.
    """

    def __init__(self, keys: CardKeysPort, key: KeyId) -> None:
        self._keys = keys
        self._key = key

    def __repr__(self) -> str:
        return f"CardSigner({REDACTED})"

    def certificates(self, purpose: SignaturePurpose) -> tuple[bytes, ...]:
        """Return the card's certificate for a purpose, and its chain when known. Raises ServiceError CARD_TAKEN_OUT."""
        return self._keys.certificates(self._key, purpose)

    def subject_name(self, purpose: SignaturePurpose) -> str:
        """Return its subject, RFC 4514: the last RDN of a card has several values."""
        return x509.load_der_x509_certificate(self.certificates(purpose)[0]).subject.rfc4514_string()

    async def sign(self, purpose: SignaturePurpose, data: bytes, algorithm: SignatureAlgorithm) -> bytes:
        """Return the signature. Raises ServiceError ``CARD_TAKEN_OUT``, ``SIGNER_UNAVAILABLE``."""
        return await self._keys.sign(self._key, purpose, data, algorithm)
