"""Reading a store whose keys are out of reach: rows as they are, none of them authenticated.

Enough to recognise a paired program and a repeated request. Nothing read here is acted upon: what is accepted meanwhile
is authenticated when the keys are back (``vaguemestre_queue.spool``).
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from vaguemestre_core.orders import ClientId
from vaguemestre_core.records import Client, Order, ProductProfile, Scope
from vaguemestre_queue import rows
from vaguemestre_queue.connection import SqlRow, Value, map_error


class UnverifiedStore:
    """The rows of a store's file.

    Args:
        database: the file; it may be absent.
    """

    def __init__(self, database: Path) -> None:
        self._database = database

    @property
    def exists(self) -> bool:
        """There is a store."""
        return self._database.exists()

    def _read(self, sql: str, params: Sequence[Value]) -> list[SqlRow]:
        if not self.exists:
            return []
        try:
            with closing(sqlite3.connect(f"{self._database.as_uri()}?mode=ro", uri=True)) as connection:
                return [tuple(row) for row in connection.execute(sql, params).fetchall()]
        except sqlite3.Error as error:
            raise map_error(error) from error

    def client(self, client_id: ClientId) -> Client | None:
        """Return a living client by its row, believed for this request only."""
        found = self._read(
            "SELECT name, secret_digest, os_identity, scopes, product, created_at_us FROM clients "
            "WHERE client_id = ? AND revoked_at_us IS NULL",
            [client_id],
        )
        if not found:
            return None
        name, digest, os_identity, scopes, product, created = found[0]
        return Client(
            client_id=client_id,
            name=rows.as_text(name),
            secret_digest=rows.as_text(digest),
            os_identity=None if os_identity is None else rows.as_text(os_identity),
            scopes=frozenset(Scope(part) for part in rows.as_text(scopes).split(",") if part),
            product=None if product is None else ProductProfile(**json.loads(rows.as_text(product))),
            created_at=rows.from_us(created),
        )

    def by_key(self, client_id: str, key: str) -> tuple[str, Order] | None:
        """Return the request digest and the order that an idempotency key led to, or None."""
        found = self._read(
            "SELECT request_digest, order_id FROM idempotency WHERE client_id = ? AND key = ?", [client_id, key]
        )
        orders = self._order("order_id = ?", [found[0][1]]) if found else []
        return (rows.as_text(found[0][0]), orders[0][1]) if orders else None

    def latest(self, client_id: str, client_ref: str) -> tuple[str, Order] | None:
        """Return the request digest and the order of a document's last wanted version, or None."""
        found = self._order(
            "client_id = ? AND client_ref = ? AND kind IN ('dmp.submit', 'dmp.replace')", [client_id, client_ref]
        )
        return found[0] if found else None

    def _order(self, where: str, params: Sequence[Value]) -> list[tuple[str, Order]]:
        found = self._read(f"{rows.SELECT} WHERE {where} ORDER BY seq DESC LIMIT 1", params)
        return [(rows.as_text(row["request_digest"]), rows.order_of(row)) for row, _ in map(rows.row_of, found)]
