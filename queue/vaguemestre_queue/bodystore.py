"""The store's part about bodies, as the services see it: sealing and opening in threads, rows in the writer."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TypeVar

from vaguemestre_core.errors import StoreError
from vaguemestre_core.orders import OrderId
from vaguemestre_core.ports import PreparedBuild
from vaguemestre_core.records import Change, FrozenIds, Order, StoredBody
from vaguemestre_queue import acceptance as accepting
from vaguemestre_queue import bodies
from vaguemestre_queue.connection import Connection
from vaguemestre_queue.context import Context
from vaguemestre_queue.sealing import Envelope
from vaguemestre_queue.soundness import Soundness

T = TypeVar("T")


class BodyStore(ABC):
    """Sealed bodies over the one writer of a store."""

    _context: Context
    _soundness: Soundness

    @abstractmethod
    async def _write(self, work: Callable[[Connection, list[Change]], T]) -> T:
        """Run a piece of work in the writer."""

    async def _seal(self, body: bytes) -> Envelope:
        if len(body) < 65536:
            return self._context.sealer.seal(body)  # shorter than a thread hop
        return await asyncio.to_thread(self._context.sealer.seal, body)

    async def body(self, order_id: OrderId) -> StoredBody:
        """Open what the client gave."""
        return accepting.unframe(await self._open(order_id, bodies.GIVEN))

    async def prepared(self, order_id: OrderId) -> bytes:
        """Open the built document."""
        return await self._open(order_id, bodies.PREPARED)

    async def _open(self, order_id: OrderId, role: str) -> bytes:
        sealed = await self._write(lambda c, _: bodies.fetch(c, self._context, order_id, role))
        if sealed is None:
            raise StoreError("BODY_GONE")
        return await asyncio.to_thread(self._context.sealer.open, sealed)

    async def signature(self, order_id: OrderId) -> bytes | None:
        """Return the frozen signature document, or None when none was made yet."""
        sealed = await self._write(lambda c, _: bodies.fetch(c, self._context, order_id, bodies.SIGNATURE))
        return None if sealed is None else self._context.sealer.open(sealed)

    async def save_prepared(self, order_id: OrderId, build: PreparedBuild, frozen_ids: FrozenIds) -> Order:
        """Store the built document, freeze its identifiers and apply PREPARED, in one transaction."""
        context = self._context
        envelope = await self._seal(build.prepared)
        context.failpoints.hit("prepare.built")
        order = await self._write(
            lambda c, out: bodies.save_prepared(c, context, order_id, build, envelope, frozen_ids, out)
        )
        context.failpoints.hit("applied.prepared")
        return order

    async def first_byte(self, order_id: OrderId, signature: bytes | None) -> Order:
        """Commit SENDING (and the lot's signature, once) just before the first body byte."""
        context = self._context
        envelope = None if signature is None else context.sealer.seal(signature)
        context.failpoints.hit("send.before_sending")
        self._soundness.require_undamaged()
        order = await self._write(lambda c, out: bodies.first_byte(c, context, order_id, envelope, out))
        context.failpoints.hit("send.sending")
        return order
