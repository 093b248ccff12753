"""A workstation whose cards can be pulled at any moment: both card ports over the product's own TLS forwarder."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding

from vaguemestre_core.cardports import KeyId
from vaguemestre_core.errors import ServiceError
from vaguemestre_core.records import AuthorityMeans
from vaguemestre_core.signing import SignatureAlgorithm, SignaturePurpose
from vaguemestre_drivers.cardtls.forwarder import CardTls, Trust
from vaguemestre_drivers.cardtls.keys import Padding, TlsKey
from vaguemestre_testkit.card_pki import SoftCard
from vaguemestre_testkit.scripted_cards import ScriptedCards


class CardStation(ScriptedCards):
    """CardPresencePort and CardKeysPort: cards in software.

    Attributes:
        before: what a test does just before the named step of a card (``sign``, ``tls``).
        signatures: purposes of the signatures made.
        handshakes: connections opened with a card's key.
    """

    def __init__(self, trust: Trust, folder: Path, *, unix: bool = True) -> None:
        super().__init__()
        self._tls = CardTls(trust, folder, unix=unix)
        self._soft: dict[KeyId, SoftCard] = {}
        self.before: dict[str, Callable[[], None]] = {}
        self.signatures: list[SignaturePurpose] = []
        self.handshakes = 0

    def put_in(self, card: SoftCard, means: AuthorityMeans = AuthorityMeans.CPS, structure: str | None = None) -> KeyId:
        """Insert a card, its PIN given."""
        key = self.insert(card.holder, means, structure)
        self._soft[key] = card
        return key

    def _card(self, key: KeyId) -> SoftCard:
        if key not in {card.key for card in self.open_cards()}:
            raise ServiceError("CARD_TAKEN_OUT")
        return self._soft[key]

    def certificates(self, key: KeyId, purpose: SignaturePurpose) -> tuple[bytes, ...]:
        """Return the signature certificate."""
        return (self._card(key).signature.der,)

    async def sign(self, key: KeyId, purpose: SignaturePurpose, data: bytes, algorithm: SignatureAlgorithm) -> bytes:
        """Sign."""
        self.before.get("sign", lambda: None)()
        pair = self._card(key).signature
        assert algorithm is SignatureAlgorithm.RSA_SHA256
        self.signatures.append(purpose)
        return pair.key.sign(data, padding.PKCS1v15(), hashes.SHA256())

    async def open_tls(self, key: KeyId, host: str, port: int, within_s: float) -> str:
        """Open a stream."""
        self.before.get("tls", lambda: None)()
        card = self._card(key)

        def use(block: bytes, kind: Padding) -> bytes:
            pair = self._card(key).authentication
            return pair.padded(block) if kind is Padding.PKCS1 else pair.raised(block)

        tls_key = TlsKey(chain=(card.authentication.der,), sign=use)
        address = await asyncio.to_thread(self._tls.open, tls_key, host, port, within_s)
        self.handshakes += 1
        return address
