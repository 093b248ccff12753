"""The judge of a practice: what its LGCs wanted and were told, against what the DMP holds and what came over the wire.

Owns the meaning of each figure that must be 0. Outside the agent: it takes the agent's word only for what the client
asked of nobody else. Sources: docs/durability.md, "The crash self-test".
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

from vaguemestre_agent.selftest.crash.acts import MOVING
from vaguemestre_agent.selftest.crash.journal import HIDDEN, Deposit, Version, Wish
from vaguemestre_api import wire

APPROVED: Final = "Approved"
DELETED: Final = "Deleted"


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldVersion:
    """One document that the DMP holds."""

    unique_id: str
    title: str
    status: str
    visibility: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeBody:
    """One complete ITI-57 body at the wire; ``finished`` is 0 while it is processed."""

    order: int
    finished: int
    unique_id: str
    transaction: str
    stored: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class LookupAnswer:
    """One lookup answer that was delivered."""

    order: int
    unique_id: str


@dataclass(slots=True)
class Judgement:
    """The figures so far, and a sentence for each fault.

    Attributes:
        held: what the DMP holds, by title.
        refusals: documents that the DMP was scripted to refuse.
        counts: figures by name, those of ``CrashReport``.
        findings: faults.
    """

    held: Mapping[str, Sequence[HeldVersion]]
    refusals: int
    counts: Counter[str] = field(default_factory=Counter)
    findings: list[str] = field(default_factory=list)

    def document(self, deposit: Deposit, orders: Sequence[wire.Order]) -> None:
        """Judge one document by its orders, newest first (none: the agent does not know it)."""
        self.counts["acknowledged"] += sum(version.deposit is Wish.PROMISED for version in deposit.versions)
        self.counts["cancelled"] += sum(version.cancelled for version in deposit.versions)
        for version in deposit.versions:
            self._version(deposit, version)
        moving = [order.state for order in orders if order.state in MOVING]
        if moving:
            self._fault("stuck", deposit, f"{orders[0].kind} {' '.join(moving)} {orders[0].failure_code}")
        elif not orders:
            if deposit.wanted.deposit is Wish.PROMISED:
                self._fault("lost", deposit, "unknown to the agent")
        else:
            self._end(deposit, orders)

    def changes(self, bodies: Sequence[ChangeBody], lookups: Sequence[LookupAnswer]) -> None:
        """Count the changes sent again although nothing said that the earlier one had no effect."""
        asked: dict[str, list[int]] = defaultdict(list)
        for lookup in lookups:
            asked[lookup.unique_id].append(lookup.order)
        rows: dict[tuple[str, str], list[ChangeBody]] = defaultdict(list)
        for body in sorted(bodies, key=lambda body: body.order):
            rows[(body.unique_id, body.transaction)].append(body)
        for (unique_id, transaction), found in rows.items():
            for earlier, later in pairwise(found):
                knew = any(earlier.finished < order < later.order for order in asked[unique_id])
                if earlier.stored or not earlier.finished or not knew:
                    self.counts["sent_twice"] += 1
                    self.findings.append(
                        f"sent_twice: {transaction} of {unique_id}, bodies {earlier.order} {later.order}"
                    )
        self.counts["complete_bodies"] += len(bodies)

    def _version(self, deposit: Deposit, version: Version) -> None:
        rows = self.held.get(deposit.title(version), ())
        if len(rows) > 1:
            self._fault("sent_twice", deposit, f"v{version.number} held under {len(rows)} identifiers")
        if rows and version.cancelled:
            self._fault("sent_after_cancel", deposit, f"v{version.number}")
        for row in rows:
            if row.status == DELETED and deposit.delete is Wish.NONE:
                self._fault("deleted_without_wish", deposit, f"v{version.number}")
            if deposit.hidden and deposit.change is Wish.NONE and not row.visibility >= HIDDEN:
                self._fault("visible_without_wish", deposit, f"v{version.number}")

    def _end(self, deposit: Deposit, orders: Sequence[wire.Order]) -> None:
        """Judge a document of which nothing moves any more."""
        in_force = [
            (version, row)
            for version in deposit.versions
            for row in self.held.get(deposit.title(version), ())
            if row.status == APPROVED
        ]
        wanted = [row for version, row in in_force if version is deposit.wanted]
        said = f"{orders[0].kind} {orders[0].state} {orders[0].failure_code}"
        if deposit.delete is Wish.PROMISED:
            self.counts["deleted"] += not in_force
            if in_force:
                self._fault("stuck", deposit, f"not deleted: {said}")
        elif wanted:
            self.counts["sent"] += 1
            self.counts["replaced"] += deposit.wanted.number > 1
            if len(in_force) > len(wanted):
                self._fault("sent_twice", deposit, f"{len(in_force)} versions in force")
            if deposit.change is Wish.PROMISED:
                self.counts["changed"] += 1
                if wanted[0].visibility != deposit.changed_to:
                    self._fault("stuck", deposit, f"visibility not changed: {said}")
        elif not deposit.is_over:
            self._missing(deposit, orders, said)

    def _missing(self, deposit: Deposit, orders: Sequence[wire.Order], said: str) -> None:
        if orders[0].state == "rejected" and self.refusals > 0:
            self.refusals -= 1
            self.counts["refused"] += 1
        elif orders[0].state in ("rejected", "preparation_failed", "unreadable"):
            self._fault("stuck", deposit, said)
        else:
            self._fault("lost", deposit, f"not at the DMP: {said}")

    def _fault(self, figure: str, deposit: Deposit, what: str) -> None:
        self.counts[figure] += 1
        self.findings.append(f"{figure}: {deposit.title(deposit.wanted)}, {what}")
