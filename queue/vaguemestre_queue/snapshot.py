"""Snapshots of the database while it runs, and the inspection of one: is it whole, is it ours, what does it hold.

A snapshot is one file without write-ahead log. Inspecting never changes it. Source: sqlite.org/backup.html.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from vaguemestre_core.errors import StoreError
from vaguemestre_core.keeping import Anchor
from vaguemestre_core.orders import TERMINAL, OrderState
from vaguemestre_queue import anchors, bodies, ledger, people, recovery, rows
from vaguemestre_queue.connection import Connection, SqliteConnection, map_error
from vaguemestre_queue.context import Context
from vaguemestre_queue.database import APPLICATION_ID, schema_version
from vaguemestre_queue.sealing import Sealer

BACKUP: Final = "backup"
_BLOCK: Final = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspection:
    """What a snapshot holds.

    Attributes:
        anchor: last line of its ledger.
        faults: what is not as it should be, sorted: ``integrity``, ``keys``, ``ledger``, ``anchor``, ``row``, ``body``.
    """

    schema: int
    orders: int
    open_orders: int
    bodies: int
    clients: int
    anchor: Anchor
    faults: tuple[str, ...]


def take(database: Path, target: Path) -> None:
    """Write a consistent snapshot of a database that may be in use. Raises StoreError STORE_FULL and others."""
    try:
        with (
            closing(sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True, timeout=5.0)) as source,
            closing(sqlite3.connect(target)) as copy,
        ):
            source.backup(copy)  # all pages in one step: one read transaction, one instant
            copy.execute("PRAGMA journal_mode = DELETE").fetchall()
    except sqlite3.Error as error:
        raise map_error(error) from error


def digest_of(path: Path) -> str:
    """Return the hex SHA-256 of a file."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


@contextmanager
def opened(path: Path) -> Iterator[Connection]:
    """Give a reading connection on a snapshot. Raises StoreError STORE_NOT_OURS, STORE_TOO_NEW, STORE_CORRUPT."""
    connection = SqliteConnection(path)
    try:
        connection.run("PRAGMA query_only = ON")
        if connection.run("PRAGMA application_id") != [(APPLICATION_ID,)]:
            raise StoreError("STORE_NOT_OURS")
        version = rows.as_int(connection.run("PRAGMA user_version")[0][0])
        if version > schema_version():
            raise StoreError("STORE_TOO_NEW", file_version=version, known_version=schema_version())
        yield connection
    finally:
        connection.close()


def inspect(path: Path, context: Context) -> Inspection:
    """Read a whole snapshot: file, chain, anchors, every row's digest, every body's. Raises as ``opened``."""
    with opened(path) as connection:
        faults: set[str] = set()
        if connection.run("PRAGMA integrity_check(1)") != [("ok",)] or connection.run("PRAGMA foreign_key_check"):
            faults.add("integrity")
        if recovery.same_keys(connection, context.sealer) is False:
            faults.add("keys")
        anchor, wrong = _ledger(connection, context.sealer)
        faults |= wrong
        orders, open_orders, wrong = _orders(connection, context.sealer)
        faults |= wrong
        clients = connection.run(people.SELECT_CLIENTS)
        if any(people.client_of(context, row) is None for row in clients):
            faults.add("row")
        if not _facts_are_ours(connection, context.sealer):
            faults.add("row")
        return Inspection(
            schema=rows.as_int(connection.run("PRAGMA user_version")[0][0]),
            orders=orders,
            open_orders=open_orders,
            bodies=rows.as_int(connection.run("SELECT count(*) FROM bodies")[0][0]),
            clients=len(clients),
            anchor=anchor,
            faults=tuple(sorted(faults)),
        )


def _ledger(connection: Connection, sealer: Sealer) -> tuple[Anchor, set[str]]:
    seq, digest = ledger.head(connection)
    head = Anchor(where=BACKUP, seq=seq, digest=digest)
    try:
        signed = {item.seq: item for item in anchors.of_rows(connection.run(anchors.SELECT), sealer)}
        check = ledger.ChainCheck()
        while page := connection.run(f"{ledger.SELECT} WHERE seq > ? ORDER BY seq LIMIT 1000", [check.lines]):
            for row in page:
                check.take(row)
                if check.lines in signed:
                    anchors.require(signed.pop(check.lines), check.digest, seq)
        for item in signed.values():
            anchors.require(item, None, seq)
    except StoreError as error:
        return head, {"ledger" if error.code == "LEDGER_BROKEN" else "anchor"}
    return head, set()


def _orders(connection: Connection, sealer: Sealer) -> tuple[int, int, set[str]]:
    faults: set[str] = set()
    total = still_open = 0
    after = 0
    select = rows.SELECT.replace("SELECT ", "SELECT seq, quarantined, ", 1)
    while page := connection.run(f"{select} WHERE seq > ? ORDER BY seq LIMIT 500", [after]):
        for seq, quarantined, *cells in page:
            after = rows.as_int(seq)
            total += 1
            row, mac = rows.row_of(tuple(cells))
            if not rows.is_authentic(sealer, row, mac):
                faults |= set() if quarantined else {"row"}  # one set aside is known, and never sent
                continue
            is_open = OrderState(rows.as_text(row["state"])) not in TERMINAL
            still_open += is_open
            if not _bodies_are_there(connection, row, may_be_gone=not is_open):
                faults.add("body")
    return total, still_open, faults


def _bodies_are_there(connection: Connection, row: rows.Row, *, may_be_gone: bool) -> bool:
    found = connection.run("SELECT role, envelope FROM bodies WHERE order_id = ?", [row["order_id"]])
    sealed = {rows.as_text(role): envelope for role, envelope in found}
    for role in ("given", "prepared", "signature"):
        expected, envelope = row[f"{role}_digest"], sealed.get(role)
        if envelope is None and role == bodies.PREPARED:
            envelope = sealed.get(bodies.REFERENCE)
        if envelope is None:
            if expected is not None and not may_be_gone:
                return False
        elif hashlib.sha256(rows.as_bytes(envelope)).digest() != expected:
            return False
    return True


def _facts_are_ours(connection: Connection, sealer: Sealer) -> bool:
    columns = "subject, kind, scope, value, version, actor, at_us"
    found = connection.run(f"SELECT {columns}, mac FROM facts")
    return all(sealer.is_authentic("facts", list(cells), mac) for *cells, mac in found)
