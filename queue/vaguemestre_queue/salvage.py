"""Saving what can be read of a damaged store into a fresh one; the damaged file is only read, and kept.

Owns what is copied and what is told to be lost. Nothing is guessed: a row comes whole or not at all, and the digests of
rows and bodies judge it later as on any day. The fresh store starts a new life: all that is not over is IN_DOUBT, since
it may have left after what could be read. Source: docs/bad-days.md, "A damaged page".
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from vaguemestre_core.errors import NotFound, StoreError
from vaguemestre_queue import meta, recovery, rows
from vaguemestre_queue.connection import Connection, SqliteConnection, SqlRow, Value, transaction
from vaguemestre_queue.database import open_database
from vaguemestre_queue.files import flush_folder
from vaguemestre_queue.keeping import DAMAGED
from vaguemestre_queue.logcheck import is_damaged
from vaguemestre_queue.opening import DATABASE_FILE, MARKER_FILE
from vaguemestre_queue.sealing import Sealer, StoreKeys
from vaguemestre_queue.soundness import faults

# Parents first. What points at a row that could not be read is given an empty one, or left out.
_TABLES: Final = ("meta", "clients", "documents", "orders", "bodies", "idempotency", "facts", "ledger")
_REST: Final = frozenset({"sqlite_sequence", "ended"})  # made anew
_GAP: Final = 4096  # row numbers tried one by one after one that cannot be read


@dataclass(frozen=True, slots=True, kw_only=True)
class Salvage:
    """What was saved and what was not.

    Attributes:
        orders: orders read whole.
        altered: of them, those whose digest does not match: never sent.
        lost: ids of orders that something names and that could not be read.
        bodies: bodies read whole; the practice program is asked for the others.
        ledger: ledger lines read.
        ledger_missing: numbers below the last line that could not be read.
        aside: folder where the damaged files are kept, or None when nothing was changed.
    """

    orders: int
    altered: int
    lost: tuple[str, ...]
    bodies: int
    ledger: int
    ledger_missing: int
    aside: str | None = None


def check(folder: Path) -> list[str]:
    """Return what is wrong with the file of a stopped store, as SQLite words it; it is copied, and only read.

    Raises:
        NotFound: STORE_UNKNOWN.
        StoreError: STORE_FULL when there is no room for the copy.
    """
    with_copy = _Copy(folder)
    if is_damaged(folder / f"{DATABASE_FILE}-wal"):
        with_copy.remove()
        return ["write-ahead log"]
    try:
        connection = SqliteConnection(with_copy.database)
        try:
            return faults(connection)
        except StoreError as error:
            return [error.code]
        finally:
            connection.close()
    finally:
        with_copy.remove()


def salvage(folder: Path, keys: StoreKeys, now: datetime) -> Salvage:
    """Put a fresh store, with all that can be read, in the place of a damaged one; keep the damaged files aside.

    The agent is stopped. Interrupted at any point, the damaged store is still whole, in its place or aside.

    Raises:
        NotFound: STORE_UNKNOWN.
        StoreError: KEYS_REPLACED, STORE_FULL; nothing was changed.
    """
    copied = _Copy(folder)
    fresh_path = copied.folder / "fresh.db"
    try:
        damaged = SqliteConnection(copied.database)
        try:
            fresh = open_database(fresh_path)
            try:
                made = _fill(damaged, fresh, Sealer(keys))
                _remember(fresh, made)
                fresh.run("PRAGMA wal_checkpoint(TRUNCATE)")
            finally:
                fresh.close()
        finally:
            damaged.close()
        aside = _exchange(folder, fresh_path, now)
    finally:
        copied.remove()
    return Salvage(
        orders=made.orders,
        altered=made.altered,
        lost=made.lost,
        bodies=made.bodies,
        ledger=made.ledger,
        ledger_missing=made.ledger_missing,
        aside=aside.name,
    )


class _Copy:
    """The damaged files in a folder of ours: SQLite may write to these."""

    def __init__(self, folder: Path) -> None:
        source = folder / DATABASE_FILE
        if not source.exists():
            raise NotFound("STORE_UNKNOWN")
        self.folder = folder / "salvage.tmp"
        shutil.rmtree(self.folder, ignore_errors=True)
        self.database = self.folder / "damaged.db"
        try:
            self.folder.mkdir(mode=0o700)
            for suffix in ("", "-wal"):
                if (folder / (DATABASE_FILE + suffix)).exists():
                    shutil.copyfile(folder / (DATABASE_FILE + suffix), self.folder / ("damaged.db" + suffix))
        except OSError as error:
            self.remove()
            raise StoreError("STORE_FULL") from error

    def remove(self) -> None:
        """Remove the copies; what stays is removed by the next one."""
        shutil.rmtree(self.folder, ignore_errors=True)


def _fill(damaged: Connection, fresh: Connection, sealer: Sealer) -> Salvage:
    fresh.run("PRAGMA foreign_keys = OFF")
    saved: dict[str, int] = {}
    with transaction(fresh):
        for table in _tables(fresh):
            saved[table] = _copy_table(damaged, fresh, table)
        if recovery.same_keys(fresh, sealer) is False:
            raise StoreError("KEYS_REPLACED")
        lost = _lost(fresh)
        _give_parents(fresh)
        altered = _altered(fresh, sealer)
        lines = rows.as_int(fresh.run("SELECT coalesce(max(seq), 0) FROM ledger")[0][0])
    fresh.run("PRAGMA foreign_keys = ON")
    return Salvage(
        orders=saved["orders"],
        altered=altered,
        lost=tuple(lost),
        bodies=rows.as_int(fresh.run("SELECT count(*) FROM bodies")[0][0]),
        ledger=saved["ledger"],
        ledger_missing=lines - saved["ledger"],
    )


def _tables(fresh: Connection) -> list[str]:
    found = fresh.run("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name")
    others = [rows.as_text(row[0]) for row in found]
    return [*_TABLES, *(name for name in others if name not in _REST and name not in _TABLES)]


def _columns(connection: Connection, table: str) -> list[str]:
    return [rows.as_text(row[1]) for row in connection.run(f"PRAGMA table_info({table})")]


def _copy_table(damaged: Connection, fresh: Connection, table: str) -> int:
    wanted = _columns(fresh, table)
    try:
        there = frozenset(_columns(damaged, table))
    except StoreError:
        return 0  # not even the schema can be read
    columns = [name for name in wanted if name in there]
    if not columns:
        return 0
    insert = f"INSERT OR IGNORE INTO {table} ({', '.join(columns)}) VALUES ({', '.join('?' for _ in columns)})"
    count = 0
    for row in _readable(damaged, table, columns):
        try:
            fresh.run(insert, row)
        except StoreError:
            continue  # not the types that a row of ours has
        count += fresh.changed()
    return count


def _readable(damaged: Connection, table: str, columns: Sequence[str]) -> list[SqlRow]:
    """Return the rows that can be read: from both ends up to what cannot, then one by one in between."""
    names = ", ".join(columns)
    try:
        return damaged.run(f"SELECT {names} FROM {table}")
    except StoreError:
        pass
    numbered = _attempt(damaged, f"SELECT rowid FROM {table} LIMIT 1") is not None or not _is_without_rowid(
        damaged, table
    )
    if not numbered:
        return [*_one_way(damaged, table, names, "ASC"), *_one_way(damaged, table, names, "DESC")]
    found: dict[int, SqlRow] = {}
    bounds: list[int] = []
    for direction, compared in (("ASC", ">"), ("DESC", "<")):
        last: int | None = None
        while True:
            where = "" if last is None else f"WHERE rowid {compared} {last}"
            step = _attempt(damaged, f"SELECT rowid, {names} FROM {table} {where} ORDER BY rowid {direction} LIMIT 1")
            if not step:
                break
            last = rows.as_int(step[0][0])
            if last in found:
                break
            found[last] = step[0][1:]
        bounds.append(last or 0)
    low, high = bounds
    for number in range(low + 1, min(high, low + _GAP) if high > low else low + _GAP):
        if number not in found:
            step = _attempt(damaged, f"SELECT {names} FROM {table} WHERE rowid = ?", [number])
            if step:
                found[number] = step[0]
    return [found[number] for number in sorted(found)]


def _is_without_rowid(damaged: Connection, table: str) -> bool:
    found = _attempt(damaged, "SELECT sql FROM sqlite_schema WHERE name = ?", [table])
    return bool(found) and "WITHOUT ROWID" in str(found[0][0]) if found else False


def _attempt(damaged: Connection, sql: str, params: Sequence[Value] = ()) -> list[SqlRow] | None:
    """Return what can be read, or None where the file is damaged."""
    try:
        return damaged.run(sql, params)
    except StoreError:
        return None


def _one_way(damaged: Connection, table: str, names: str, direction: str) -> list[SqlRow]:
    """Return the rows of a table without row numbers up to the first that cannot be read."""
    key = ", ".join(
        rows.as_text(row[1])
        for row in sorted(damaged.run(f"PRAGMA table_info({table})"), key=lambda r: str(r[5]))
        if row[5]
    )
    found: list[SqlRow] = []
    order = ", ".join(f"{name} {direction}" for name in key.split(", "))
    while step := _attempt(damaged, f"SELECT {names} FROM {table} ORDER BY {order} LIMIT 1 OFFSET {len(found)}"):
        found.append(step[0])
    return found


def _lost(fresh: Connection) -> list[str]:
    """Return the orders that the ledger, a body or a key names and that could not be read."""
    found = fresh.run(
        "SELECT DISTINCT order_id FROM (SELECT order_id FROM ledger WHERE order_id IS NOT NULL UNION "
        "SELECT order_id FROM bodies UNION SELECT order_id FROM idempotency) "
        "WHERE order_id NOT IN (SELECT order_id FROM orders) ORDER BY order_id"
    )
    return [rows.as_text(row[0]) for row in found]


def _give_parents(fresh: Connection) -> None:
    """Give orders an empty document or client where theirs is lost: such an order is held until it is given again."""
    fresh.run(
        "INSERT OR IGNORE INTO documents (document_id, client_id, client_ref, set_id, patient, title, created_at_us) "
        "SELECT document_id, client_id, client_ref, set_id, '', x'', accepted_at_us FROM orders "
        "WHERE document_id NOT IN (SELECT document_id FROM documents)"
    )
    fresh.run("DELETE FROM orders WHERE document_id NOT IN (SELECT document_id FROM documents)")
    fresh.run(
        "INSERT OR IGNORE INTO clients (client_id, name, secret_digest, scopes, created_at_us, mac) "
        "SELECT DISTINCT client_id, '', '', '', 0, x'' FROM documents "
        "WHERE client_id NOT IN (SELECT client_id FROM clients)"
    )
    for table in ("bodies", "idempotency"):
        fresh.run(f"DELETE FROM {table} WHERE order_id NOT IN (SELECT order_id FROM orders)")


def _altered(fresh: Connection, sealer: Sealer) -> int:
    pairs = [rows.row_of(cells) for cells in fresh.run(rows.SELECT)]
    return sum(not rows.is_authentic(sealer, row, mac) for row, mac in pairs)


def _remember(fresh: Connection, made: Salvage) -> None:
    told = json.dumps([made.orders, len(made.lost), made.ledger_missing])
    with transaction(fresh):
        meta.write(fresh, recovery.SALVAGED, told)


def _exchange(folder: Path, fresh: Path, now: datetime) -> Path:
    """Put the fresh file in place; the damaged ones, and the marker of their life, go aside."""
    aside = folder / f"{DAMAGED}{now:%Y%m%dT%H%M%SZ}"
    aside.mkdir(mode=0o700, exist_ok=True)
    database = folder / DATABASE_FILE
    shutil.copyfile(database, aside / DATABASE_FILE)
    with (aside / DATABASE_FILE).open("rb+") as file:
        os.fsync(file.fileno())
    for name in (f"{DATABASE_FILE}-wal", f"{DATABASE_FILE}-shm", MARKER_FILE):
        if (folder / name).exists():
            (folder / name).replace(aside / name)
    flush_folder(aside)
    fresh.chmod(0o600)
    fresh.replace(database)  # the folder is never without a store
    flush_folder(folder)
    return aside
