"""The disks that a power cut could leave: what was flushed is there, what was not is kept, lost, torn or reordered.

Assumptions, all of them: a flush of a file that returned is durable and covers that file only; a 512-byte sector is
old or new, never a mixture, except where a write begins or ends inside it, and then the bytes outside the write are
safe (powersafe overwrite, SQLite's default on Unix and Windows); between two flushes anything may reach the disk in any
order; a file's length may grow before its bytes come (holes read as zeros or as garbage); a name never flushed may be
missing, and a removed name may come back until the next flush of any file (one journal for all names, as ext4 and NTFS
have).
A disk that answers a flush before it is done is outside: no program can hold a promise on it.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum, unique
from typing import Final

from vaguemestre_agent.selftest.power.recording import Action, Operation

SECTOR_BYTES: Final = 512


@unique
class CutKind(Enum):
    """What became of the operations not yet flushed."""

    KEPT = "kept"  # all of them reached the disk
    LOST = "lost"  # none did
    PREFIX_TORN = "prefix_torn"  # some, in order, the last one cut at a sector
    SCATTERED = "scattered"  # each one by itself
    REORDERED = "reordered"  # an early one did not, all later ones did
    SHREDDED = "shredded"  # each sector by itself
    GARBAGE = "garbage"  # each sector by itself, and new space that was not written holds garbage


KINDS: Final = tuple(CutKind)


@dataclass(slots=True)
class _FileOnDisk:
    """One file: what is durable, what was asked since its last flush."""

    durable: bytearray = field(default_factory=bytearray)
    pending: list[Operation] = field(default_factory=list)
    named: bool = False  # its name was flushed

    def flush(self) -> None:
        for operation in self.pending:
            _apply(self.durable, operation)
        self.pending.clear()
        self.named = True


class Disk:
    """The state of a disk while operations are issued one after the other."""

    def __init__(self) -> None:
        self._files: dict[str, _FileOnDisk] = {}
        self._ghosts: dict[str, _FileOnDisk] = {}

    @property
    def pending(self) -> int:
        """How many operations are not flushed."""
        return sum(len(file.pending) for file in self._files.values())

    def issue(self, operation: Operation) -> None:
        """Take the next operation."""
        name = operation.file
        if operation.action is Action.CREATE:
            self._files[name] = _FileOnDisk()
            self._ghosts.pop(name, None)
        elif operation.action is Action.DELETE:
            self._ghosts[name] = self._files.pop(name)
        elif operation.action is Action.SYNC:
            self._files[name].flush()
            self._ghosts.clear()
        else:
            self._files[name].pending.append(operation)

    def image(self, kind: CutKind, draw: random.Random) -> dict[str, bytes]:
        """Return files as a power cut now could leave them."""
        found: dict[str, bytes] = {}
        for name, file in (*self._files.items(), *self._ghosts.items()):
            if name in self._ghosts and (kind is CutKind.KEPT or draw.random() < 0.5):
                continue
            if not file.named and (kind is CutKind.LOST or (kind is not CutKind.KEPT and draw.random() < 0.3)):
                continue
            content = bytearray(file.durable)
            garbage = draw if kind is CutKind.GARBAGE else None
            for operation in _survivors(file.pending, kind, draw):
                _apply(content, operation, garbage)
            found[name] = bytes(content)
        return found


def _apply(content: bytearray, operation: Operation, garbage: random.Random | None = None) -> None:
    if operation.action is Action.TRUNCATE:
        del content[operation.offset :]
        return
    missing = operation.offset - len(content)
    if missing > 0:
        content.extend(garbage.randbytes(missing) if garbage is not None else bytes(missing))
    content[operation.offset : operation.offset + len(operation.data)] = operation.data


def _survivors(pending: Sequence[Operation], kind: CutKind, draw: random.Random) -> Iterator[Operation]:
    """Yield the pending operations, or the parts of them, that reached the disk."""
    if kind is CutKind.KEPT:
        yield from pending
    elif kind is CutKind.PREFIX_TORN and pending:
        whole = draw.randrange(len(pending))
        yield from pending[:whole]
        sectors = list(_sectors(pending[whole]))
        yield from sectors[: draw.randint(0, len(sectors))]
    elif kind is CutKind.SCATTERED:
        yield from (operation for operation in pending if draw.random() < 0.5)
    elif kind is CutKind.REORDERED and pending:
        lost = draw.randrange(len(pending))
        yield from (operation for index, operation in enumerate(pending) if index != lost)
    elif kind in {CutKind.SHREDDED, CutKind.GARBAGE}:
        for operation in pending:
            yield from (sector for sector in _sectors(operation) if draw.random() < 0.6)


def _sectors(operation: Operation) -> Iterator[Operation]:
    """Yield the parts of a write that fall in each sector of the file."""
    if operation.action is not Action.WRITE:
        yield operation
        return
    start, end = operation.offset, operation.offset + len(operation.data)
    at = start
    while at < end:
        until = min((at // SECTOR_BYTES + 1) * SECTOR_BYTES, end)
        yield Operation(
            action=Action.WRITE, file=operation.file, offset=at, data=operation.data[at - start : until - start]
        )
        at = until


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """One cut.

    Attributes:
        number: which, from 0.
        position: how many operations had been issued.
        kind: what became of those not flushed.
    """

    number: int
    position: int
    kind: CutKind


def choose_cuts(operations: Sequence[Operation], cuts: int, draw: random.Random) -> list[Cut]:
    """Return the cuts in the order of their positions: around every flush first, then anywhere.

    Args:
        operations: the recorded run.
        cuts: how many.
        draw: decides the others.
    """
    flushes = [index for index, operation in enumerate(operations) if operation.action is Action.SYNC]
    around = [position for index in flushes for position in (index, index + 1)]
    chosen: list[Cut] = []
    for number in range(cuts):
        # Half the cuts walk through the flushes, with another kind at each pass; the others fall anywhere.
        if number % 2 == 0 and around:
            step = number // 2
            position = around[step % len(around)]
            kind = KINDS[(step + step // len(around)) % len(KINDS)]
        else:
            position, kind = draw.randint(0, len(operations)), draw.choice(KINDS)
        chosen.append(Cut(number=number, position=position, kind=kind))
    return sorted(chosen, key=lambda cut: (cut.position, cut.number))
