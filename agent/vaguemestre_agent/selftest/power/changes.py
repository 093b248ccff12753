"""The part of the recorded run that changes what was fed: deletions and changes of visibility, prepared and sent.

Owns how such an order is asked, frozen and committed as leaving; what is drawn is decided by ``workload.py``.
"""

from __future__ import annotations

from collections.abc import Callable, MutableMapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final, TypeAlias

from vaguemestre_core.changes import CHANGES, ChangeAnswer, ChangeRequest, DeletionMotive
from vaguemestre_core.orders import OrderEvent, OrderId, OrderKind
from vaguemestre_core.records import AGENT_ACTOR, Acceptance, Change, FrozenIds, Order, Schedule
from vaguemestre_queue import bodies, changing, rows, transitions
from vaguemestre_queue.connection import Connection
from vaguemestre_queue.context import Context

Work: TypeAlias = Callable[[Connection, list[Change]], object]
CODES: Final = (frozenset[str](), frozenset({"MASQUE_PS"}), frozenset({"INVISIBLE_PATIENT"}))


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeWorkload:
    """Makes the pieces of work of orders without a body.

    Attributes:
        context: the store's.
        bodies: what each order's sealed bodies hold, to which corrections made by the store are added.
        keys: the order each idempotency key leads to.
    """

    context: Context
    bodies: MutableMapping[tuple[OrderId, str], bytes]
    keys: MutableMapping[tuple[str, str], OrderId]

    def asked(self, given: Acceptance, number: int, now: datetime, visibility: frozenset[str] | None) -> Work:
        """Have a document deleted (no codes), or given these visibility codes."""
        request = ChangeRequest(
            client_id=given.client_id,
            client_ref=given.client_ref,
            actor=given.actor,
            idempotency_key=f"key-{number}",
            request_digest=f"{number:064x}",
            kind=OrderKind.DMP_DELETE if visibility is None else OrderKind.DMP_VISIBILITY,
            order_id=OrderId(f"order-{number}"),
            unique_id=f"1.2.250.1.999.7.2.{number}",
            visibility=visibility or frozenset(),
            motive=DeletionMotive.FEEDING_ERROR if visibility is None else None,
            schedule=Schedule(not_before=now, undo_until=now, undo_s=0.0),
            correction_schedule=Schedule(not_before=now, undo_until=now, undo_s=0.0),
            accepted_at=now,
            boot_s=given.boot_s,
            boot_id=given.boot_id,
        )

        def work(connection: Connection, out: list[Change]) -> object:
            accepted = changing.accept(connection, self.context, request, out)
            if accepted.order.order_id == request.order_id:
                self.keys[request.client_id, f"key-{number}"] = request.order_id
                if accepted.answer is ChangeAnswer.CORRECTED:  # it keeps the body of the version it takes the place of
                    self.bodies[request.order_id, bodies.GIVEN] = self.bodies[accepted.stopped[-1], bodies.GIVEN]
            return accepted

        return work

    def frozen(self, order: Order, frozen_ids: FrozenIds) -> Work:
        """Fix the identifiers of an order without a body: nothing is built."""

        def work(connection: Connection, out: list[Change]) -> object:
            row = transitions.load(connection, self.context, order.order_id)
            columns: rows.Row = {"frozen_ids": rows.frozen_json(frozen_ids)}
            return transitions.transition(
                connection, self.context, row, OrderEvent.PREPARED, AGENT_ACTOR, out, columns=columns
            )

        return work

    def first_byte(self, order: Order) -> Work:
        """Commit that it begins to leave; no lot is signed."""
        return lambda c, out: bodies.first_byte(c, self.context, order.order_id, None, out)


def is_change(order: Order) -> bool:
    """Say whether an order carries no body."""
    return order.kind in CHANGES
