"""What the health page says of bad days: each item a stable code, with facts that are about nobody.

Owns the wording's parameters only; the sentences live in the catalogue. Source: docs/bad-days.md.
"""

from __future__ import annotations

from collections.abc import Mapping

from vaguemestre_agent.services.values import HealthItem
from vaguemestre_core.records import SalvageFacts


def clock_items(jumped_s: float | None) -> tuple[HealthItem, ...]:
    """Return what is to be said of the workstation's clock: nothing on a good day."""
    if jumped_s is None:
        return ()
    code = "CLOCK_SET_FORWARD" if jumped_s > 0 else "CLOCK_SET_BACK"
    return (HealthItem(code=code, ok=False, params={"minutes": max(round(abs(jumped_s) / 60), 1)}),)


def order_items(counts: Mapping[str, int]) -> tuple[HealthItem, ...]:
    """Return what is to be said of orders altered outside the agent: nothing on a good day."""
    count = counts.get("quarantined", 0)
    return (HealthItem(code="ORDERS_ALTERED", ok=False, params={"count": count}),) if count else ()


def salvage_items(facts: SalvageFacts | None) -> tuple[HealthItem, ...]:
    """Return what is to be said of a store saved from a damaged one: something to do as long as orders are lost."""
    if facts is None:
        return ()
    params = {"orders": facts.orders, "lost": facts.lost, "ledger_missing": facts.ledger_missing}
    return (HealthItem(code="STORE_SALVAGED", ok=facts.lost == 0 and facts.ledger_missing == 0, params=params),)
