"""Paired programs: pairing codes, secrets, authentication and revocation.

A secret has 256 random bits, so its plain SHA-256 is kept. A pairing code is short, lives minutes, serves once and is
locked after a few wrong tries.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from vaguemestre_core.errors import Forbidden, InvalidInput, NotFound, StoreError
from vaguemestre_core.ids import check_oid, oid_under
from vaguemestre_core.orders import ClientId
from vaguemestre_core.ports import ClockPort, RandomPort, StorePort
from vaguemestre_core.records import Actor, Client, Order, ProductProfile, Scope
from vaguemestre_core.redaction import Secret

CODE_LIFE_S: Final = 300.0
CODE_TRIES: Final = 5
CODE_ALPHABET: Final = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"  # no 0/O, 1/I
CODE_CHARS: Final = 8
NAME_MAX_CHARS: Final = 80


async def client_of(store: StorePort, order: Order) -> Client | None:
    """Return the client of an order, even revoked: what it had accepted still leaves."""
    return next((client for client in await store.clients() if client.client_id == order.client_id), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pairing:
    """A code waiting for its program."""

    digest: bytes
    scopes: frozenset[Scope]
    actor: Actor
    until: datetime


class ClientService:
    """Pairs, authenticates and revokes programs."""

    def __init__(self, store: StorePort, clock: ClockPort, random: RandomPort) -> None:
        self._store = store
        self._clock = clock
        self._random = random
        self._pairing: _Pairing | None = None
        self._wrong_tries = 0

    async def authenticate(self, client_id: ClientId, secret: Secret, os_identity: str | None) -> Client:
        """Return the client; raise Forbidden CLIENT_REFUSED, the same for every reason."""
        try:
            client = await self._store.client(client_id)
        except NotFound as error:
            raise Forbidden("CLIENT_REFUSED") from error
        if not hmac.compare_digest(_digest(secret), client.secret_digest):
            raise Forbidden("CLIENT_REFUSED")
        if client.os_identity is not None and client.os_identity != os_identity:
            raise Forbidden("CLIENT_REFUSED")
        return client

    async def pair(
        self,
        name: str,
        scopes: frozenset[Scope],
        product: ProductProfile | None,
        os_identity: str | None,
        actor: Actor,
    ) -> tuple[Client, Secret]:
        """Pair a program; return it with its secret, shown once.

        Raises:
            InvalidInput: CLIENT_NAME_INVALID, OID_INVALID, OID_ROOT_TOO_LONG.
        """
        if not 1 <= len(name.strip()) <= NAME_MAX_CHARS or not name.isprintable():
            raise InvalidInput("CLIENT_NAME_INVALID", max_chars=NAME_MAX_CHARS)
        if product is not None:
            oid_under(check_oid(product.oid_root), 1)
        secret = Secret(
            base64.urlsafe_b64encode(self._random.bits(256).to_bytes(32, "big")).decode("ascii").rstrip("=")
        )
        client = Client(
            client_id=ClientId(f"c-{self._random.bits(64):016x}"),
            name=name.strip(),
            secret_digest=_digest(secret),
            os_identity=os_identity,
            scopes=scopes,
            product=product,
            created_at=self._clock.now(),
        )
        await self._store.add_client(client, actor)
        return client, secret

    async def open_pairing(self, scopes: frozenset[Scope], actor: Actor) -> tuple[str, float]:
        """Make a pairing code, in place of any earlier one; return it with its life in seconds."""
        base = len(CODE_ALPHABET)
        bits = self._random.bits(64)
        code = "".join(CODE_ALPHABET[bits // base**place % base] for place in range(CODE_CHARS))
        self._pairing = _Pairing(
            digest=_code_digest(code),
            scopes=scopes,
            actor=actor,
            until=self._clock.now() + timedelta(seconds=CODE_LIFE_S),
        )
        self._wrong_tries = 0
        await self._store.note("pairing.opened", actor, detail=(("scopes", ",".join(sorted(scopes))),))
        return f"{code[:4]}-{code[4:]}", CODE_LIFE_S

    async def pair_with_code(
        self, code: Secret, name: str, product: ProductProfile | None, os_identity: str | None
    ) -> tuple[Client, Secret]:
        """Pair a program that shows the code; raise Forbidden PAIRING_CODE_REFUSED."""
        pairing = self._pairing
        if pairing is None or self._clock.now() >= pairing.until or self._wrong_tries >= CODE_TRIES:
            raise Forbidden("PAIRING_CODE_REFUSED")
        if not hmac.compare_digest(_code_digest(code.reveal()), pairing.digest):
            self._wrong_tries += 1
            await self._store.note("pairing.refused", pairing.actor)
            raise Forbidden("PAIRING_CODE_REFUSED")
        self._pairing = None  # before anything is awaited: a code serves once
        try:
            return await self.pair(name, pairing.scopes, product, os_identity, pairing.actor)
        except (InvalidInput, StoreError):
            if self._pairing is None:  # nobody was paired, and no newer code was made meanwhile
                self._pairing = pairing
            raise

    async def clients(self) -> Sequence[Client]:
        """Return all clients."""
        return await self._store.clients()

    async def revoke(self, client_id: ClientId, actor: Actor) -> None:
        """Revoke a client."""
        await self._store.revoke_client(client_id, actor)


def _digest(secret: Secret) -> str:
    return hashlib.sha256(secret.reveal().encode()).hexdigest()


def _code_digest(code: str) -> bytes:
    return hashlib.sha256(code.replace("-", "").replace(" ", "").upper().encode()).digest()
