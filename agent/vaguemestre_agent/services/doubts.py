"""How long each doubt has lasted on the boot-time clock: the wall clock can be set, and says nothing about it.

Owns these ages, in memory. A doubt older than this process is counted anew: it waits a little longer, never less.
Source: docs/architecture.md, "Doubt".
"""

from __future__ import annotations

from datetime import datetime

from vaguemestre_core.orders import OrderId
from vaguemestre_core.ports import ClockPort
from vaguemestre_core.records import Order


class DoubtAges:
    """The boot-time clock at which this process first knew of each doubt."""

    def __init__(self, clock: ClockPort) -> None:
        self._clock = clock
        self._seen: dict[OrderId, tuple[datetime, float]] = {}

    def age_s(self, order: Order) -> float:
        """Return for how many seconds this process has known of this doubt; 0.0 the first time."""
        since = order.doubt_since or order.state_at
        known, boot_s = self._seen.get(order.order_id, (None, 0.0))
        if known != since:
            boot_s = self._clock.boot_s()
            self._seen[order.order_id] = (since, boot_s)
        return self._clock.boot_s() - boot_s

    def forget(self, order_id: OrderId) -> None:
        """Forget a doubt that is settled."""
        self._seen.pop(order_id, None)
