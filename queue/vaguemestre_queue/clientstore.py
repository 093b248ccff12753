"""The store's part about paired clients, as the services see it; the rows are in ``vaguemestre_queue.people``."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import TypeVar

from vaguemestre_core.orders import ClientId
from vaguemestre_core.records import Actor, Change, Client
from vaguemestre_queue import people
from vaguemestre_queue.connection import Connection, Value
from vaguemestre_queue.context import Context

T = TypeVar("T")


class ClientStore(ABC):
    """Paired clients over the writer and the reading connection of a store."""

    _context: Context

    @abstractmethod
    async def _write(self, work: Callable[[Connection, list[Change]], T]) -> T:
        """Run a piece of work in the writer."""

    @abstractmethod
    async def _read(self, sql: str, params: Sequence[Value] = ()) -> list[tuple[Value, ...]]:
        """Run a reading."""

    async def add_client(self, client: Client, actor: Actor) -> None:
        """Keep a paired client."""
        await self._write(lambda c, out: people.add_client(c, self._context, client, actor, out))

    async def client(self, client_id: ClientId) -> Client:
        """Return a client that is not revoked."""
        found = await self._read(f"{people.SELECT_CLIENTS} WHERE client_id = ?", [client_id])
        clients = [client for row in found if (client := people.client_of(self._context, row)) is not None]
        return people.known(clients, client_id)

    async def clients(self) -> Sequence[Client]:
        """Return all clients, revoked ones too."""
        return await self._write(lambda c, _: people.all_clients(c, self._context))

    async def revoke_client(self, client_id: ClientId, actor: Actor) -> None:
        """Revoke a client."""
        await self._write(lambda c, out: people.revoke_client(c, self._context, client_id, actor, out))
