"""The power-cut self-test: record once, cut many times, count what was lost. Source: docs/adr/0007."""

from __future__ import annotations

import random
import shutil
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from vaguemestre_agent.selftest.power.images import KINDS, Cut, Disk, choose_cuts
from vaguemestre_agent.selftest.power.inspection import Fault, Finding, Inspector
from vaguemestre_agent.selftest.power.recording import MarkerWritten, Recording
from vaguemestre_agent.selftest.power.workload import WriterFactory, record, selftest_context, selftest_keys
from vaguemestre_queue.database import SYNCHRONOUS_FULL
from vaguemestre_queue.writer import Writer

FINDINGS_KEPT: Final = 20
OLDER_MARKER: Final = 0.3  # part of the cuts in which the last replacement of the marker did not reach the disk


@dataclass(frozen=True, slots=True, kw_only=True)
class KindCount:
    """Cuts of one kind.

    Attributes:
        kind: name of the kind of cut.
        cuts: how many.
        faulty: how many of them left something wrong.
    """

    kind: str
    cuts: int
    faulty: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PowerReport:
    """What the cuts did.

    Attributes:
        seed: decides the workload and the cuts.
        cuts: how many cuts.
        operations: file operations of the recorded run.
        flushes: flushes among them.
        orders: orders of the run.
        acknowledgements: answers given during the run.
        checked: cuts after at least one acknowledged order.
        lost: cuts after which something acknowledged was not there.
        wrong_state: cuts after which an order was where it cannot be.
        corrupt: cuts after which the store did not open, or was not what it says.
        by_kind: the same by kind of cut.
        findings: the first things found wrong, without personal data.
        seconds: wall-clock time of the whole test.
    """

    seed: int
    cuts: int
    operations: int
    flushes: int
    orders: int
    acknowledgements: int
    checked: int
    lost: int
    wrong_state: int
    corrupt: int
    by_kind: tuple[KindCount, ...]
    findings: tuple[str, ...]
    seconds: float

    @property
    def clean(self) -> bool:
        """Whether no cut did any harm."""
        return self.lost == self.wrong_state == self.corrupt == 0


def run_power(
    cuts: int,
    seed: int,
    *,
    synchronous: int = SYNCHRONOUS_FULL,
    recovering: bool = True,
    writer: WriterFactory = Writer,
    folder: Path | None = None,
) -> PowerReport:
    """Record a workload and cut its power that many times; return what was found.

    Args:
        cuts: number of cuts, each opened and inspected by itself.
        seed: decides the workload and the cuts.
        synchronous: SQLite's setting while recording; anything but FULL (2) is a seeded bug.
        recovering: False is a seeded bug: the images are opened without recovery.
        writer: another writer than the store's is a seeded bug.
        folder: where images are written for a moment; the system's temporary folder by default.
    """
    started = time.monotonic()
    keys = selftest_keys()
    recording = record(seed, keys, synchronous=synchronous, writer=writer)
    inspector = Inspector(recording, selftest_context(keys), recovering=recovering)
    draw = random.Random(f"cuts-{seed}")  # noqa: S311 - repeatable, not secret
    first_told = min((told.position for told in recording.acknowledgements), default=len(recording.operations))
    disk, issued = Disk(), 0
    total: Counter[str] = Counter()
    faulty: Counter[str] = Counter()
    faults: Counter[Fault] = Counter()
    kept: list[str] = []
    checked = 0
    for cut in choose_cuts(recording.operations, cuts, draw):
        while issued < cut.position:
            disk.issue(recording.operations[issued])
            issued += 1
        found = _one(inspector, disk, recording, cut, seed, folder)
        total[cut.kind.value] += 1
        checked += cut.position >= first_told
        faulty[cut.kind.value] += bool(found)
        faults.update({finding.fault for finding in found})
        kept += [f"cut {cut.number} {cut.kind.value} at {cut.position}: {item.what}" for item in found]
        del kept[FINDINGS_KEPT:]
    return PowerReport(
        seed=seed,
        cuts=cuts,
        operations=len(recording.operations),
        flushes=sum(operation.action.value == "sync" for operation in recording.operations),
        orders=len(recording.versions),
        acknowledgements=len(recording.acknowledgements),
        checked=checked,
        lost=faults[Fault.LOST],
        wrong_state=faults[Fault.WRONG_STATE],
        corrupt=faults[Fault.CORRUPT],
        by_kind=tuple(KindCount(kind=kind.value, cuts=total[kind.value], faulty=faulty[kind.value]) for kind in KINDS),
        findings=tuple(kept),
        seconds=round(time.monotonic() - started, 2),
    )


def _one(
    inspector: Inspector, disk: Disk, recording: Recording, cut: Cut, seed: int, folder: Path | None
) -> list[Finding]:
    draw = random.Random(f"{seed}-{cut.number}")  # noqa: S311 - repeatable, not secret
    image = disk.image(cut.kind, draw)
    place = Path(tempfile.mkdtemp(prefix="vaguemestre-power-", dir=folder))
    try:
        return inspector.inspect(place, image, cut, _marker_at(recording, cut.position, draw))
    finally:
        shutil.rmtree(place)


def _marker_at(recording: Recording, position: int, draw: random.Random) -> MarkerWritten | None:
    """Return the marker found after a cut: the last one, or sometimes the one before."""
    written = [marker for marker in recording.markers if marker.position <= position]
    if not written:
        return None
    return written[-2] if len(written) > 1 and draw.random() < OLDER_MARKER else written[-1]
