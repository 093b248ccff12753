"""One SQLite connection as the store sees it: execute and rows, whatever library gives it.

The real one is ``sqlite3``; the power-cut self-test gives one over a recording file system. Nothing else of either
library is used, so both run the same SQL. Source of the settings: docs/adr/0003.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol, TypeAlias

from vaguemestre_core.errors import StoreError

Value: TypeAlias = str | int | float | bytes | None
SqlRow: TypeAlias = tuple[Value, ...]


class Connection(Protocol):
    """What the store needs of a database connection; autocommit, the store says BEGIN and COMMIT itself."""

    def run(self, sql: str, params: Sequence[Value] = ()) -> list[SqlRow]:
        """Run one statement and return all its rows."""

    def changed(self) -> int:
        """Return the number of rows changed by the last statement."""

    def close(self) -> None:
        """Close the connection."""


ConnectionFactory: TypeAlias = Callable[[Path], Connection]


class SqliteConnection:
    """Connection over the standard library's sqlite3."""

    def __init__(self, path: Path) -> None:
        try:
            self._raw = sqlite3.connect(path, timeout=5.0, isolation_level=None, check_same_thread=False)
        except sqlite3.Error as error:
            raise map_error(error) from error
        self._changed = 0

    def run(self, sql: str, params: Sequence[Value] = ()) -> list[SqlRow]:
        """Run one statement; sqlite3 errors become StoreError."""
        try:
            cursor = self._raw.execute(sql, params)
            rows: list[SqlRow] = cursor.fetchall()
        except sqlite3.Error as error:
            raise map_error(error) from error
        except UnicodeDecodeError as error:
            raise StoreError("STORE_CORRUPT") from error  # a name or a text in the file is not text any more
        self._changed = cursor.rowcount
        return rows

    def changed(self) -> int:
        """Return the number of rows changed by the last statement."""
        return self._changed

    def close(self) -> None:
        """Close; the last connection checkpoints the write-ahead log."""
        try:
            self._raw.close()
        except sqlite3.Error as error:
            raise map_error(error) from error


# Primary result codes (sqlite.org/rescode.html) that a person can do something about.
_CODES = {
    sqlite3.SQLITE_FULL: "STORE_FULL",
    sqlite3.SQLITE_READONLY: "STORE_READ_ONLY",
    sqlite3.SQLITE_CORRUPT: "STORE_CORRUPT",
    sqlite3.SQLITE_NOTADB: "STORE_CORRUPT",
    sqlite3.SQLITE_CANTOPEN: "STORE_CANNOT_OPEN",
    sqlite3.SQLITE_PERM: "STORE_CANNOT_OPEN",
    sqlite3.SQLITE_BUSY: "STORE_BUSY",
    sqlite3.SQLITE_LOCKED: "STORE_BUSY",
    sqlite3.SQLITE_IOERR: "STORE_IO_ERROR",
}


def map_error(error: sqlite3.Error) -> StoreError:
    """Return our error for a sqlite3 one; the message never carries values."""
    full = getattr(error, "sqlite_errorcode", None)
    if full is None:
        return StoreError("STORE_UNAVAILABLE")
    return StoreError(_CODES.get(full & 0xFF, "STORE_UNAVAILABLE"), sqlite_code=full)


@contextmanager
def transaction(connection: Connection) -> Iterator[None]:
    """Run a block in one immediate transaction: committed when it ends, rolled back when it raises."""
    connection.run("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        connection.run("ROLLBACK")
        raise
    connection.run("COMMIT")
