"""Tallies: what the ledger says of the operations that ended. Erasing bodies or patients does not change them.

Owns the pairs that a line of an order's end carries, and reading them back; nothing in them is about a patient.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

from vaguemestre_core.indicators import Done
from vaguemestre_core.orders import ClientId, OrderState
from vaguemestre_queue import rows
from vaguemestre_queue.connection import Value

ENDS: Final = frozenset({OrderState.SENT, OrderState.REJECTED})


def pairs_of_end(row: rows.Row) -> tuple[tuple[str, str], ...]:
    """Return what the line of an order's end carries, for the indicators."""
    facts = json.loads(rows.as_text(row["guard_facts"]))
    is_qualified = facts.get("identity_status") == "qualifiée" and bool(facts.get("has_ins"))
    return (
        ("ins", "qualified" if is_qualified else "not_qualified"),
        ("kind", rows.as_text(row["kind"])),
        ("professional", rows.as_text(row["professional"])),
        ("structure", str(facts.get("structure") or "")),
        ("type", rows.as_text(row["type_code"])),
    )


class TallyStore(ABC):
    """Counting over the reading connection of a store."""

    @abstractmethod
    async def _read(self, sql: str, params: Sequence[Value] = ()) -> list[tuple[Value, ...]]:
        """Run a reading."""

    async def tallies(self, start: datetime, end: datetime, client_id: ClientId | None) -> Mapping[Done, int]:
        """Return how many DMP operations ended between two instants, of one client or of all."""
        found = await self._read(
            "SELECT after, detail, count(*) FROM (SELECT after, (SELECT json_group_array(value) FROM json_each(detail) "
            "WHERE json_extract(value, '$[0]') IN ('ins', 'kind', 'professional', 'structure', 'type')) AS detail "
            "FROM ledger WHERE after IN ('sent', 'rejected') AND before <> after AND at_us >= ? AND at_us < ? "
            "AND (?3 IS NULL OR client_id = ?3)) GROUP BY after, detail",
            [rows.to_us(start), rows.to_us(end), client_id],
        )
        counts: Counter[Done] = Counter()
        for after, detail, count in found:
            pairs = dict(json.loads(item) if isinstance(item, str) else item for item in json.loads(str(detail)))
            service, _, operation = pairs.get("kind", "dmp.").partition(".")
            if service != "dmp":
                continue
            done = Done(
                operation=operation or "unknown",  # a line written before these pairs were
                type_code=pairs.get("type", ""),
                professional=pairs.get("professional", ""),
                structure=pairs.get("structure", ""),
                is_qualified=pairs.get("ins") == "qualified",
                is_success=after == OrderState.SENT.value,
            )
            counts[done] += rows.as_int(count)
        return counts
