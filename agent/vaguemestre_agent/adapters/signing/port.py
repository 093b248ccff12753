"""What signs: a protocol whose every signature names its purpose, so that no route can sign just anything.

Owns the protocol; a structure certificate in files implements it (``software``), the CPS will through its readers.
Source: docs/architecture.md, "Authority".
"""

from __future__ import annotations

from typing import Protocol

from vaguemestre_core.signing import SignatureAlgorithm, SignaturePurpose


class SignerPort(Protocol):
    """Signs for one holder: a structure, or a professional."""

    def certificates(self, purpose: SignaturePurpose) -> tuple[bytes, ...]:
        """Return the certificate that verifies, then its chain when known, DER."""

    def subject_name(self, purpose: SignaturePurpose) -> str:
        """Return the certificate's subject, RFC 4514, most specific first."""

    async def sign(self, purpose: SignaturePurpose, data: bytes, algorithm: SignatureAlgorithm) -> bytes:
        """Return the RSA signature of data, hashing included.

        Raises:
            ServiceError: ``SIGNER_UNAVAILABLE`` (the key cannot be used now).
        """
