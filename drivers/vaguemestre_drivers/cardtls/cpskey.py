"""The authentication key of a card whose PIN session is open, as TLS wants it.

Owns the bond to the purpose: the key answers what a TLS handshake signs and nothing else, in the session that the
person's PIN opened. It opens nothing, asks for no PIN, and does its work where the middleware's one thread is.
Source: RFC 8017 (DigestInfo, EMSA-PSS), RFC 5246 and RFC 8446 (CertificateVerify).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from vaguemestre_core.cps import KeyRole
from vaguemestre_core.errors import InvalidInput
from vaguemestre_drivers.cardtls.keys import Padding, TlsKey
from vaguemestre_drivers.cps.certificates import CardCertificate, certificate_for
from vaguemestre_drivers.cps.signing import DIGEST_INFO
from vaguemestre_drivers.cps.token import OpenCard

RAISES_BLOCKS: Final = "RSA_X_509"
_MECHANISMS: Final = {Padding.PKCS1: "RSA_PKCS", Padding.NONE: RAISES_BLOCKS}
_DIGEST_INFOS: Final = tuple(DIGEST_INFO[name] for name in ("sha256", "sha384", "sha512"))
_PSS_TRAILER: Final = 0xBC
_MIN_BLOCK_BYTES: Final = 256


def tls_key_of(
    card: OpenCard,
    certificates: Iterable[CardCertificate],
    run: Callable[[Callable[[], bytes]], bytes],
    *,
    raises_blocks: bool = False,
) -> TlsKey:
    """Return the authentication key of an open card.

    Args:
        card: the card, logged in.
        certificates: what was read on it.
        run: does a piece of work on the middleware's thread and returns what it gives, or raises what it raises.
        raises_blocks: let TLS 1.3 and PSS be used: whether the card has the mechanism ``RAISES_BLOCKS``.

    Raises:
        CpsError: ``CPS_CERTIFICATE_MISSING``, ``CPS_CONTACTLESS``.
    """
    certificate = certificate_for(certificates, KeyRole.AUTHENTICATION)

    def sign(block: bytes, padding: Padding) -> bytes:
        require_handshake(block, padding)
        return run(lambda: card.sign(certificate, block, _MECHANISMS[padding]))

    return TlsKey(chain=(certificate.der,), sign=sign, raises_blocks=raises_blocks)


def require_handshake(block: bytes, padding: Padding) -> None:
    """Accept what a TLS handshake signs. Raises InvalidInput ``SIGNATURE_NOT_BOUND`` (reason shape)."""
    is_bound = (
        any(block.startswith(prefix) and len(block) == len(prefix) + prefix[-1] for prefix in _DIGEST_INFOS)
        if padding is Padding.PKCS1
        else len(block) >= _MIN_BLOCK_BYTES and block[-1] == _PSS_TRAILER
    )
    if not is_bound:
        raise InvalidInput("SIGNATURE_NOT_BOUND", reason="shape")
