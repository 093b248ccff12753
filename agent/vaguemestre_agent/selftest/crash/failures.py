"""What the services do wrong during a crash run, and what leads an order to a failpoint off the ordinary way.

Owns the visits: every failpoint once with a submission, and those of a sending once with every other kind of order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from vaguemestre_agent.adapters.system.failpoints import FAILPOINTS
from vaguemestre_agent.selftest.crash.acts import Act

Rule = Mapping[str, object]
FEEDING: Final = "dmp.td21"
CHANGING: Final = "dmp.iti57"
LATEST_S: Final = 1.9  # a late store ends that long after the request: just before "unknown there" begins to count

# What the simulated services do wrong meanwhile, each once.
FAILURES: Final[Sequence[Rule]] = (
    *(
        rule
        for target in (FEEDING, CHANGING)
        for rule in (
            {"target": target, "action": "cut_in_body", "after_bytes": 3000},
            {"target": target, "action": "cut_after_body"},
            {"target": target, "action": "cut_after_store"},
            {"target": target, "action": "status_after_read", "status": 503},
            {"target": target, "action": "status_after_store", "status": 504},
            {"target": target, "action": "late_store", "seconds": 0.8},
            {"target": target, "action": "late_store", "seconds": LATEST_S},
            {"target": target, "action": "html"},
        )
    ),
    {"target": FEEDING, "action": "hang_after_store", "seconds": LATEST_S},
    {"target": "dmp.td31", "action": "status_before_read", "status": 502},
    {"target": "dmp.td31", "action": "garbage_xml"},
    {"target": "dmp.td02", "action": "status_before_read", "status": 503},
    {"target": "proxy.send", "action": "status_before_read", "status": 503},
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """One kill led to a chosen place.

    Attributes:
        kind: the order that goes there.
        point: the failpoint; None: killed at the end of its life.
        rule: the failure that leads it there.
        settings: settings of the agent that lead it there.
        is_refused: the DMP refuses the order: that is how it ends.
        ends_session: the session at the proxy is over afterwards.
        is_restored: the state folder as it was after the kill is put back after one more life.
        clock_s: the wall clock jumps by that much once the order is in doubt, seconds.
    """

    kind: Act
    point: str | None
    rule: Rule | None = None
    settings: Mapping[str, str] = field(default_factory=dict)
    is_refused: bool = False
    ends_session: bool = False
    is_restored: bool = False
    clock_s: float = 0.0

    @property
    def name(self) -> str:
        """Its name in the figures."""
        if self.point is None:
            return "random"
        return self.point if self.kind is Act.SUBMIT else f"{self.kind} {self.point}"


_BEFORE_STORE: Final = "cut_after_body"
_AFTER_STORE: Final = "cut_after_store"
# The failure of the sending that leads an order to a failpoint, for any kind.
_LED_BY: Final[Mapping[str, str]] = MappingProxyType(
    {
        "applied.doubt": _BEFORE_STORE,
        "settle.started": _AFTER_STORE,
        "settle.answered": _BEFORE_STORE,
        "applied.found_there": _AFTER_STORE,
        "applied.unknown_there": _BEFORE_STORE,
    }
)
_SUBMISSIONS_ONLY: Final[Mapping[str, Visit]] = MappingProxyType(
    {
        "applied.unclaim": Visit(
            kind=Act.SUBMIT,
            point="applied.unclaim",
            rule={"target": "dmp.td02", "action": "status_before_read", "status": 503},
        ),
        "applied.refused": Visit(
            kind=Act.SUBMIT,
            point="applied.refused",
            rule={"target": FEEDING, "action": "xds_error", "code": "XDSRegistryMetadataError"},
            is_refused=True,
        ),
        "applied.not_sent": Visit(
            kind=Act.SUBMIT,
            point="applied.not_sent",
            rule={"target": "proxy.send", "action": "session_expired"},
            settings={"VAGUEMESTRE_DISPATCH__TEST_EXISTENCE": "no"},
            ends_session=True,
        ),
    }
)
_OF_EVERY_KIND: Final = (
    "claimed",
    "send.sending",
    "send.all_sent",
    "send.answered",
    "applied.delivered",
    "settle.answered",
    "applied.found_there",
)


def visit(kind: Act, point: str) -> Visit:
    """Return how an order of that kind is led to a failpoint."""
    if point in _SUBMISSIONS_ONLY and kind is Act.SUBMIT:
        return _SUBMISSIONS_ONLY[point]
    action = _LED_BY.get(point)
    target = CHANGING if kind in (Act.DELETE, Act.SHOW) else FEEDING
    return Visit(kind=kind, point=point, rule=None if action is None else {"target": target, "action": action})


VISITS: Final[Sequence[Visit]] = (
    *(visit(Act.SUBMIT, point) for point in FAILPOINTS),
    *(visit(kind, point) for point in _OF_EVERY_KIND for kind in (Act.REPLACE, Act.DELETE, Act.SHOW)),
)
