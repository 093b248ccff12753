"""Strikes: an order that fails again and again while others pass is held for a person, and never blocks them.

Owns whose fault a failure is: ours or the order's, never an outage's. The count is kept by the store; what is kept
here, in memory, is only when each order failed last. Source: docs/sending.md.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from vaguemestre_agent.services.exchanges import Exchanges
from vaguemestre_agent.services.outages import Outages
from vaguemestre_core.orders import OrderId
from vaguemestre_core.outcomes import Evidence
from vaguemestre_core.ports import ClockPort, StorePort

_REMEMBERED: Final = 1000


class Strikes:
    """Counts what an order alone can be blamed for.

    Args:
        limit: strikes after which a person is needed.
    """

    def __init__(
        self, store: StorePort, exchanges: Exchanges, outages: Outages, clock: ClockPort, *, limit: int
    ) -> None:
        self._store = store
        self._exchanges = exchanges
        self._outages = outages
        self._clock = clock
        self._limit = limit
        self._failed_at: OrderedDict[OrderId, float] = OrderedDict()

    async def of_ours(self, order_id: OrderId, code: str) -> None:
        """Count a failure on our side: a bug that this order meets, a body that cannot be opened."""
        await self._exchanges.persist(lambda: self._store.strike(order_id, self._limit, code))

    async def of_service(self, order_id: OrderId, evidence: Evidence, code: str) -> None:
        """Count a failure of the service, if it answered another order since this one failed last."""
        if evidence is not Evidence.SERVICE_FAILED:
            return
        before = self._failed_at.pop(order_id, None)
        self._failed_at[order_id] = self._clock.boot_s()
        while len(self._failed_at) > _REMEMBERED:
            self._failed_at.popitem(last=False)
        if before is not None and self._outages.answered_another_since(order_id, before):
            await self.of_ours(order_id, code)
