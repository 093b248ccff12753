"""Sealed bodies of orders: what the client gave, what was built, the lot's signature, and what is left of them."""

from __future__ import annotations

import hashlib
from typing import Final

from vaguemestre_core.errors import Conflict, InvalidInput, StoreError
from vaguemestre_core.orders import OrderEvent, OrderId
from vaguemestre_core.ports import PreparedBuild
from vaguemestre_core.records import AGENT_ACTOR, Change, FrozenIds, Order
from vaguemestre_documents.prepared import PreparedDocument
from vaguemestre_queue import given, relations, rows, transitions
from vaguemestre_queue.connection import Connection
from vaguemestre_queue.context import Context
from vaguemestre_queue.rows import Row
from vaguemestre_queue.sealing import Envelope

GIVEN: Final = "given"
PREPARED: Final = "prepared"
SIGNATURE: Final = "signature"
# What remains of PREPARED once its days have passed, while the document is at the service; vouched for in its place.
REFERENCE: Final = "reference"


def fetch(connection: Connection, context: Context, order_id: OrderId, role: str) -> bytes | None:
    """Return a sealed body, or None when the order never had one of that role.

    Raises StoreError BODY_GONE (destroyed), BODY_UNREADABLE (not the bytes the row vouches for).
    """
    row = transitions.load(connection, context, order_id)
    expected = row[f"{role}_digest"]
    if expected is None or expected == given.NONE:
        return None
    find = "SELECT envelope FROM bodies WHERE order_id = ? AND role = ?"
    found = connection.run(find, [order_id, role])
    if not found and role == PREPARED:
        found = connection.run(find, [order_id, REFERENCE])
    if not found:
        raise StoreError("BODY_GONE")
    sealed = rows.as_bytes(found[0][0])
    if hashlib.sha256(sealed).digest() != expected:
        raise StoreError("BODY_UNREADABLE")
    return sealed


def keep(connection: Connection, context: Context, order_id: OrderId, role: str, envelope: Envelope) -> Row:
    """Store a sealed body; return the columns that vouch for it."""
    connection.run(
        "INSERT OR REPLACE INTO bodies VALUES (?, ?, ?, ?, ?)",
        [
            order_id,
            role,
            envelope.sealed,
            rows.pairs_json([(recipient, "") for recipient in envelope.recipients]),
            rows.to_us(context.clock.now()),
        ],
    )
    return {f"{role}_digest": envelope.digest}


def reduce_to_reference(connection: Connection, context: Context, order_id: OrderId) -> Row | None:
    """Put, in place of the built document, what a change of it needs; return the columns that vouch for it.

    None, and nothing is changed, when there is no built document that opens.
    """
    try:
        sealed = fetch(connection, context, order_id, PREPARED)
        if sealed is None:
            return None
        reference = PreparedDocument.from_bytes(context.sealer.open(sealed)).reference()
    except (StoreError, InvalidInput):
        return None
    envelope = context.sealer.seal(reference.to_bytes())
    keep(connection, context, order_id, REFERENCE, envelope)
    connection.run("DELETE FROM bodies WHERE order_id = ? AND role = ?", [order_id, PREPARED])
    return {f"{PREPARED}_digest": envelope.digest}


def save_prepared(
    connection: Connection,
    context: Context,
    order_id: OrderId,
    build: PreparedBuild,
    envelope: Envelope,
    frozen_ids: FrozenIds,
    changes: list[Change],
) -> Order:
    """Keep the built document, freeze identifiers, apply PREPARED. Raises Conflict UNIQUE_ID_TAKEN."""
    row = transitions.load(connection, context, order_id)
    # One given up in doubt may be there: its uniqueId is not free.
    taken = connection.run(
        "SELECT order_id FROM orders WHERE unique_id = ? AND order_id <> ? AND kind IN ('dmp.submit', 'dmp.replace') "
        "AND (state NOT IN ('cancelled', 'superseded', 'abandoned') "
        "OR (state = 'abandoned' AND doubt_since_us IS NOT NULL))",
        [build.unique_id, order_id],
    )
    if taken:
        raise Conflict("UNIQUE_ID_TAKEN")
    columns = keep(connection, context, order_id, PREPARED, envelope)
    if build.set_id != row["set_id"]:
        columns |= _move_to_set(connection, context, row, build.set_id)
    columns |= {
        "unique_id": build.unique_id,
        "set_id": build.set_id,
        "version": build.version,
        "type_code": build.type_code,
        "frozen_ids": rows.frozen_json(frozen_ids),
        "attempts": 0,
        "next_attempt_at_us": 0,
        "failure_code": None,
    }
    detail = tuple(("warning", code) for code in build.warnings)
    new = transitions.transition(
        connection, context, row, OrderEvent.PREPARED, AGENT_ACTOR, changes, columns=columns, detail=detail
    )
    return rows.order_of(new)


def _move_to_set(connection: Connection, context: Context, row: Row, set_id: str) -> Row:
    """Put a document in the set its ready CDA names; return the order's columns that follow."""
    document_id = row["document_id"]
    found = connection.run("SELECT patient FROM documents WHERE document_id = ?", [document_id])
    connection.run("UPDATE documents SET set_id = ? WHERE document_id = ?", [set_id, document_id])
    return {"lane": relations.lane_of(context, rows.as_text(found[0][0]), set_id)}


def first_byte(
    connection: Connection, context: Context, order_id: OrderId, signature: Envelope | None, changes: list[Change]
) -> Order:
    """Commit SENDING, and the lot's signature the first time. Raises Conflict TRANSITION_ILLEGAL, ORDER_HELD."""
    row = transitions.load(connection, context, order_id)
    if row["holds"]:
        raise Conflict("ORDER_HELD")
    columns: Row = {}
    if signature is not None and row["signature_digest"] is None:
        columns |= keep(connection, context, order_id, SIGNATURE, signature)
    new = transitions.transition(connection, context, row, OrderEvent.FIRST_BYTE, AGENT_ACTOR, changes, columns=columns)
    return rows.order_of(new)
