"""A selection of orders as a condition of SQL, such that one document's orders are found without reading the others."""

from __future__ import annotations

from vaguemestre_core.records import OrderFilter
from vaguemestre_queue.connection import Value


def condition(selection: OrderFilter) -> tuple[str, list[Value]]:
    """Return the WHERE clause, empty when all are wanted, and its parameters."""
    where: list[str] = []
    params: list[Value] = []
    is_one_document = selection.client_id is not None and selection.client_ref is not None
    if is_one_document:
        where.append(
            "document_id = (SELECT d.document_id FROM documents AS d WHERE d.client_id = ? AND d.client_ref = ?)"
        )
        params += [selection.client_id, selection.client_ref]
    free = "+" if is_one_document else ""  # no other index than that of the document
    for column, value in (
        (f"{free}client_id", selection.client_id),
        (f"{free}client_ref", selection.client_ref),
        ("professional", selection.professional),
    ):
        if value is not None:
            where.append(f"{column} = ?")
            params.append(value)
    if selection.states is not None:
        where.append(f"state IN ({', '.join('?' for _ in selection.states)})")
        params.extend(sorted(state.value for state in selection.states))
    if selection.after is not None:
        where.append(f"{free}seq < (SELECT seq FROM orders WHERE order_id = ?)")
        params.append(selection.after)
    return (f"WHERE {' AND '.join(where)} " if where else ""), params
