"""The store's description of itself: one text for each key of the ``meta`` table; each key belongs to who writes it.

Owns how it is read and written, in the caller's transaction; knows no key.
"""

from __future__ import annotations

from vaguemestre_queue import rows
from vaguemestre_queue.connection import Connection


def read(connection: Connection, key: str) -> str | None:
    """Return a value, or None."""
    found = connection.run("SELECT value FROM meta WHERE key = ?", [key])
    return rows.as_text(found[0][0]) if found else None


def write(connection: Connection, key: str, value: str) -> None:
    """Write a value."""
    connection.run("INSERT OR REPLACE INTO meta VALUES (?, ?)", [key, value])
