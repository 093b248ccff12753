"""Anchors of the ledger: heads signed by this station, in the database and in its folder, that the chain must meet.

The chain alone proves nothing against who can recompute it: SHA-256 has no key. A signed head does, and one kept
outside the database also tells that the whole file was changed for an older one. Source: docs/keeping.md.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from vaguemestre_core.errors import StoreError
from vaguemestre_core.keeping import Anchor
from vaguemestre_queue import ledger, rows
from vaguemestre_queue.connection import Connection, SqlRow
from vaguemestre_queue.context import Context
from vaguemestre_queue.files import replace_file
from vaguemestre_queue.sealing import Sealer

ANCHORS_FILE: Final = "ledger.anchors"
DATABASE: Final = "database"
FOLDER: Final = "folder"
_KEPT_IN_FOLDER: Final = 64
SELECT: Final = "SELECT station, seq, digest, signature, at_us FROM ledger_heads"
NEWEST: Final = f"{SELECT} ORDER BY seq DESC LIMIT 32"  # what a pass compares: they grow by one each ten minutes


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """A signed head: who signed that line ``seq`` had that digest, and when."""

    station: str
    seq: int
    digest: bytes
    signature: bytes
    at_us: int


def message(seq: int, digest: bytes, at_us: int) -> bytes:
    """Return what a station signs of a head."""
    return f"vaguemestre-ledger-head/1/{seq}/{digest.hex()}/{at_us}".encode("ascii")


def sign(connection: Connection, context: Context) -> Head | None:
    """Sign the present head in the caller's transaction; return None when the last one signed is still the head."""
    seq, digest = ledger.head(connection)
    sealer = context.sealer
    last = connection.run("SELECT max(seq) FROM ledger_heads WHERE station = ?", [sealer.station])[0][0]
    if seq == 0 or last == seq:
        return None
    at_us = rows.to_us(context.clock.now())
    signature = sealer.sign(message(seq, digest, at_us))
    # A rewritten ledger may be shorter than a head once signed: that head stays, it is the proof.
    connection.run(
        "INSERT OR IGNORE INTO ledger_heads VALUES (?, ?, ?, ?, ?)", [sealer.station, seq, digest, signature, at_us]
    )
    return Head(station=sealer.station, seq=seq, digest=digest, signature=signature, at_us=at_us)


def of_rows(found: Sequence[SqlRow], sealer: Sealer) -> list[Anchor]:
    """Return the anchors of selected rows signed under our name. Raises StoreError LEDGER_ANCHOR_FORGED.

    Heads of other stations are not judged here: their keys are not ours to know.
    """
    heads = [
        Head(
            station=rows.as_text(station),
            seq=rows.as_int(seq),
            digest=rows.as_bytes(digest),
            signature=rows.as_bytes(signature),
            at_us=rows.as_int(at_us),
        )
        for station, seq, digest, signature, at_us in found
    ]
    return _anchors(heads, DATABASE, sealer)


def of_folder(path: Path, sealer: Sealer) -> list[Anchor]:
    """Return the anchors of the folder's file; none when there is no file. Raises StoreError LEDGER_ANCHOR_FORGED."""
    return _anchors(_read(path), FOLDER, sealer)


def _anchors(heads: Sequence[Head], where: str, sealer: Sealer) -> list[Anchor]:
    found: list[Anchor] = []
    for head in heads:
        if head.station != sealer.station:
            continue
        if not sealer.is_signed(message(head.seq, head.digest, head.at_us), head.signature):
            raise StoreError("LEDGER_ANCHOR_FORGED", anchor=where, seq=head.seq)
        found.append(Anchor(where=where, seq=head.seq, digest=head.digest))
    return found


def add_to_folder(path: Path, head: Head) -> None:
    """Keep a head in the folder's file: the newest ones, and of the older ones every other. Raises OSError."""
    heads = [*_read(path), head]
    if len(heads) > _KEPT_IN_FOLDER:
        half = _KEPT_IN_FOLDER // 2
        heads = [*heads[:half:2], *heads[half:]]
    cells = [[item.station, item.seq, item.digest.hex(), item.signature.hex(), item.at_us] for item in heads]
    replace_file(path, json.dumps(cells).encode("ascii"))


def _read(path: Path) -> list[Head]:
    try:
        cells = json.loads(path.read_bytes())
        return [
            Head(
                station=str(station),
                seq=int(seq),
                digest=bytes.fromhex(digest),
                signature=bytes.fromhex(signature),
                at_us=int(at_us),
            )
            for station, seq, digest, signature, at_us in cells
        ]
    except FileNotFoundError:
        return []
    except (OSError, ValueError, TypeError):
        # A file of ours is replaced whole: one that does not read was written by somebody else.
        raise StoreError("LEDGER_ANCHOR_FORGED", anchor=FOLDER, seq=0) from None


def require(anchor: Anchor, digest: bytes | None, lines: int) -> None:
    """Compare an anchor with the digest of its line. Raises StoreError LEDGER_TRUNCATED, LEDGER_REWRITTEN."""
    if digest is None:
        raise StoreError("LEDGER_TRUNCATED", anchor=anchor.where, seq=anchor.seq, lines=lines)
    if digest != anchor.digest:
        raise StoreError("LEDGER_REWRITTEN", anchor=anchor.where, seq=anchor.seq)
