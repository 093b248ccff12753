"""Pairing of the backend in memory: codes, secrets, refusals. Used by ``memory_backend`` only."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from vaguemestre_agent.localapi.backend import NewClient
from vaguemestre_core.errors import Forbidden, NotFound
from vaguemestre_core.orders import ClientId
from vaguemestre_core.records import Actor, Client, ProductProfile, Scope
from vaguemestre_core.redaction import Secret

_CODE_TRIES: Final = 5
_CODE_LIFE_S: Final = 300.0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Code:
    code: str
    scopes: frozenset[Scope]
    until: datetime


class MemoryPairing:
    """Clients in memory; the backend gives the time, the numbers and the ledger."""

    now: datetime

    def __init__(self) -> None:
        self._clients: dict[ClientId, Client] = {}
        self._code: _Code | None = None
        self._tries = 0
        self._number = 0

    def next(self) -> int:
        """Return a number never given before."""
        self._number += 1
        return self._number

    def _write_pairing(self, kind: str, actor: Actor, client_id: ClientId | None) -> None:
        """Write a ledger line; the backend overrides it."""

    async def authenticate(self, client_id: ClientId, secret: Secret, os_identity: str | None) -> Client:
        """Return the client; the same refusal for every reason."""
        client = self._clients.get(client_id)
        if client is None or client.revoked_at is not None:
            raise Forbidden("CLIENT_REFUSED")
        if not hmac.compare_digest(client.secret_digest, _digest(secret.reveal())):
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
    ) -> NewClient:
        """Pair a program."""
        secret = Secret(hashlib.sha256(f"secret {self.next()}".encode()).hexdigest())
        client = Client(
            client_id=ClientId(f"c-{self.next():016x}"),
            name=name,
            secret_digest=_digest(secret.reveal()),
            os_identity=os_identity,
            scopes=scopes,
            product=product,
            created_at=self.now,
        )
        self._clients[client.client_id] = client
        self._write_pairing("client.paired", actor, client.client_id)
        return NewClient(client=client, secret=secret)

    async def pair_with_code(
        self, code: Secret, name: str, product: ProductProfile | None, os: str | None
    ) -> NewClient:
        """Pair with a code that serves once and is locked after a few wrong tries."""
        offered = self._code
        if offered is None or self.now >= offered.until or self._tries >= _CODE_TRIES:
            raise Forbidden("PAIRING_CODE_REFUSED")
        if not hmac.compare_digest(offered.code, code.reveal()):
            self._tries += 1
            raise Forbidden("PAIRING_CODE_REFUSED")
        self._code = None
        return await self.pair(name, offered.scopes, product, os, Actor(user="pairing"))

    async def open_pairing(self, scopes: frozenset[Scope], actor: Actor) -> tuple[str, float]:
        """Make a code."""
        code = f"{self.next():04d}-{hashlib.sha256(str(self._number).encode()).hexdigest()[:4].upper()}"
        self._code = _Code(code=code, scopes=scopes, until=self.now + timedelta(seconds=_CODE_LIFE_S))
        self._tries = 0
        self._write_pairing("pairing.opened", actor, None)
        return code, _CODE_LIFE_S

    async def clients(self) -> Sequence[Client]:
        """Return all clients."""
        return list(self._clients.values())

    async def revoke(self, client_id: ClientId, actor: Actor) -> None:
        """Revoke a client."""
        if client_id not in self._clients:
            raise NotFound("CLIENT_UNKNOWN")
        self._clients[client_id] = replace(self._clients[client_id], revoked_at=self.now)
        self._write_pairing("client.revoked", actor, client_id)


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
