"""What an outcome means for the order that met it: the event and the columns that follow. Decides nothing else."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import assert_never

from vaguemestre_core.orders import OrderEvent, OrderState
from vaguemestre_core.outcomes import Certainty, Outcome
from vaguemestre_core.records import Order, OrderPatch


async def verdict_of(
    order: Order, outcome: Outcome, now: datetime, first_lookup_s: float, later: Callable[[], Awaitable[OrderPatch]]
) -> tuple[OrderEvent, OrderPatch]:
    """Return the event that an outcome is for an order, and what changes with it.

    Args:
        order: the order as it is now, CLAIMED or further.
        outcome: what is known after the exchange.
        now: when it is known.
        first_lookup_s: delay before the first lookup of a doubt, seconds.
        later: makes what lets the order wait for its next attempt.
    """
    match outcome.certainty:
        case Certainty.DELIVERED:
            done = frozenset({"failure_code", "service_code", "waiting", "doubt_since_us", "next_attempt_at_us"})
            if order.state is OrderState.CLAIMED:  # nothing left: the service has it so already
                receipt = (*outcome.receipt, ("code", outcome.code))
                return OrderEvent.ALREADY_SO, OrderPatch(receipt=receipt, clear=done)
            return OrderEvent.DELIVERED, OrderPatch(receipt=outcome.receipt, clear=done)
        case Certainty.REFUSED:
            return OrderEvent.REFUSED, OrderPatch(failure_code=outcome.code, service_code=outcome.service_code)
        case Certainty.NOT_SENT:
            patch = await later()
            if order.state is OrderState.CLAIMED:
                return OrderEvent.UNCLAIM, patch
            return (OrderEvent.NOT_SENT_CANCELLED if order.cancel_requested else OrderEvent.NOT_SENT), patch
        case Certainty.DOUBT:
            return OrderEvent.DOUBT, OrderPatch(
                failure_code=outcome.code,
                service_code=outcome.service_code,
                doubt_since=now,
                next_attempt_at=now + timedelta(seconds=first_lookup_s),
            )
        case never:
            assert_never(never)
