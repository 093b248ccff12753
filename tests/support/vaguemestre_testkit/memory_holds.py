"""Holds of the backend in memory: a person's, and that of shadow mode. Used by ``memory_backend`` only."""

from __future__ import annotations

from abc import ABC, abstractmethod

from vaguemestre_core.errors import Conflict
from vaguemestre_core.orders import SETTLED, HoldKind, OrderId
from vaguemestre_core.records import Actor, Client, Order


class MemoryHolds(ABC):
    """Puts and lifts holds; the backend gives the orders and writes the changes.

    Attributes:
        is_shadow: the agent is in shadow mode.
    """

    is_shadow = False

    @abstractmethod
    async def order(self, client: Client, order_id: OrderId) -> Order:
        """Return an order visible to the client."""

    @abstractmethod
    def _with_holds(self, order: Order, kind: str, actor: Actor, holds: frozenset[HoldKind]) -> Order:
        """Write an order with other holds."""

    async def hold(self, client: Client, order_id: OrderId, actor: Actor) -> Order:
        """Hold an order that has not left."""
        order = await self.order(client, order_id)
        if order.state in SETTLED:
            raise Conflict("TOO_LATE")
        return self._with_holds(order, "order.hold", actor, order.holds | {HoldKind.PERSON})

    async def release(self, client: Client, order_id: OrderId, actor: Actor) -> Order:
        """Lift the person's hold."""
        order = await self.order(client, order_id)
        return self._with_holds(order, "order.release", actor, order.holds - {HoldKind.PERSON})

    async def release_from_shadow(self, client: Client, order_id: OrderId, actor: Actor) -> Order:
        """Let what shadow mode accepted leave, once it is over."""
        order = await self.order(client, order_id)
        if self.is_shadow:
            raise Conflict("SHADOW_MODE")
        return self._with_holds(order, "order.release", actor, order.holds - {HoldKind.SHADOW})
