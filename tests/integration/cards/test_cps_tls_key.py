"""The authentication key of a soft card, as TLS uses it: in the session of the PIN, and for a handshake only."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding as pads
from cryptography.hazmat.primitives.asymmetric import rsa

from vaguemestre_cardkit.soft_cards import CardBench
from vaguemestre_core.cards import CardEventKind
from vaguemestre_core.cps import CardNumber, CpsError
from vaguemestre_core.cpspin import PinRequest, PinUse, Requester
from vaguemestre_core.errors import InvalidInput
from vaguemestre_drivers.cardtls.cpskey import tls_key_of
from vaguemestre_drivers.cardtls.keys import Padding
from vaguemestre_drivers.cps.login import CardLogin, LoginDemand
from vaguemestre_drivers.cps.signing import pss_block
from vaguemestre_drivers.cps.tries import MemoryTryBook
from vaguemestre_drivers.process.cpsdesk import CpsDesk
from vaguemestre_sandbox.cards.cps import VirtualCps
from vaguemestre_sandbox.cards.cpspki import DOCTOR
from vaguemestre_testkit.card_rig import virtual_rig

PERSON = LoginDemand(asker="Logiciel d'essai", use=PinUse.OPEN_SESSION, requester=Requester.PERSON)
SHA256_INFO = bytes.fromhex("3031300d060960864801650304020105000420")


def typed(_: PinRequest) -> bytearray:
    return bytearray(b"1234")


def at_once(work: Callable[[], bytes]) -> bytes:
    return work()


def test_a_handshake_is_signed_in_the_session_that_the_pin_opened(bench: CardBench) -> None:
    data = b"what a handshake signs"
    digest = hashlib.sha256(data).digest()
    with bench.module().card(CardNumber(digits=DOCTOR.number)) as card:
        key = tls_key_of(card, card.read().certificates, at_once)
        with pytest.raises(CpsError, match="PIN_NEEDED"):
            key.sign(SHA256_INFO + digest, Padding.PKCS1)
        CardLogin(card, MemoryTryBook(), typed).open(PERSON)
        signature = key.sign(SHA256_INFO + digest, Padding.PKCS1)
        salted = key.sign(pss_block(digest, bytes(32), 2048), Padding.NONE)

    public = x509.load_der_x509_certificate(key.chain[0]).public_key()
    assert isinstance(public, rsa.RSAPublicKey)
    public.verify(signature, data, pads.PKCS1v15(), hashes.SHA256())
    public.verify(salted, data, pads.PSS(pads.MGF1(hashes.SHA256()), 32), hashes.SHA256())
    assert key.raises_blocks is False


NO_HANDSHAKE = (
    (b"", Padding.PKCS1),
    (hashlib.sha256(b"a VIHF").digest(), Padding.PKCS1),
    (bytes.fromhex("3021300906052b0e03021a05000414") + bytes(20), Padding.PKCS1),  # SHA-1
    (SHA256_INFO + bytes(33), Padding.PKCS1),
    (bytes(256), Padding.NONE),
    (bytes(31) + b"\xbc", Padding.NONE),
    (b"", Padding.NONE),
)


@pytest.mark.parametrize(("block", "kind"), NO_HANDSHAKE)
def test_nothing_else_is_signed(bench: CardBench, block: bytes, kind: Padding) -> None:
    with bench.module().card(CardNumber(digits=DOCTOR.number)) as card:
        key = tls_key_of(card, card.read().certificates, at_once)
        with pytest.raises(InvalidInput, match="SIGNATURE_NOT_BOUND"):
            key.sign(block, kind)


class Typist:
    """Who asks for the PIN: it is typed at once."""

    def ask_for_login(self, request: PinRequest) -> bytearray:
        return typed(request)

    def withdraw(self) -> None:
        """Nothing to take back."""


def test_the_key_that_the_readers_process_gives_to_tls_is_bound_too(bench: CardBench) -> None:
    data = b"what a handshake signs"
    info = SHA256_INFO + hashlib.sha256(data).digest()
    with virtual_rig() as rig:
        watch, events = rig.watch()
        rig.insert(VirtualCps(person=DOCTOR))
        stay = events.wait_kind(CardEventKind.CARD_INSERTED).insertion
        assert stay is not None
        desk = CpsDesk(
            rig.access(watch),
            watch.stay,
            load=bench.module,
            tries=MemoryTryBook(),
            pin=Typist(),
            now=lambda: bench.now,
            tell=lambda: None,
        )
        key = desk.tls_key(desk.open(stay, PERSON.asker).key)
        for block, kind in NO_HANDSHAKE:
            with pytest.raises(InvalidInput, match="SIGNATURE_NOT_BOUND"):
                key.sign(block, kind)
        public = x509.load_der_x509_certificate(key.chain[0]).public_key()
        assert isinstance(public, rsa.RSAPublicKey)
        public.verify(key.sign(info, Padding.PKCS1), data, pads.PKCS1v15(), hashes.SHA256())
        assert key.raises_blocks is True  # the soft card has the mechanism
        assert desk.close(stay)
        with pytest.raises(CpsError, match="CPS_REMOVED"):
            key.sign(info, Padding.PKCS1)
