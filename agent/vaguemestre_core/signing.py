"""What may be signed and how: one list of purposes and one list of algorithms, for every signer of the product.

Owns the two enums; a structure certificate in files and a card both sign for these purposes and no other, so that no
route of the product can sign just anything. Which algorithm goes with a purpose is the profile's choice.
Source: docs/architecture.md, "Authority"; RFC 6931 (algorithm identifiers).
"""

from __future__ import annotations

from enum import StrEnum, unique


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
