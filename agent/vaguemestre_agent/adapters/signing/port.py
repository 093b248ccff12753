"""What signs: a protocol whose every signature names its purpose, so that no route can sign just anything.

Owns the protocol; a structure certificate in files implements it (``software``), the CPS will through its readers.
Source: docs/architecture.md, "Authority"; RFC 6931 (algorithm identifiers).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Protocol

from vaguemestre_core.signing import SignatureAlgorithm, SignaturePurpose

SIGNATURE_URIS: Final[Mapping[SignatureAlgorithm, str]] = {
    SignatureAlgorithm.RSA_SHA256: "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256",
    SignatureAlgorithm.RSA_SHA1: "http://www.w3.org/2000/09/xmldsig#rsa-sha1",
    SignatureAlgorithm.RSA_PSS_SHA256: "http://www.w3.org/2007/05/xmldsig-more#sha256-rsa-MGF1",
}
DIGEST_URIS: Final[Mapping[SignatureAlgorithm, str]] = {
    SignatureAlgorithm.RSA_SHA256: "http://www.w3.org/2001/04/xmlenc#sha256",
    SignatureAlgorithm.RSA_SHA1: "http://www.w3.org/2000/09/xmldsig#sha1",
    SignatureAlgorithm.RSA_PSS_SHA256: "http://www.w3.org/2001/04/xmlenc#sha256",
}
DIGEST_NAMES: Final[Mapping[SignatureAlgorithm, str]] = {
    SignatureAlgorithm.RSA_SHA256: "sha256",
    SignatureAlgorithm.RSA_SHA1: "sha1",
    SignatureAlgorithm.RSA_PSS_SHA256: "sha256",
}


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
