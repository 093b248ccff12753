"""Knowing that a store is a copy or an older self: where it lives, and what was remembered of it outside.

Owns the verdict only; the recovery applies it. A place is three keyed digests (machine, path, file identities), so a
marker tells nobody where it was written. Source: docs/adr/0013.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum, unique
from pathlib import Path
from typing import Final, Protocol

from vaguemestre_queue import ledger, meta, rows
from vaguemestre_queue.connection import Connection
from vaguemestre_queue.sealing import Sealer

PLACE: Final = "place"  # meta: where the store lives
COPIED_AT: Final = "copied_at_us"  # meta: recognised as a copy whose original may live on; gone once adopted
RESTORED_AT: Final = "restored_at_us"  # meta: last time that a new life began
STORE_ID: Final = "store_id"  # meta


@unique
class Standing(IntEnum):
    """What an opened store is, from the best to the worst."""

    SAME = 0  # it goes on
    RESTORED = 1  # an older self put back in its place: the newer one is gone
    COPIED = 2  # elsewhere, or forked: the original may be alive


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a store lives, as keyed digests; empty: the system does not tell.

    Attributes:
        machine: the machine's identities, the most telling first, separated by commas.
        path: the folder's path.
        files: the identities of the folder and of the database file: a copy has others, a moved folder the same.
    """

    machine: str
    path: str
    files: str

    def to_text(self) -> str:
        """Return it as one text."""
        return json.dumps([self.machine, self.path, self.files], separators=(",", ":"))

    @classmethod
    def from_text(cls, text: str) -> Place | None:
        """Return the place of a text, or None when it is not one."""
        try:
            machine, path, files = json.loads(text)
        except (ValueError, TypeError):
            return None
        return cls(machine=str(machine), path=str(path), files=str(files))

    def compared(self, earlier: Place) -> Standing:
        """Return what a store that lived in the earlier place is here."""
        for now, then in zip(self.machine.split(","), earlier.machine.split(","), strict=False):
            if now and then:  # the first identity known on both sides decides
                if now != then:
                    return Standing.COPIED
                break
        if self.files == earlier.files:
            return Standing.SAME  # moved, or where it was
        return Standing.RESTORED if self.path == earlier.path else Standing.COPIED


@dataclass(frozen=True, slots=True, kw_only=True)
class Marker:
    """What is remembered outside the database file.

    Attributes:
        store_id: the store this marker belongs to.
        ledger_seq: a line number the ledger had certainly reached.
        digest: hex digest of that line; empty: not remembered.
        place: text of the place where the store lived; empty: not remembered.
    """

    store_id: str
    ledger_seq: int
    digest: str = ""
    place: str = ""


class Witness(Protocol):
    """Remembers a store's marker outside its folder.

    Attributes:
        is_quick: cheap enough to be told before each sending.
    """

    is_quick: bool

    def read(self, store_id: str) -> Marker | None:
        """Return what it remembers of a store, or None."""

    def write(self, marker: Marker) -> None:
        """Remember; raises OSError or StoreError."""


def place_of(folder: Path, database: Path, machine: Sequence[str], sealer: Sealer) -> Place:
    """Return where an existing store lives now.

    Args:
        folder: the state folder.
        database: the database file.
        machine: identities of the machine, empty where the system tells none.
        sealer: keys the digests.
    """
    files = [str(path.stat().st_ino) for path in (folder, database)]
    return Place(
        machine=",".join(_digest(sealer, "machine", part) if part else "" for part in machine),
        path=_digest(sealer, "path", str(folder.resolve())),
        files=_digest(sealer, "files", *files),
    )


def _digest(sealer: Sealer, *values: str) -> str:
    return sealer.authenticate("place", values).hex()[:32]


def marker_of(connection: Connection, store_id: str, place: Place | None) -> Marker:
    """Return the marker of a store as it is now."""
    seq, digest = ledger.head(connection)
    return Marker(
        store_id=store_id, ledger_seq=seq, digest=digest.hex(), place="" if place is None else place.to_text()
    )


def judge(connection: Connection, place: Place | None, beside: Marker | None, outside: Sequence[Marker]) -> Standing:
    """Say what this store is, from its place and from every marker of it.

    Args:
        connection: the opened database, not recovered yet.
        place: where it lives now, or None when nobody looks.
        beside: the marker of its own folder; an existing store without it was tampered with.
        outside: the markers that others remember of it.
    """
    store_id = meta.read(connection, STORE_ID)
    if store_id is None:  # a new file, or one whose own description was lost: then it is of another life
        return Standing.SAME if ledger.head(connection)[0] == 0 else Standing.RESTORED
    worst = (
        _against(connection, place, beside) if beside is not None and beside.store_id == store_id else Standing.RESTORED
    )
    for marker in outside:
        worst = max(worst, _against(connection, place, marker))
    known = Place.from_text(meta.read(connection, PLACE) or "")
    if known is not None and place is not None:
        worst = max(worst, place.compared(known))
    return worst


def _against(connection: Connection, place: Place | None, marker: Marker) -> Standing:
    """Compare the store with one marker of it: older than remembered, or another history of the same length."""
    worst = Standing.SAME
    if ledger.head(connection)[0] < marker.ledger_seq:
        worst = Standing.RESTORED
    elif marker.digest:
        found = connection.run("SELECT digest FROM ledger WHERE seq = ?", [marker.ledger_seq])
        if found and rows.as_bytes(found[0][0]).hex() != marker.digest:
            worst = Standing.COPIED  # another self wrote that line: both went on
    there = Place.from_text(marker.place)
    if there is not None and place is not None:
        worst = max(worst, place.compared(there))
    return worst
