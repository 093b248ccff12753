"""Signs with a key in a PEM file: the structure certificate of a practice.

Owns the key in memory and nothing else; it never prints it, never writes it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from vaguemestre_core.errors import InvalidInput
from vaguemestre_core.redaction import REDACTED, Secret
from vaguemestre_core.signing import SignatureAlgorithm, SignaturePurpose

# SHA-1 only where a profile asks for it: the official samples still carry it.
_HASHES: Final[Mapping[SignatureAlgorithm, type[hashes.HashAlgorithm]]] = {
    SignatureAlgorithm.RSA_SHA256: hashes.SHA256,
    SignatureAlgorithm.RSA_SHA1: hashes.SHA1,
    SignatureAlgorithm.RSA_PSS_SHA256: hashes.SHA256,
}
_PSS_SALT_BYTES: Final = 32


class SoftwareSigner:
    """A key and its certificate; the same one for every purpose it was given for.

    Args:
        certificate_pem: the certificate, then its chain.
        key_pem: the RSA private key.
        password: of the key, or None.
        purposes: what it may sign.

    Raises:
        InvalidInput: ``SIGNER_INVALID`` (reason unreadable, not_rsa, not_a_pair).
    """

    def __init__(
        self,
        certificate_pem: bytes,
        key_pem: bytes,
        *,
        password: Secret | None = None,
        purposes: frozenset[SignaturePurpose] = frozenset(SignaturePurpose),
    ) -> None:
        try:
            chain = x509.load_pem_x509_certificates(certificate_pem)
            key = serialization.load_pem_private_key(key_pem, None if password is None else password.reveal().encode())
        except (ValueError, TypeError):
            raise InvalidInput("SIGNER_INVALID", reason="unreadable") from None
        if not isinstance(key, rsa.RSAPrivateKey):
            raise InvalidInput("SIGNER_INVALID", reason="not_rsa")
        if chain[0].public_key() != key.public_key():
            raise InvalidInput("SIGNER_INVALID", reason="not_a_pair")
        self._key = key
        self._chain = tuple(chain)
        self._purposes = purposes

    @classmethod
    def from_files(cls, certificate_file: Path, key_file: Path, *, password: Secret | None = None) -> SoftwareSigner:
        """Read PEM files. Raises InvalidInput ``SIGNER_INVALID``, OSError."""
        return cls(certificate_file.read_bytes(), key_file.read_bytes(), password=password)

    def __repr__(self) -> str:
        return f"SoftwareSigner({REDACTED})"

    def _require(self, purpose: SignaturePurpose) -> None:
        if purpose not in self._purposes:
            raise InvalidInput("SIGNER_INVALID", reason="purpose")

    def certificates(self, purpose: SignaturePurpose) -> tuple[bytes, ...]:
        """Return the certificate and its chain, DER."""
        self._require(purpose)
        return tuple(certificate.public_bytes(serialization.Encoding.DER) for certificate in self._chain)

    def subject_name(self, purpose: SignaturePurpose) -> str:
        """Return the certificate's subject, RFC 4514."""
        self._require(purpose)
        return self._chain[0].subject.rfc4514_string()

    async def sign(self, purpose: SignaturePurpose, data: bytes, algorithm: SignatureAlgorithm) -> bytes:
        """Return the signature; about a millisecond, no input or output."""
        return self.sign_now(purpose, data, algorithm)

    def sign_now(self, purpose: SignaturePurpose, data: bytes, algorithm: SignatureAlgorithm) -> bytes:
        """Do the same without a loop."""
        self._require(purpose)
        digest = _HASHES[algorithm]()
        if algorithm is SignatureAlgorithm.RSA_PSS_SHA256:
            return self._key.sign(data, padding.PSS(padding.MGF1(digest), _PSS_SALT_BYTES), digest)
        return self._key.sign(data, padding.PKCS1v15(), digest)
