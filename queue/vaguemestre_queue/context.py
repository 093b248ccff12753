"""What every operation on the store needs besides the connection: keys, clock, incarnation, failpoints."""

from __future__ import annotations

from dataclasses import dataclass

from vaguemestre_core.orders import HoldKind
from vaguemestre_core.ports import ClockPort, FailpointPort
from vaguemestre_queue.sealing import Sealer


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """Shared by the operations of one open store.

    Attributes:
        sealer: seals, opens, authenticates.
        clock: time.
        failpoints: where the crash tests cut.
        incarnation: life number of the store: grows when it is recognised as restored or cloned.
        standing_holds: holds under which every new order is born, whatever made it.
    """

    sealer: Sealer
    clock: ClockPort
    failpoints: FailpointPort
    incarnation: int
    standing_holds: frozenset[HoldKind] = frozenset()
