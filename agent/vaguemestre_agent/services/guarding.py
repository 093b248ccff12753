"""The guards over an order as the store has it now: asked at claim and by who wants to know why.

Owns nothing but the bringing together of an order, its facts and its client.
"""

from __future__ import annotations

from vaguemestre_core.facts import FactView, guard_input
from vaguemestre_core.guards import GuardAnswer, examine
from vaguemestre_core.records import Client, Order


def guards_of(order: Order, view: FactView, client: Client | None) -> tuple[GuardAnswer, ...]:
    """Return every guard's answer about an order, now."""
    has_product = client is not None and client.product is not None
    return examine(
        guard_input(
            order.kind,
            order.guard_facts,
            view,
            accepted_under=order.fact_version,
            has_product_reference=has_product,
        )
    )
