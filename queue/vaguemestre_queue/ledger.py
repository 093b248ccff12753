"""The ledger: append-only lines chained by digest, without medical or personal content.

The number of a line is also the number of the event a client resumes from.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from vaguemestre_core.errors import StoreError
from vaguemestre_core.orders import ClientId, OrderId, OrderState
from vaguemestre_core.records import Actor, LedgerEntry
from vaguemestre_queue.connection import Connection, SqlRow, Value
from vaguemestre_queue.rows import actor_json, actor_of, as_bytes, as_int, as_text, from_us, pairs_json, pairs_of, to_us

_CELLS: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))
GENESIS: Final = bytes(32)  # digest before the first line
SELECT: Final = (
    "SELECT seq, at_us, kind, order_id, client_id, client_ref, actor, before, after, detail, digest FROM ledger"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A line about to be written."""

    at: datetime
    kind: str
    actor: Actor
    order_id: str | None = None
    client_id: str | None = None
    client_ref: str | None = None
    before: OrderState | None = None
    after: OrderState | None = None
    detail: tuple[tuple[str, str], ...] = ()


def line_digest(previous: bytes, cells: list[Value]) -> bytes:
    """Return the digest of a line: SHA-256 over the previous digest and the line's cells as JSON."""
    text = _CELLS.encode(cells).encode()
    return hashlib.sha256(previous + text).digest()


def head(connection: Connection) -> tuple[int, bytes]:
    """Return the number and digest of the last line, or (0, GENESIS)."""
    rows = connection.run("SELECT seq, digest FROM ledger ORDER BY seq DESC LIMIT 1")
    return (as_int(rows[0][0]), as_bytes(rows[0][1])) if rows else (0, GENESIS)


def append(connection: Connection, line: Line) -> LedgerEntry:
    """Write a line after the last one, in the caller's transaction; return it."""
    seq, previous = head(connection)
    cells: list[Value] = [
        seq + 1,
        to_us(line.at),
        line.kind,
        line.order_id,
        line.client_id,
        line.client_ref,
        actor_json(line.actor),
        line.before,
        line.after,
        pairs_json(line.detail),
    ]
    digest = line_digest(previous, cells)
    connection.run("INSERT INTO ledger VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", [*cells, digest])
    return LedgerEntry(
        seq=seq + 1,
        at=line.at,
        kind=line.kind,
        order_id=None if line.order_id is None else OrderId(line.order_id),
        client_id=None if line.client_id is None else ClientId(line.client_id),
        client_ref=line.client_ref,
        actor=line.actor,
        before=line.before,
        after=line.after,
        detail=tuple(sorted(line.detail)),
        previous=previous.hex(),
        digest=digest.hex(),
    )


def entry_of(row: SqlRow, previous: str = "") -> LedgerEntry:
    """Return the line a selected row describes."""
    seq, at_us, kind, order_id, client_id, client_ref, actor, before, after, detail, digest = row
    return LedgerEntry(
        seq=as_int(seq),
        at=from_us(at_us),
        kind=as_text(kind),
        order_id=None if order_id is None else OrderId(as_text(order_id)),
        client_id=None if client_id is None else ClientId(as_text(client_id)),
        client_ref=None if client_ref is None else as_text(client_ref),
        actor=actor_of(actor),
        before=None if before is None else OrderState(as_text(before)),
        after=None if after is None else OrderState(as_text(after)),
        detail=pairs_of(detail),
        previous=previous,
        digest=as_bytes(digest).hex(),
    )


class ChainCheck:
    """Recomputes the chain line by line, so that a long ledger is never in memory whole."""

    def __init__(self) -> None:
        self.lines = 0
        self.digest = GENESIS

    def take(self, row: SqlRow) -> None:
        """Check the next line. Raises StoreError LEDGER_BROKEN with the number expected."""
        *cells, digest = row
        if cells[0] != self.lines + 1 or line_digest(self.digest, list(cells)) != digest:
            raise StoreError("LEDGER_BROKEN", seq=self.lines + 1)
        self.lines += 1
        self.digest = as_bytes(digest)
