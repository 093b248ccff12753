"""The built document of an order: as it is kept, or built once more for a question.

Owns one rule: a document found at the service although it was never built here (a restored store) is built from what
the client gave, to be asked about or named by a change; it is never sent so. Preparing to send: ``preparation.py``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from vaguemestre_agent.services.preparation import as_wanted
from vaguemestre_core.errors import StoreError
from vaguemestre_core.orders import OrderId, OrderKind
from vaguemestre_core.ports import ClockPort, PreparationRefusal, PreparerPort, StorePort
from vaguemestre_core.records import Order

_BUILT: Final = frozenset({OrderKind.DMP_SUBMIT, OrderKind.DMP_REPLACE})  # of what was given


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptDocuments:
    """Built documents of orders."""

    store: StorePort
    preparer: PreparerPort | None
    clock: ClockPort

    async def of_order(self, order: Order) -> bytes:
        """Return the built document of an order.

        Raises:
            StoreError: BODY_GONE, BODY_UNREADABLE, or the code of the refusal when it cannot be built.
        """
        if order.frozen_ids is not None or order.kind not in _BUILT or self.preparer is None:
            return await self.store.prepared(order.order_id)
        body = await self.store.body(order.order_id)
        result = await self.preparer.prepare(order, as_wanted(order, body), self.clock.now())
        if isinstance(result, PreparationRefusal):
            raise StoreError(result.code)
        return result.prepared

    async def of(self, order_id: OrderId) -> bytes:
        """Return the built document of the order of that identifier. Raises as ``of_order``."""
        return await self.of_order(await self.store.order(order_id))
