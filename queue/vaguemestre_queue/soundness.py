"""What ails the file: remembered until a real write or a real check says that it is over.

Owns the check of the file's structure and the memory of the last trouble. Nothing is repaired here: see
``vaguemestre_queue.salvage``. Source: sqlite.org/pragma.html#pragma_integrity_check; docs/bad-days.md.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Final

from vaguemestre_core.errors import StoreError
from vaguemestre_queue import meta, rows
from vaguemestre_queue.connection import Connection

DAMAGED: Final = "STORE_CORRUPT"
# What concerns the file or its disk, not one piece of work.
_OF_THE_FILE: Final = frozenset(
    {"STORE_FULL", "STORE_READ_ONLY", "STORE_IO_ERROR", "STORE_CANNOT_OPEN", "STORE_UNAVAILABLE", DAMAGED}
)
ROOM_BYTES: Final = 4 * 1024 * 1024  # free again on a disk that was full: a page or two prove nothing
WHOLE_CHECK_PAGES: Final = 25_000  # up to there (100 MiB) the indexes are compared with their tables too


class Soundness:
    """Remembers what ails the file of one open store.

    Args:
        database: the file.
        room_bytes: free space that ends a full disk.
    """

    def __init__(self, database: Path, *, room_bytes: int = ROOM_BYTES) -> None:
        self._database = database
        self._room_bytes = room_bytes
        self._trouble: str | None = None

    @property
    def trouble(self) -> str | None:
        """Code of what ails the file, or None."""
        return self._trouble

    def note(self, error: StoreError) -> None:
        """Remember an error of the file. Damage outlives any other; a cell that is not ours is no damage."""
        if error.code not in _OF_THE_FILE or self._trouble == DAMAGED:
            return
        if error.code != DAMAGED or "sqlite_code" in error.params:
            self._trouble = error.code

    def require_undamaged(self) -> None:
        """Raise StoreError STORE_CORRUPT when the file is known to be damaged: no page of it is believed."""
        if self._trouble == DAMAGED:
            raise StoreError(DAMAGED)

    def try_out(self, connection: Connection) -> None:
        """Do what failed again, in the caller's transaction. Raises the StoreError that is still there."""
        if self._trouble == DAMAGED:
            require_sound(connection)
        if self._trouble == "STORE_FULL" and shutil.disk_usage(self._database.parent).free < self._room_bytes:
            raise StoreError("STORE_FULL")
        tries = int(meta.read(connection, "tries") or "0")
        meta.write(connection, "tries", str(tries + 1))

    def cured(self) -> None:
        """Forget it: what failed was done and committed."""
        self._trouble = None


def faults(connection: Connection, *, most: int = 100) -> list[str]:
    """Return what the check of the file's structure finds, as SQLite words it; nothing when it is sound.

    Raises:
        StoreError: STORE_CORRUPT when even the check cannot run.
    """
    pages = rows.as_int(connection.run("PRAGMA page_count")[0][0])
    check = "integrity_check" if pages <= WHOLE_CHECK_PAGES else "quick_check"
    found = [rows.as_text(row[0]) for row in connection.run(f"PRAGMA {check}({int(most)})")]
    return [] if found == ["ok"] else found


def require_sound(connection: Connection) -> None:
    """Raise StoreError STORE_CORRUPT when the file's structure is damaged."""
    if faults(connection, most=1):
        raise StoreError(DAMAGED)
