"""A folder (USB disk, network share) as a second place: whole files under names that tell nothing.

Owns the layout: one sub-folder for each store, so that several workstations share a folder. Never makes the folder
itself: a disk that is away must not become a folder of this disk. Never opens a document.
"""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from vaguemestre_agent.adapters.keystore.recovery import ESCROW_FILE
from vaguemestre_core.errors import StoreError
from vaguemestre_queue.copylist import COPY_SUFFIX
from vaguemestre_queue.files import flush_folder

LIST_FILE: Final = "orders.list"
LIST_BEFORE: Final = "orders.list.before"
SUBFOLDER: Final = "vaguemestre-"
_HALF: Final = ".half"
_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


def subfolder_of(folder: Path, store_id: str) -> Path:
    """Return the sub-folder of a store: a name derived from its random id."""
    return folder / f"{SUBFOLDER}{hashlib.sha256(store_id.encode()).hexdigest()[:16]}"


def lists_in(subfolder: Path) -> Iterator[bytes]:
    """Give the sealed list of a sub-folder, then the one before, those that are there. Raises OSError."""
    for name in (LIST_FILE, LIST_BEFORE):
        try:
            sealed = (subfolder / name).read_bytes()
        except FileNotFoundError:
            continue
        yield sealed


class FolderPlace:
    """``PlacePort`` over a folder.

    Args:
        folder: the folder of the settings.
        store_id: the store's id.
        state: the store's folder, whose escrow is copied.
        hit: failpoints ``copy.half`` (written, without its name) and ``copy.named``.
    """

    def __init__(self, folder: Path, store_id: str, state: Path, hit: Callable[[str], None]) -> None:
        self._folder = folder
        self._own = subfolder_of(folder, store_id)
        self._state = state
        self._hit = hit

    def is_there(self) -> bool:
        """Say whether our sub-folder, with its list, is there now."""
        with self._told():
            return (self._own / LIST_FILE).is_file()

    def look(self) -> frozenset[str]:
        """Return the names of the copies; an empty file, left by a power cut, is no copy."""
        if not self._folder.is_dir():
            raise StoreError("SECOND_COPY_AWAY")
        names: set[str] = set()
        with self._told():
            self._own.mkdir(exist_ok=True, mode=0o700)
            with os.scandir(self._own) as entries:
                for entry in entries:
                    if entry.name.endswith(_HALF):
                        Path(entry.path).unlink(missing_ok=True)
                    elif entry.name.endswith(COPY_SUFFIX) and entry.stat().st_size:
                        names.add(entry.name)
        return frozenset(names)

    def write(self, name: str, sealed: bytes) -> None:
        """Write a copy whole or not at all."""
        with self._told():
            self._write(self._own / name, sealed)

    def remove(self, name: str) -> None:
        """Remove a copy, durably."""
        with self._told():
            (self._own / name).unlink(missing_ok=True)
            flush_folder(self._own)

    def read_lists(self) -> Sequence[bytes]:
        """Return the sealed list and the one before; a cut may have left either."""
        with self._told():
            return list(lists_in(self._own))

    def write_list(self, sealed: bytes) -> None:
        """Replace the list; the one before stays."""
        path = self._own / LIST_FILE
        with self._told():
            half = self._write_half(path, sealed)
            if path.exists():
                path.replace(self._own / LIST_BEFORE)
            half.replace(path)
            flush_folder(self._own)

    def write_escrow(self) -> None:
        """Copy the escrow when it is not the same; a store without one leaves what is there."""
        try:
            escrow = (self._state / ESCROW_FILE).read_bytes()
        except OSError:
            return
        path = self._own / ESCROW_FILE
        with self._told():
            if not path.exists() or path.read_bytes() != escrow:
                self._write(path, escrow)

    def _write(self, path: Path, content: bytes) -> None:
        self._write_half(path, content).replace(path)
        flush_folder(path.parent)
        self._hit("copy.named")

    def _write_half(self, path: Path, content: bytes) -> Path:
        half = path.with_name(path.name + _HALF)
        try:
            handle = os.open(half, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_BINARY", 0), 0o600)
            with os.fdopen(handle, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
        except OSError:
            _forget(half)
            raise
        self._hit("copy.half")
        return half

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if error.errno in _FULL:
                raise StoreError("SECOND_COPY_NO_SPACE") from None
            away = not self._folder.is_dir()
            raise StoreError("SECOND_COPY_AWAY" if away else "SECOND_COPY_UNWRITABLE") from None


def _forget(half: Path) -> None:
    try:
        half.unlink(missing_ok=True)
    except OSError:
        return  # the place is going away: the next look clears it
