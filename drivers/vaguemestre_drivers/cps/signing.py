"""Signs with a card's key, for a purpose and for nothing else.

Owns the choice of the key, the table of mechanisms in order of preference for each algorithm, and two checks that a
middleware is not trusted with: before, that the bytes are an XML signature's SignedInfo (no route signs just anything);
after, that the signature verifies with the certificate that will be sent beside it.
Source: RFC 8017 (EMSA-PKCS1-v1_5, EMSA-PSS), PKCS #11 mechanisms v2.40, XML-DSig (SignedInfo).
"""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum, unique
from types import MappingProxyType
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from vaguemestre_core.cps import CpsError, CpsSituation, KeyRole
from vaguemestre_core.errors import InvalidInput
from vaguemestre_core.signing import DIGEST_NAMES, SignatureAlgorithm, SignaturePurpose
from vaguemestre_drivers.cps.certificates import KEY_FOR_PURPOSE, CardCertificate, certificate_for
from vaguemestre_drivers.cps.token import CardReading, OpenCard, is_usable_for

MAX_SIGNED_BYTES: Final = 262_144
SALT_BYTES: Final = 32
_SIGNED_INFO: Final = re.compile(
    rb"<(?:[A-Za-z_][\w.-]{0,20}:)?SignedInfo(?:\s[^<>]{0,2000})?\s"
    rb'xmlns(?::[A-Za-z_][\w.-]{0,20})?="http://www\.w3\.org/2000/09/xmldsig#"[^<>]{0,2000}>'
)
# DigestInfo of RFC 8017, 9.2, note 1: what comes before the digest; its last byte is the digest's length.
DIGEST_INFO: Final[Mapping[str, bytes]] = MappingProxyType(
    {
        "sha1": bytes.fromhex("3021300906052b0e03021a05000414"),
        "sha256": bytes.fromhex("3031300d060960864801650304020105000420"),
        "sha384": bytes.fromhex("3041300d060960864801650304020205000430"),
        "sha512": bytes.fromhex("3051300d060960864801650304020305000440"),
    }
)


@unique
class Preparation(StrEnum):
    """What is done before the card: the less the better."""

    NONE = "none"  # the middleware hashes and pads
    DIGEST = "digest"  # we hash, the card pads
    DIGEST_INFO = "digest_info"  # we hash and name the hash, the card pads
    PSS_BLOCK = "pss_block"  # we hash and pad, the card raises to its power


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """One mechanism for an algorithm: its name in the binding, what we do first, whether it takes PSS parameters."""

    mechanism: str
    preparation: Preparation
    takes_pss: bool = False


_A, _Q = SignatureAlgorithm, Preparation
WAYS: Final[Mapping[SignatureAlgorithm, tuple[Way, ...]]] = MappingProxyType(
    {
        _A.RSA_SHA256: (
            Way(mechanism="SHA256_RSA_PKCS", preparation=_Q.NONE),
            Way(mechanism="RSA_PKCS", preparation=_Q.DIGEST_INFO),
        ),
        _A.RSA_SHA1: (
            Way(mechanism="SHA1_RSA_PKCS", preparation=_Q.NONE),
            Way(mechanism="RSA_PKCS", preparation=_Q.DIGEST_INFO),
        ),
        # CPS4 has both PSS mechanisms; a CPS3 can only do the bare power.
        _A.RSA_PSS_SHA256: (
            Way(mechanism="SHA256_RSA_PKCS_PSS", preparation=_Q.NONE, takes_pss=True),
            Way(mechanism="RSA_PKCS_PSS", preparation=_Q.DIGEST, takes_pss=True),
            Way(mechanism="RSA_X_509", preparation=_Q.PSS_BLOCK),
        ),
    }
)


def require_signed_info(data: bytes) -> None:
    """Accept the SignedInfo of an XML signature in canonical form, the only thing our purposes sign.

    Raises:
        InvalidInput: ``SIGNATURE_NOT_BOUND`` with reason size or shape.
    """
    if len(data) > MAX_SIGNED_BYTES:
        raise InvalidInput("SIGNATURE_NOT_BOUND", reason="size")
    if _SIGNED_INFO.match(data) is None or not re.search(rb"</(?:[A-Za-z_][\w.-]{0,20}:)?SignedInfo>\Z", data):
        raise InvalidInput("SIGNATURE_NOT_BOUND", reason="shape")


def way_for(algorithm: SignatureAlgorithm, mechanisms: frozenset[str]) -> Way:
    """Return the best way this card has. Raises CpsError ``CPS_ALGORITHM_UNSUPPORTED``."""
    found = next((way for way in WAYS[algorithm] if way.mechanism in mechanisms), None)
    if found is None:
        raise CpsError(CpsSituation.CPS_ALGORITHM_UNSUPPORTED, algorithm=algorithm.value)
    return found


def prepared(
    way: Way, hash_name: str, data: bytes, key_bits: int, random_bytes: Callable[[int], bytes] = secrets.token_bytes
) -> bytes:
    """Return what the card is given for ``data``."""
    if way.preparation is Preparation.NONE:
        return data
    digest = hashlib.new(hash_name, data, usedforsecurity=True).digest()
    if way.preparation is Preparation.DIGEST:
        return digest
    if way.preparation is Preparation.DIGEST_INFO:
        return DIGEST_INFO[hash_name] + digest
    return pss_block(digest, random_bytes(SALT_BYTES), key_bits)


def pss_block(digest: bytes, salt: bytes, key_bits: int) -> bytes:
    """Return EMSA-PSS of a SHA-256 digest (RFC 8017, 9.1.1), as long as the key's modulus."""
    bits = key_bits - 1
    length = (bits + 7) // 8
    inner = hashlib.sha256(bytes(8) + digest + salt).digest()
    block = bytes(length - len(salt) - len(inner) - 2) + b"\x01" + salt
    mask = b"".join(
        hashlib.sha256(inner + counter.to_bytes(4, "big")).digest() for counter in range(-(-len(block) // len(inner)))
    )[: len(block)]
    masked = bytearray(left ^ right for left, right in zip(block, mask, strict=True))
    masked[0] &= 0xFF >> (8 * length - bits)
    return (bytes(masked) + inner + b"\xbc").rjust(key_bits // 8, b"\0")


def verifies(key: rsa.RSAPublicKey, algorithm: SignatureAlgorithm, data: bytes, signature: bytes) -> bool:
    """Return whether a signature is one of ``data`` by this key."""
    digest = hashes.SHA1() if algorithm is SignatureAlgorithm.RSA_SHA1 else hashes.SHA256()  # noqa: S303 - the profile's
    try:
        if algorithm is SignatureAlgorithm.RSA_PSS_SHA256:
            key.verify(signature, data, padding.PSS(padding.MGF1(digest), SALT_BYTES), digest)
        else:
            key.verify(signature, data, padding.PKCS1v15(), digest)
    except InvalidSignature:
        return False
    return True


def _pss_parameters() -> tuple[object, ...]:
    import pkcs11

    return pkcs11.Mechanism.SHA256, pkcs11.MGF.SHA256, SALT_BYTES


class CardSigner:
    """Signs with one card, open and read.

    Args:
        card: logged in.
        reading: what was read of it: its certificates go beside each signature.
        keys: which key signs each purpose (a profile may ask for another one).
    """

    def __init__(
        self,
        card: OpenCard,
        reading: CardReading,
        *,
        keys: Mapping[SignaturePurpose, KeyRole] = KEY_FOR_PURPOSE,
    ) -> None:
        self._card = card
        self._reading = reading
        self._keys = keys

    def __repr__(self) -> str:
        return "CardSigner()"

    def certificate(self, purpose: SignaturePurpose) -> CardCertificate:
        """Return the certificate that verifies what is signed for a purpose.

        Raises:
            CpsError: ``CPS_CONTACTLESS``, ``CPS_CERTIFICATE_MISSING``.
        """
        role = self._keys[purpose]
        if not is_usable_for(role):
            raise CpsError(CpsSituation.CPS_CONTACTLESS)
        return certificate_for(self._reading.certificates, role)

    def sign(self, purpose: SignaturePurpose, data: bytes, algorithm: SignatureAlgorithm, now: datetime) -> bytes:
        """Return the signature of a SignedInfo.

        Args:
            purpose: what it is for.
            data: canonical SignedInfo, bytes.
            algorithm: the profile's.
            now: aware: an expired card signs nothing.

        Raises:
            InvalidInput: ``SIGNATURE_NOT_BOUND``.
            CpsError: ``CPS_EXPIRED``, ``CPS_NOT_YET_VALID``, ``PIN_NEEDED``, ``CPS_KEY_MISSING``,
                ``CPS_ALGORITHM_UNSUPPORTED``, ``CPS_CHANGED`` (the signature is not by the certificate's key),
                and whatever the middleware says.
        """
        require_signed_info(data)
        self._reading.holder.validity.require(now)
        certificate = self.certificate(purpose)
        way = way_for(algorithm, self._card.mechanisms())
        public = certificate.facts.public_key
        given = prepared(way, DIGEST_NAMES[algorithm], data, public.key_size)
        signature = self._card.sign(certificate, given, way.mechanism, _pss_parameters() if way.takes_pss else None)
        if not verifies(public, algorithm, data, signature):
            raise CpsError(CpsSituation.CPS_CHANGED)
        return signature
