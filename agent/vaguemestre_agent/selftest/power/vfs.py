"""A file system in memory under SQLite that writes down every operation, and the store's connection over it.

The recorded file system promises what SQLite is told by default on Unix and Windows: writing some bytes of a sector
does not damage its other bytes (powersafe overwrite), and nothing about the order of writes between two flushes. The
write-ahead log's index lives in heap memory (exclusive locking), as it never needs to survive. Needs ``apsw``, a
development dependency; nothing else of the product imports it. Source: sqlite.org/vfs.html, docs/adr/0007.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePath
from typing import Final

import apsw

from vaguemestre_agent.selftest.power.recording import Action, Operation, OperationLog
from vaguemestre_core.errors import StoreError
from vaguemestre_queue.connection import SqlRow, Value

POWERSAFE_OVERWRITE: Final = 0x00001000  # SQLITE_IOCAP_POWERSAFE_OVERWRITE
SECTOR_BYTES: Final = 4096  # what SQLite reports for ordinary disks


class RecordedFile:
    """One open file: bytes in memory, operations in the log (temporary files leave no trace)."""

    def __init__(self, log: OperationLog | None, name: str, content: bytearray) -> None:
        self._log = log
        self._name = name
        self._content = content

    def _note(self, action: Action, offset: int = 0, data: bytes = b"") -> None:
        if self._log is not None:
            self._log.add(Operation(action=action, file=self._name, offset=offset, data=data))

    def xRead(self, amount: int, offset: int) -> bytes:  # noqa: N802 - SQLite's name
        """Return the bytes there; fewer at the end of the file."""
        return bytes(self._content[offset : offset + amount])

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802 - SQLite's name
        """Write bytes."""
        piece = bytes(data)
        self._note(Action.WRITE, offset, piece)
        if offset > len(self._content):
            self._content.extend(bytes(offset - len(self._content)))
        self._content[offset : offset + len(piece)] = piece

    def xTruncate(self, newsize: int) -> None:  # noqa: N802 - SQLite's name
        """Set the length."""
        self._note(Action.TRUNCATE, newsize)
        del self._content[newsize:]

    def xSync(self, flags: int) -> None:  # noqa: N802 - SQLite's name
        """Flush this file."""
        self._note(Action.SYNC)

    def xFileSize(self) -> int:  # noqa: N802 - SQLite's name
        """Return the length in bytes."""
        return len(self._content)

    def xLock(self, level: int) -> None:  # noqa: N802 - SQLite's name
        """Take a lock: there is one connection."""

    def xUnlock(self, level: int) -> None:  # noqa: N802 - SQLite's name
        """Give a lock back."""

    def xCheckReservedLock(self) -> bool:  # noqa: N802 - SQLite's name
        """Say whether another connection writes: there is none."""
        return False

    def xFileControl(self, op: int, ptr: int) -> bool:  # noqa: N802 - SQLite's name
        """Refuse every special request."""
        return False

    def xSectorSize(self) -> int:  # noqa: N802 - SQLite's name
        """Return the sector size reported to SQLite, in bytes."""
        return SECTOR_BYTES

    def xDeviceCharacteristics(self) -> int:  # noqa: N802 - SQLite's name
        """Return what the disk promises: powersafe overwrite only."""
        return POWERSAFE_OVERWRITE

    def xClose(self) -> None:  # noqa: N802 - SQLite's name
        """Close: flushes nothing."""


class RecordingVfs(apsw.VFS):
    """The file system: names to bytes, and the log."""

    def __init__(self, name: str, log: OperationLog) -> None:
        super().__init__(name, "")
        self._log = log
        self._files: dict[str, bytearray] = {}

    def xFullPathname(self, name: str) -> str:  # noqa: N802 - SQLite's name
        """Return the name: there is one folder."""
        return PurePath(name).name

    def xOpen(  # type: ignore[override]  # noqa: N802 - SQLite's name; apsw takes any object with a file's methods
        self, name: object, flags: list[int]
    ) -> RecordedFile:
        """Open or create a file."""
        flags[1] = flags[0]
        if name is None:
            return RecordedFile(None, "", bytearray())
        text = name.filename() if isinstance(name, apsw.URIFilename) else str(name)
        key = PurePath(text).name
        if key not in self._files:
            self._files[key] = bytearray()
            self._log.add(Operation(action=Action.CREATE, file=key))
        return RecordedFile(self._log, key, self._files[key])

    def xAccess(self, pathname: str, flags: int) -> bool:  # noqa: N802 - SQLite's name
        """Say whether a file exists."""
        return PurePath(pathname).name in self._files

    def xDelete(self, filename: str, syncdir: bool) -> None:  # noqa: N802 - SQLite's name
        """Remove a file; the directory is taken as not flushed whatever was asked, which is the harder case."""
        key = PurePath(filename).name
        if key in self._files:
            del self._files[key]
            self._log.add(Operation(action=Action.DELETE, file=key))


class ApswConnection:
    """The store's ``Connection`` over apsw and a recording file system."""

    def __init__(self, path: Path, vfs: RecordingVfs, vfs_name: str) -> None:
        self._vfs = vfs  # SQLite keeps no reference to it
        try:
            self._raw = apsw.Connection(path.name, vfs=vfs_name)
            self.run("PRAGMA locking_mode = EXCLUSIVE")
            self.run("PRAGMA temp_store = MEMORY")
        except apsw.Error as error:
            raise StoreError("STORE_CANNOT_OPEN") from error

    def run(self, sql: str, params: Sequence[Value] = ()) -> list[SqlRow]:
        """Run one statement; apsw errors become StoreError."""
        try:
            rows: list[SqlRow] = self._raw.execute(sql, tuple(params)).fetchall()
        except apsw.Error as error:
            raise StoreError("STORE_UNAVAILABLE", sqlite_code=getattr(error, "extendedresult", None)) from error
        return rows

    def changed(self) -> int:
        """Return the number of rows changed by the last statement that changes rows."""
        count: int = self._raw.changes()
        return count

    def close(self) -> None:
        """Close."""
        self._raw.close()
