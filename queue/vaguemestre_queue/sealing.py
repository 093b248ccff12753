"""Bodies at rest: age envelopes with several recipients, sealed cards, keyed pseudonyms and row authentication.

Sealing needs public keys only; opening needs this station's private key. Source: age-encryption.org/v1, through pyrage.
Personal data enters and leaves only through here.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import pyrage
from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from vaguemestre_core.errors import InvalidInput, StoreError
from vaguemestre_core.redaction import Personal, SecretBytes
from vaguemestre_queue.connection import Value

MAC_BYTES: Final = 32
NONCE_BYTES: Final = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreKeys:
    """Keys of one store.

    Attributes:
        identity: this station's age identity (``AGE-SECRET-KEY-1…``).
        authentication: 32 bytes, keys the row digests.
        pseudonym: 32 bytes, keys the pseudonyms.
        recovery_recipient: the practice's recovery key (public part), or None until it is printed.
        retired: earlier age identities of this station: they open what was sealed to them, nothing is sealed to them.
    """

    identity: SecretBytes
    authentication: SecretBytes
    pseudonym: SecretBytes
    recovery_recipient: str | None = None
    retired: tuple[SecretBytes, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """A sealed body.

    Attributes:
        sealed: the age file.
        digest: SHA-256 of ``sealed``.
        recipients: whom it was sealed to: ``station:<fingerprint>``, ``professional:<PS_IdNat>``, ``recovery``.
    """

    sealed: bytes = field(repr=False)
    digest: bytes
    recipients: tuple[str, ...]


class Sealer:
    """Seals, opens, authenticates and makes pseudonyms with the keys of one store."""

    def __init__(self, keys: StoreKeys) -> None:
        try:
            self._identities = [
                pyrage.x25519.Identity.from_str(secret.reveal().decode("ascii"))
                for secret in (keys.identity, *keys.retired)
            ]
            recovery = pyrage.x25519.Recipient.from_str(keys.recovery_recipient) if keys.recovery_recipient else None
        except (pyrage.IdentityError, pyrage.RecipientError, UnicodeDecodeError) as error:
            raise InvalidInput("STORE_KEY_INVALID") from error
        self._authentication = keys.authentication.reveal()
        self._pseudonym = keys.pseudonym.reveal()
        if len(self._authentication) != MAC_BYTES or len(self._pseudonym) != MAC_BYTES:
            raise InvalidInput("STORE_KEY_INVALID")
        self._cards = ChaCha20Poly1305(hashlib.blake2b(b"cards", key=self._pseudonym, digest_size=32).digest())
        seed = hashlib.blake2b(b"ledger-heads", key=self._authentication, digest_size=32).digest()
        self._signing = Ed25519PrivateKey.from_private_bytes(seed)
        self.station = self._signing.public_key().public_bytes_raw().hex()
        own = self._identities[0].to_public()
        self._recipients: list[tuple[str, pyrage.x25519.Recipient]] = [(station_label(str(own)), own)]
        if recovery is not None:
            self._recipients.append(("recovery", recovery))

    @property
    def public_keys(self) -> tuple[str, ...]:
        """Public keys that a body is sealed to: this station's, then the recovery key's."""
        return tuple(str(recipient) for _, recipient in self._recipients)

    def seal(self, body: bytes, extra: Sequence[tuple[str, str]] = ()) -> Envelope:
        """Seal a body to this station, the recovery key and the extra (label, age recipient) pairs."""
        recipients = [*self._recipients, *((label, pyrage.x25519.Recipient.from_str(key)) for label, key in extra)]
        sealed = pyrage.encrypt(body, [recipient for _, recipient in recipients])
        return Envelope(
            sealed=sealed,
            digest=hashlib.sha256(sealed).digest(),
            recipients=tuple(label for label, _ in recipients),
        )

    def open(self, sealed: bytes) -> bytes:
        """Open a sealed body. Raises StoreError BODY_UNREADABLE."""
        try:
            opened: bytes = pyrage.decrypt(sealed, self._identities)
        except pyrage.DecryptError as error:
            raise StoreError("BODY_UNREADABLE") from error
        return opened

    def seal_card(self, text: Personal) -> bytes:
        """Seal a short display text ("card"): cheap, for lists."""
        nonce = os.urandom(NONCE_BYTES)
        return nonce + self._cards.encrypt(nonce, text.reveal().encode(), None)

    def open_card(self, sealed: bytes) -> str | None:
        """Open a card, or return None when it is not one of ours."""
        try:
            return self._cards.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], None).decode()
        except (InvalidTag, ValueError):
            return None

    def pseudonym(self, scope: str, value: Personal) -> str:
        """Return the keyed pseudonym (32 hex characters) of a personal value in a scope."""
        text = f"{scope}\x1f{value.reveal()}".encode()
        return hashlib.blake2b(text, key=self._pseudonym, digest_size=16).hexdigest()

    def sign(self, message: bytes) -> bytes:
        """Sign a ledger head or a backup's manifest (Ed25519) under the name ``station``: its public key, hex."""
        return self._signing.sign(message)

    def is_signed(self, message: bytes, signature: bytes) -> bool:
        """Say whether this station signed that."""
        try:
            self._signing.public_key().verify(signature, message)
        except InvalidSignature:
            return False
        return True

    def check_value(self) -> str:
        """Return a value that only these keys give (hex): a store remembers it to know its keys again."""
        return self.check_values()[0]

    def check_values(self) -> tuple[str, ...]:
        """Return the check value of the present keys, then of those before each rotation."""
        publics = [str(identity.to_public()) for identity in self._identities]
        return tuple(
            self.authenticate("meta", ["keys", public, self.pseudonym("keys", Personal(public))]).hex()
            for public in publics
        )

    def authenticate(self, table: str, values: Sequence[Value]) -> bytes:
        """Return the keyed digest of a row's values (32 bytes)."""
        text = _CELLS.encode([table, *values]).encode()
        return hashlib.blake2b(text, key=self._authentication, digest_size=MAC_BYTES).digest()

    def is_authentic(self, table: str, values: Sequence[Value], mac: Value) -> bool:
        """Say whether a row bears the digest we would give it."""
        return isinstance(mac, bytes) and hmac.compare_digest(self.authenticate(table, values), mac)


def _bytes_as_text(value: object) -> str:
    """Return bytes as no text cell can be written; nothing else reaches here."""
    if not isinstance(value, bytes):
        raise TypeError
    return f"\x00{value.hex()}"


# One encoder for all rows: making one costs more than encoding a row.
_CELLS: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), default=_bytes_as_text)


def station_label(public: str) -> str:
    """Return how the recipients of a body name a station's key: enough to know whether a retired one is needed."""
    return f"station:{hashlib.sha256(public.encode()).hexdigest()[:16]}"


def identity_label(secret: SecretBytes) -> str:
    """Return the label of an age identity."""
    return station_label(str(pyrage.x25519.Identity.from_str(secret.reveal().decode("ascii")).to_public()))


def new_identity() -> tuple[str, str]:
    """Return a fresh age identity and its recipient, as text (private part first)."""
    identity = pyrage.x25519.Identity.generate()
    return str(identity), str(identity.to_public())
