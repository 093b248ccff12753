"""What may be signed and how: one list of purposes and one list of algorithms, for every signer of the product.

Owns the two enums and what each algorithm is called in an XML signature; a structure certificate in files and a card
both sign for these purposes and no other, so that no route of the product can sign just anything. Which algorithm goes
with a purpose is the profile's choice.
Source: docs/architecture.md, "Authority"; RFC 6931 (algorithm identifiers).
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum, unique
from typing import Final


@unique
class SignaturePurpose(StrEnum):
    """What may be signed."""

    VIHF = "vihf"
    SUBMISSION_SET = "submission_set"
    INSI_ASSERTION = "insi_assertion"


@unique
class SignatureAlgorithm(StrEnum):
    """Signature methods that a profile may name, with the digest that goes with each."""

    RSA_SHA256 = "rsa-sha256"  # PKCS #1 v1.5
    RSA_SHA1 = "rsa-sha1"  # PKCS #1 v1.5; the official samples still carry it
    RSA_PSS_SHA256 = "rsa-pss-sha256"  # PSS, MGF1 with SHA-256, salt of 32 bytes


# The PSS identifier implies MGF1 with the same hash (RFC 6931, 2.3.10).
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
# As ``hashlib`` names them.
DIGEST_NAMES: Final[Mapping[SignatureAlgorithm, str]] = {
    SignatureAlgorithm.RSA_SHA256: "sha256",
    SignatureAlgorithm.RSA_SHA1: "sha1",
    SignatureAlgorithm.RSA_PSS_SHA256: "sha256",
}
