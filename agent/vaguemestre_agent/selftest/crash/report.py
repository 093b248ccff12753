"""The figures of a crash run, and those of several practices as one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Final

MUST_BE_ZERO: Final = (
    "lost",
    "sent_twice",
    "sent_after_cancel",
    "deleted_without_wish",
    "visible_without_wish",
    "stuck",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class CrashReport:
    """Figures of a run.

    Attributes:
        kills: agents killed.
        at_failpoints: kills by failpoint; ``random`` for those at a random instant.
        acknowledged: versions the client was told are durable.
        sent: documents whose last version the DMP holds, once; of these, ``replaced`` replaced an earlier one and
            ``changed`` were given other visibility codes.
        deleted: documents that the DMP holds no more, as was promised.
        cancelled: versions the client was told are cancelled.
        refused: documents that the DMP was scripted to refuse.
        not_reached: failpoints that were armed one by one and not passed.
        lost: acknowledged documents that the agent or the DMP does not have, or that stopped although nobody asked.
        sent_twice: complete bodies without an intervening valid "unknown", and documents held under two identifiers.
        sent_after_cancel: versions held although the client was told that they were cancelled.
        deleted_without_wish: versions deleted at the DMP although nobody asked.
        visible_without_wish: versions seen visible by the patient although nobody asked.
        stuck: acknowledged documents that came to no end, or to another than the one promised.
        complete_bodies: complete bodies at the wire.
        doubts: times an order was in doubt, from the ledger.
        restores: times an older state folder was put back.
        copies: times the agent of a copied home lived beside.
        clock_jumps: times the wall clock was set.
        shards: practices that ran side by side.
        seconds: duration.
        findings: what is wrong, a sentence each, with the practice where it was seen.
    """

    kills: int
    at_failpoints: dict[str, int] = field(default_factory=dict)
    acknowledged: int = 0
    sent: int = 0
    replaced: int = 0
    changed: int = 0
    deleted: int = 0
    cancelled: int = 0
    refused: int = 0
    not_reached: tuple[str, ...] = ()
    lost: int = 0
    sent_twice: int = 0
    sent_after_cancel: int = 0
    deleted_without_wish: int = 0
    visible_without_wish: int = 0
    stuck: int = 0
    complete_bodies: int = 0
    doubts: int = 0
    restores: int = 0
    copies: int = 0
    clock_jumps: int = 0
    shards: int = 1
    seconds: float = 0.0
    findings: tuple[str, ...] = ()

    @property
    def is_clean(self) -> bool:
        """Every figure that must be 0 is, and every failpoint was reached."""
        return not (any(getattr(self, name) for name in MUST_BE_ZERO) or self.not_reached)

    def as_json(self) -> dict[str, object]:
        """Return the figures and the verdict."""
        return {**asdict(self), "clean": self.is_clean}


def together(reports: Sequence[CrashReport], seconds: float) -> CrashReport:
    """Return the figures of several practices as one run's."""
    points: Counter[str] = Counter()
    for report in reports:
        points.update(report.at_failpoints)
    sums: dict[str, int] = {name: sum(getattr(report, name) for report in reports) for name in _COUNTED}
    return CrashReport(
        **sums,
        at_failpoints=dict(sorted(points.items())),
        not_reached=tuple(point for report in reports for point in report.not_reached),
        findings=tuple(
            f"practice {number}: {finding}" for number, report in enumerate(reports) for finding in report.findings
        ),
        seconds=round(seconds, 1),
    )


_COUNTED: Final = tuple(item.name for item in fields(CrashReport) if item.type == "int")
