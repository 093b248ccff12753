"""The drop folder's files: what is complete is read once, replies appear whole, what is done moves away.

Owns every access to the folder; never follows a link, never opens what is no plain file, never decides what a request
means. Blocking: called from a worker thread. Each move is one rename inside the folder, so that a stop at any instant
leaves something that the next start understands (docs/dropfolder.md).
"""

from __future__ import annotations

import hashlib
import os
import stat
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from vaguemestre_agent.dropfolder import names
from vaguemestre_agent.dropfolder.names import REQUEST, Reply
from vaguemestre_core.errors import ServiceError

DONE: Final = "done"
REFUSED: Final = "refused"
TRACKING: Final = "tracking"
REQUEST_BYTES: Final = 300 * 1024
BODY_BYTES: Final = 25_000_000
BODY_PATIENCE_S: Final = 600.0
_DIGITS: Final = 16
_REPARSE_POINT: Final = 0x400  # FILE_ATTRIBUTE_REPARSE_POINT
_NOFOLLOW: Final = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Drop:
    """A complete pair.

    Attributes:
        stem: common name of both files.
        request: the JSON file's bytes.
        body: the document's bytes.
        media_type: by the document's extension.
    """

    stem: str = field(repr=False)
    request: bytes = field(repr=False)
    body: bytes = field(repr=False)
    media_type: str

    @property
    def digest(self) -> str:
        """Hex SHA-256 of both: the same pair is the same demand, whatever its name."""
        return digest_of(self.request, self.body)


@dataclass(frozen=True, slots=True, kw_only=True)
class Unfit:
    """A pair that cannot be taken, with the code of why and a digest that tells it from others of its name."""

    stem: str = field(repr=False)
    code: str
    digest: str


def digest_of(request: bytes, body: bytes) -> str:
    """Return the digest of a pair."""
    found = hashlib.sha256(len(request).to_bytes(8, "big"))
    found.update(request)
    found.update(body)
    return found.hexdigest()


class DropFolder:
    """One folder.

    Args:
        path: where it is.
        settle_s: how long both files must have stayed the same before they are read.
        passed: called at each step, by name: the crash tests stop there.
    """

    def __init__(self, path: Path, settle_s: float, passed: Callable[[str], None]) -> None:
        self._path = path
        self._settle_s = settle_s
        self._passed = passed
        self._seen: dict[str, tuple[tuple[object, ...], float]] = {}
        self._read_from: dict[str, dict[str, tuple[object, ...]]] = {}  # by stem: each file as it was when read

    def problem(self) -> str | None:
        """Return the code of why the folder cannot be used, or None; makes the folders inside it."""
        try:
            found = self._path.lstat()
            if _is_link(found) or not stat.S_ISDIR(found.st_mode):
                return "DROP_FOLDER_NOT_A_FOLDER"
            if sys.platform != "win32" and (found.st_uid != os.geteuid() or found.st_mode & 0o077):
                return "DROP_FOLDER_NOT_PRIVATE"
            for name in (DONE, REFUSED, TRACKING):
                inner = self._path / name
                inner.mkdir(mode=0o700, exist_ok=True)
                if _is_link(inner.lstat()):
                    return "DROP_FOLDER_NOT_A_FOLDER"
        except FileNotFoundError:
            return "DROP_FOLDER_MISSING"
        except OSError:
            return "DROP_FOLDER_UNAVAILABLE"
        return None

    def look(self, now_s: float) -> Iterator[Drop | Unfit]:
        """Yield what is complete, and what never will be, by name. Raises ServiceError DROP_FOLDER_UNAVAILABLE.

        Args:
            now_s: a clock that only goes forward, seconds.
        """
        entries = self._entries()
        asked = _asked(entries)
        for name in sorted(entries):
            stem, extension = names.split(name)
            if not names.concerns_us(name):
                continue
            if not names.is_good_stem(stem):
                yield self._refuse_name(name)
            elif extension == REQUEST:
                found = self._pair(stem, name, entries, now_s)
                if found is not None:
                    yield found
        self._seen = {stem: seen for stem, seen in self._seen.items() if stem in asked}

    def sweep(self) -> None:
        """Finish moves that a stop cut: a document whose request is already away follows it."""
        entries = self._entries()
        asked = _asked(entries)
        for name in entries:
            stem, extension = names.split(name)
            if extension in names.BODIES and names.is_good_stem(stem) and stem not in asked:
                self._follow(stem, name)

    def reply(self, stem: str, reply: Reply, content: bytes) -> None:
        """Write a reply beside the request, whole or not at all."""
        self._write(self._path / f"{stem}.{reply}{REQUEST}", content)

    def track(self, order_id: str, content: bytes) -> None:
        """Remember for whom an order's outcome is to be written."""
        self._write(self._path / TRACKING / f"{order_id}{REQUEST}", content)

    def tracked(self) -> Mapping[str, bytes]:
        """Return what is remembered, by order."""
        with _mapped():
            found = sorted((self._path / TRACKING).glob(f"o-*{REQUEST}"))
            return {path.stem: path.read_bytes() for path in found}

    def untrack(self, order_id: str) -> None:
        """Forget an order."""
        with _mapped():
            (self._path / TRACKING / f"{order_id}{REQUEST}").unlink(missing_ok=True)

    def put_away(self, stem: str, digest: str, where: str) -> None:
        """Move a pair away, its request first: without it nothing is taken again.

        A file that was written anew since it was read is the next demand: it stays.
        """
        known = self._read_from.pop(stem, {})
        with _mapped():
            target = self._path / where
            for extension in (REQUEST, *names.BODIES):
                for name in self._named(stem, extension):
                    if not known or name in known:
                        _move(self._path / name, target / f"{stem}.{digest[:_DIGITS]}{extension}", known.get(name))
                        self._passed("drop.moved")
            _sync_folder(target)
            _sync_folder(self._path)

    def _named(self, stem: str, extension: str) -> list[str]:
        """Return the entries of that stem and extension, however the extension is written."""
        wanted = (stem, extension)
        return [name for name in self._entries() if names.split(name) == wanted]

    def _follow(self, stem: str, name: str) -> None:
        with _mapped():
            for where in (DONE, REFUSED):
                for moved in (self._path / where).glob(f"{_escaped(stem)}.*{REQUEST}"):
                    request, body = _read(moved, REQUEST_BYTES), _read(self._path / name, BODY_BYTES)
                    if isinstance(request, str) or isinstance(body, str):
                        continue
                    digest = digest_of(request, body)[:_DIGITS]
                    if moved.name == f"{stem}.{digest}{REQUEST}":
                        (self._path / name).replace(moved.with_suffix(names.split(name)[1]))
                        return

    def _entries(self) -> frozenset[str]:
        with _mapped():
            return frozenset(os.listdir(self._path))  # noqa: PTH208 - names only, nothing is looked at

    def _pair(self, stem: str, request_name: str, entries: frozenset[str], now_s: float) -> Drop | Unfit | None:
        bodies = [name for name in entries if names.split(name)[0] == stem and names.split(name)[1] in names.BODIES]
        signature = tuple(_signature(self._path / name) for name in (request_name, *sorted(bodies)))
        mark = hashlib.sha256(repr(signature).encode()).hexdigest()
        if len(bodies) > 1:
            return Unfit(stem=stem, code="DROP_BODY_AMBIGUOUS", digest=mark)
        before, since = self._seen.get(stem, ((), now_s))
        if before != signature:
            since = now_s
        self._seen[stem] = (signature, since)
        if not bodies:
            is_late = now_s - since > BODY_PATIENCE_S
            return Unfit(stem=stem, code="DROP_BODY_MISSING", digest=mark) if is_late else None
        if now_s - since < self._settle_s or before != signature:
            return None
        self._read_from[stem] = dict(zip((request_name, *bodies), signature, strict=True))
        request = _read(self._path / request_name, REQUEST_BYTES)
        body = _read(self._path / bodies[0], BODY_BYTES)
        if signature != tuple(_signature(self._path / name) for name in (request_name, *bodies)):
            return None  # written anew while it was read
        if isinstance(request, str) or isinstance(body, str):
            code = request if isinstance(request, str) else str(body)
            return Unfit(stem=stem, code=code, digest=mark) if code else None
        return Drop(stem=stem, request=request, body=body, media_type=names.BODIES[names.split(bodies[0])[1]])

    def _refuse_name(self, name: str) -> Unfit:
        """Move a file of an odd name away, unopened, under a plain one."""
        stem = names.stand_in(name)
        mark = hashlib.sha256(repr(_signature(self._path / name)).encode()).hexdigest()
        with _mapped():
            (self._path / name).replace(self._path / REFUSED / f"{stem}.{mark[:_DIGITS]}{names.split(name)[1]}")
        return Unfit(stem=stem, code="DROP_NAME_REFUSED", digest=mark)

    def _write(self, path: Path, content: bytes) -> None:
        temporary = path.with_name(f".{hashlib.sha256(path.name.encode()).hexdigest()[:16]}.vgm")
        with _mapped():
            temporary.unlink(missing_ok=True)
            handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _NOFOLLOW, 0o600)
            with open(handle, "wb") as file:  # noqa: PTH123 - an open descriptor
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            self._passed("drop.written")
            temporary.replace(path)
            _sync_folder(path.parent)


class _mapped:  # noqa: N801 - reads as a statement where it is used
    """Maps what the file system raises; the text of its errors holds names and goes no further."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if isinstance(error, OSError):
            raise ServiceError("DROP_FOLDER_UNAVAILABLE") from None


def _asked(entries: frozenset[str]) -> frozenset[str]:
    """Return the stems that have a request."""
    return frozenset(
        names.split(name)[0] for name in entries if names.concerns_us(name) and names.split(name)[1] == REQUEST
    )


def _move(source: Path, target: Path, expected: tuple[object, ...] | None) -> None:
    """Move a file if it is still the one expected; one that took its place in between is put back."""
    if expected is not None and _signature(source) != expected:
        return
    source.replace(target)
    if expected is not None and _signature(target) != expected and not source.exists():
        target.replace(source)


def _escaped(stem: str) -> str:
    """Return a stem for ``glob``."""
    return "".join(f"[{c}]" if c in "[]" else c for c in stem)


def _is_link(found: os.stat_result) -> bool:
    attributes: int = getattr(found, "st_file_attributes", 0)
    return stat.S_ISLNK(found.st_mode) or bool(attributes & _REPARSE_POINT)


def _signature(path: Path) -> tuple[object, ...]:
    """Return what changes when a file is written anew; a rename changes none of it."""
    try:
        found = path.lstat()
    except OSError:
        return ("away",)
    return (found.st_ino, found.st_size, found.st_mtime_ns)


def _read(path: Path, largest: int) -> bytes | str:
    """Return a plain file's bytes, or the code of why it is not taken; empty: it cannot be read now."""
    try:
        if _is_link(path.lstat()):
            return "DROP_NOT_A_FILE"
        handle = os.open(path, os.O_RDONLY | _NOFOLLOW)
    except (FileNotFoundError, PermissionError):
        return ""  # replaced just now, or still open for writing on Windows: looked at again
    except OSError:
        return "DROP_NOT_A_FILE"
    try:
        found = os.fstat(handle)
        if not stat.S_ISREG(found.st_mode):
            return "DROP_NOT_A_FILE"
        if found.st_size > largest:
            return "BODY_TOO_LARGE"
        with open(handle, "rb", closefd=False) as file:
            content = file.read(largest + 1)
    finally:
        os.close(handle)
    return content if len(content) <= largest else "BODY_TOO_LARGE"


def _sync_folder(path: Path) -> None:
    """Make renames durable; Windows has no such call and keeps them in its journal."""
    if sys.platform == "win32":
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
