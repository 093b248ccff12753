"""Documents of which a version hidden from the patient was sent lately, with all their orders."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from datetime import datetime
from itertools import groupby

from vaguemestre_core.orders import ClientId
from vaguemestre_core.records import Order
from vaguemestre_queue import rows
from vaguemestre_queue.connection import Value

# As in the partial index ``orders_hidden``, word for word.
_IS_HIDDEN = (
    "state = 'sent' AND kind IN ('dmp.submit', 'dmp.replace') AND instr(guard_facts, '\"INVISIBLE_PATIENT\"') > 0"
)


class HiddenStore(ABC):
    """``HiddenPort`` over the reading connection of a store."""

    @abstractmethod
    async def _read(self, sql: str, params: Sequence[Value] = ()) -> list[tuple[Value, ...]]:
        """Run a reading."""

    @abstractmethod
    def _shown(self, cells: tuple[Value, ...]) -> Order:
        """Return an order for display."""

    async def hidden_since(self, since: datetime, client_id: ClientId | None, limit: int) -> Sequence[Sequence[Order]]:
        """Return the documents of which a hidden version was sent since then, each with all its orders."""
        sql, params = query(since, client_id, limit)
        orders = [self._shown(cells) for cells in await self._read(sql, params)]
        return [list(group) for _, group in groupby(orders, key=lambda order: order.document_id)]


def query(since: datetime, client_id: ClientId | None, limit: int) -> tuple[str, list[Value]]:
    """Return the statement and its parameters: one range of the index, then the orders of the documents found."""
    own = "" if client_id is None else "AND client_id = ? "
    ids = (
        f"SELECT document_id FROM orders INDEXED BY orders_hidden WHERE {_IS_HIDDEN} AND state_at_us >= ? {own}"
        "GROUP BY document_id ORDER BY min(state_at_us) LIMIT ?"
    )
    params: list[Value] = [rows.to_us(since), *([] if client_id is None else [client_id]), limit]
    return f"{rows.SELECT} WHERE document_id IN ({ids}) ORDER BY document_id, seq", params
