"""What the contract tests of the local API need of a backend: documents it accepts, and ways to move an order.

A further implementation (the real services) is one more harness; the contract tests run over every one in
``tests/contract/localapi/conftest.py``.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from vaguemestre_agent.localapi.backend import Backend
from vaguemestre_api import wire
from vaguemestre_api.client import Client, Credentials, DocumentBody
from vaguemestre_api.endpoint import Endpoint
from vaguemestre_core.orders import OrderEvent
from vaguemestre_core.records import Actor, ProductProfile, Scope
from vaguemestre_testkit.memory_backend import MemoryBackend

ACTOR = wire.Actor(user="u-17", role="medecin", rpps="10003456789")
PRODUCT = ProductProfile(
    lps_name="LGC d'essai",
    lps_version="1.0",
    lps_id="0001",
    homologation_id="HOMOLOGATION",
    proxy_client_id="lgc-essai",
    oid_root="1.2.250.1.999.1",
)


class ApiHarness(Protocol):
    """A backend and what drives it."""

    @property
    def backend(self) -> Backend:
        """The backend served."""

    @property
    def station(self) -> str:
        """Name of the station."""

    def document(self, title: str = "Compte rendu") -> DocumentBody:
        """Return a document that the backend accepts; another title is another content."""

    @property
    def listeners(self) -> int:
        """How many listen to changes now."""

    async def make_deferred(self, order_id: str) -> None:
        """Bring a fresh order to DEFERRED."""

    async def make_sent(self, order_id: str) -> None:
        """Bring an order to SENT."""

    async def make_doubtful(self, order_id: str) -> None:
        """Bring an order to IN_DOUBT."""

    async def fingerprint(self) -> str:
        """Return a digest of all that is kept: equal means that nothing changed."""


@dataclass(slots=True)
class MemoryHarness:
    """The in-memory backend."""

    backend: MemoryBackend = field(default_factory=MemoryBackend)

    @property
    def station(self) -> str:
        """Name of the station."""
        return "this"

    def document(self, title: str = "Compte rendu") -> DocumentBody:
        """Return a document."""
        metadata = json.dumps({"title": title}).encode()
        return DocumentBody(metadata=metadata, body=b"%PDF-1.4 " + title.encode(), media_type="application/pdf")

    @property
    def listeners(self) -> int:
        """How many listen."""
        return len(self.backend.listeners)

    async def make_deferred(self, order_id: str) -> None:
        """Prepared."""
        self.backend.advance(order_id, OrderEvent.PREPARED)

    async def make_sent(self, order_id: str) -> None:
        """All the way."""
        await self._start(order_id)
        self.backend.advance(order_id, OrderEvent.DELIVERED)

    async def make_doubtful(self, order_id: str) -> None:
        """Cut after the first byte."""
        await self._start(order_id)
        self.backend.advance(order_id, OrderEvent.DOUBT)

    async def _start(self, order_id: str) -> None:
        events = (OrderEvent.PREPARED, OrderEvent.DUE, OrderEvent.CLAIM, OrderEvent.FIRST_BYTE)
        self.backend.advance(order_id, *events)

    async def fingerprint(self) -> str:
        """Digest of everything."""
        return self.backend.fingerprint()


ALL_SCOPES = frozenset(Scope)
LGC_SCOPES = frozenset({Scope.READ, Scope.ENQUEUE, Scope.CONTROL})


async def paired(
    harness: ApiHarness,
    socket: Path,
    *,
    scopes: frozenset[Scope] = LGC_SCOPES,
    name: str = "LGC d'essai",
    os_identity: str | None = None,
    start_grace_s: float = 0.0,
) -> Client:
    """Return a client paired with those scopes."""
    new = await harness.backend.pair(name, scopes, PRODUCT, os_identity, Actor(user="test"))
    return Client(
        Endpoint(address=str(socket)),
        Credentials(client_id=new.client.client_id, secret=new.secret.reveal()),
        actor=ACTOR,
        start_grace_s=start_grace_s,
    )
