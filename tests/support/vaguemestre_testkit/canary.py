"""Searching for what must be nowhere: every form in which a text may hide, in files, arguments and environments."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from urllib.parse import quote

MIN_CHARS = 6  # a shorter needle would be found by chance


def forms(needle: str) -> frozenset[bytes]:
    """Return the byte sequences that betray a text: encodings, base64 at each alignment, hexadecimal, escapes."""
    if len(needle) < MIN_CHARS:
        raise ValueError("a needle too short proves nothing")
    found: set[bytes] = set()
    for text in {needle, needle.lower(), needle.upper()}:
        for encoding in ("utf-8", "latin-1", "utf-16-le", "utf-16-be", "utf-32-le"):
            raw = text.encode(encoding)
            found.add(raw)
            if encoding in {"utf-8", "latin-1", "utf-16-le"}:
                found |= _base64(raw)
                found |= {raw.hex().encode(), raw.hex().upper().encode()}
        found.add(quote(text, safe="").encode())
        found.add(json.dumps(text)[1:-1].encode())
    return frozenset(found)


def _base64(raw: bytes) -> set[bytes]:
    """Return what of a base64 text depends on these bytes only, wherever they begin in it."""
    found: set[bytes] = set()
    for before in range(3):
        whole = base64.b64encode(b"\0" * before + raw)
        start = math.ceil(before * 8 / 6)
        end = (before + len(raw)) * 8 // 6
        piece = whole[start:end]
        found |= {piece, piece.replace(b"+", b"-").replace(b"/", b"_")}
    return found


def hits(named: Mapping[str, str], places: Iterable[tuple[str, bytes]]) -> list[str]:
    """Return ``needle in place`` for each needle found; never the needle itself."""
    wanted = [(name, form) for name, needle in named.items() for form in forms(needle)]
    return sorted({f"{name} in {place}" for place, content in places for name, form in wanted if form in content})


def files_under(folder: Path) -> list[tuple[str, bytes]]:
    """Return every file under a folder with its bytes, and every path as a place too: a name may betray as well."""
    paths = sorted(folder.rglob("*"))
    names = [(f"path {number}", str(path.relative_to(folder)).encode()) for number, path in enumerate(paths)]
    return names + [(str(path.relative_to(folder)), path.read_bytes()) for path in paths if path.is_file()]


def process_tree(pid: int) -> list[int]:
    """Return a process and its descendants, from /proc."""
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            fields = (entry / "stat").read_text(errors="replace").rpartition(")")[2].split()
        except OSError:
            continue
        parents.setdefault(int(fields[1]), []).append(int(entry.name))
    tree = [pid]
    for known in tree:
        tree += parents.get(known, [])
    return tree


def processes(pid: int) -> list[tuple[str, bytes]]:
    """Return the arguments and the environment of a process and its descendants."""
    found: list[tuple[str, bytes]] = []
    for number, one in enumerate(process_tree(pid)):
        for name in ("cmdline", "environ"):
            try:
                found.append((f"{name} of process {number}", (Path("/proc") / str(one) / name).read_bytes()))
            except OSError:
                continue
    return found
