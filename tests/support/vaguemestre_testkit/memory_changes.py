"""Orders of the backend in memory: a new version, a deletion, a change of visibility, answered as the product does."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Protocol

from vaguemestre_agent.localapi.backend import DocumentUpload
from vaguemestre_core.changes import (
    CHANGES,
    ChangeAccepted,
    ChangeAnswer,
    facts_of_change,
    hides_again,
    visibility_of,
)
from vaguemestre_core.errors import Conflict, InvalidInput
from vaguemestre_core.guards import GuardInput, examine
from vaguemestre_core.ids import oid_under
from vaguemestre_core.orders import (
    CANCEL_ASKED_ONLY,
    TERMINAL,
    DocumentId,
    HoldKind,
    OrderEvent,
    OrderId,
    OrderKind,
    OrderState,
    WaitReason,
    can,
)
from vaguemestre_core.records import Actor, Client, Order

_UNDO_S = 120.0
_DELAY_S = 900.0


class Kept(Protocol):
    """What a change needs of the backend."""

    now: datetime

    def next(self) -> int: ...

    def add(self, order: Order) -> Order: ...

    def apply(self, order: Order, event: OrderEvent, actor: Actor) -> Order: ...

    def replace_wish(self, before: Order, after: Order) -> None: ...


def new_order(
    client: Client,
    upload: DocumentUpload,
    earlier: Sequence[Order],
    guard_facts: str,
    fact_version: int,
    now: datetime,
    number: Callable[[], int],
) -> Order:
    """Return the order of a deposit; ``earlier`` are the document's orders, newest first."""
    assert client.product is not None
    root = client.product.oid_root
    undo_until = now + timedelta(seconds=_UNDO_S)
    holds = frozenset({HoldKind.PERSON}) if upload.hold else frozenset[HoldKind]()
    before = there(earlier)
    is_away = any(order.state in CANCEL_ASKED_ONLY for order in earlier)
    versions = [order.version for order in earlier if order.state is OrderState.SENT]
    return Order(
        order_id=OrderId(f"o-{number():024x}"),
        document_id=earlier[0].document_id if earlier else DocumentId(f"d-{number():024x}"),
        client_id=client.client_id,
        client_ref=upload.client_ref,
        kind=OrderKind.DMP_SUBMIT if before is None else OrderKind.DMP_REPLACE,
        state=OrderState.PREPARING,
        version=max(versions, default=0) + 1,
        set_id=earlier[0].set_id if earlier else oid_under(root, 10**28 + number()),
        unique_id=oid_under(root, 10**28 + number()),
        type_code="11488-4",
        professional="899700000012",
        lane=f"lane {upload.client_ref}",
        guard_facts=guard_facts,
        accepted_at=now,
        state_at=now,
        not_before=undo_until if upload.send_now else now + timedelta(seconds=_DELAY_S),
        undo_until=undo_until,
        attempts=0,
        next_attempt_at=None,
        waiting=WaitReason.PREDECESSOR if is_away else None,
        holds=holds,
        cancel_requested=False,
        predecessor=None if before is None else before.order_id,
        predecessor_unique_id=None if before is None else before.unique_id,
        depends_on=(),
        failure_code=None,
        service_code=None,
        doubt_since=None,
        fact_version=fact_version,
        incarnation=1,
        actor=upload.actor,
        frozen_ids=None,
        holder=None,
        custody_epoch=0,
        receipt=(),
        revision=1,
    )


def there(orders: Sequence[Order]) -> Order | None:
    """Return the version that is at the service, of a document's orders, newest first."""
    sent = (order for order in orders if order.state is OrderState.SENT and order.kind is not OrderKind.DMP_VISIBILITY)
    last = next(sent, None)
    return None if last is None or last.kind is OrderKind.DMP_DELETE else last


def delete(kept: Kept, orders: Sequence[Order], actor: Actor) -> ChangeAccepted:
    """Delete a document whose orders, newest first, are these."""
    stopped = [
        kept.apply(order, OrderEvent.CANCEL, actor)
        for order in reversed(orders)
        if order.kind not in CHANGES and can(order.state, OrderEvent.CANCEL)
    ]
    under_way = _open(orders, OrderKind.DMP_DELETE)
    if under_way is not None:
        return _told(ChangeAnswer.ACCEPTED, under_way, stopped)
    base = _away(orders) or there(orders)
    if base is None:
        if stopped:
            return _told(ChangeAnswer.STOPPED, stopped[-1], stopped)
        last = next(order for order in orders if order.state is not OrderState.SUPERSEDED)
        if last.state is OrderState.SENT:
            return _told(ChangeAnswer.DONE, last, stopped)
        if last.state is OrderState.CANCELLED:
            return _told(ChangeAnswer.STOPPED, last, stopped)
        raise Conflict("DOCUMENT_NOT_THERE")
    stopped += _stop_changes(kept, orders, actor)
    return _ask(kept, base, OrderKind.DMP_DELETE, base.guard_facts, actor, stopped)


def show(kept: Kept, orders: Sequence[Order], visibility: frozenset[str], actor: Actor) -> ChangeAccepted:
    """Give a document, whose orders, newest first, are these, exactly these visibility codes."""
    for answer in examine(
        GuardInput(kind=OrderKind.DMP_VISIBILITY, identity_status="qualifiée", has_ins=True, visibility=visibility)
    ):
        if answer.refuses and not answer.passed:
            raise InvalidInput(answer.code, pointer="/visibility")
    wanted = next(order for order in orders if order.kind not in CHANGES)
    deletion = _open(orders, OrderKind.DMP_DELETE)
    is_newer = deletion is not None and orders.index(wanted) < orders.index(deletion)
    if deletion is not None and not (is_newer and can(wanted.state, OrderEvent.SUPERSEDE)):
        raise Conflict("DELETION_UNDER_WAY")
    facts = facts_of_change(wanted.guard_facts, visibility, None)
    if can(wanted.state, OrderEvent.SUPERSEDE):
        if visibility_of(wanted.guard_facts) == visibility:
            return _told(ChangeAnswer.CORRECTED, wanted, [])
        stopped = [kept.apply(wanted, OrderEvent.SUPERSEDE, actor)]
        made = kept.add(
            replace(
                wanted,
                order_id=OrderId(f"o-{kept.next():024x}"),
                guard_facts=facts,
                state=OrderState.PREPARING,
                actor=actor,
                revision=1,
            )
        )
        kept.replace_wish(wanted, made)
        return ChangeAccepted(answer=ChangeAnswer.CORRECTED, order=made, replayed=False, stopped=(stopped[0].order_id,))
    base = _away(orders) or there(orders)
    if base is None:
        raise Conflict("DOCUMENT_NOT_THERE")
    pending = _open(orders, OrderKind.DMP_VISIBILITY)
    if pending is not None and visibility_of(pending.guard_facts) == visibility:
        return _told(ChangeAnswer.ACCEPTED, pending, [])
    shown = (order for order in orders if order.state is OrderState.SENT)
    last = next(shown, base)
    if base.state is OrderState.SENT and visibility_of(last.guard_facts) == visibility:
        return _told(ChangeAnswer.DONE, last, _stop_changes(kept, orders, actor))
    if base.state is OrderState.SENT and hides_again(visibility_of(last.guard_facts), visibility):
        raise Conflict("DMP_CANNOT_HIDE_AGAIN")
    return _ask(kept, base, OrderKind.DMP_VISIBILITY, facts, actor, _stop_changes(kept, orders, actor))


def _open(orders: Sequence[Order], kind: OrderKind) -> Order | None:
    over = TERMINAL | {OrderState.REJECTED}
    return next((order for order in orders if order.kind is kind and order.state not in over), None)


def _away(orders: Sequence[Order]) -> Order | None:
    return next((order for order in orders if order.kind not in CHANGES and order.state in CANCEL_ASKED_ONLY), None)


def _stop_changes(kept: Kept, orders: Sequence[Order], actor: Actor) -> list[Order]:
    return [
        kept.apply(order, OrderEvent.SUPERSEDE, actor)
        for order in reversed(orders)
        if order.kind in CHANGES and can(order.state, OrderEvent.SUPERSEDE)
    ]


def _told(answer: ChangeAnswer, order: Order, stopped: Sequence[Order]) -> ChangeAccepted:
    ids = tuple(item.order_id for item in stopped)
    return ChangeAccepted(answer=answer, order=order, replayed=not ids, stopped=ids)


def _ask(
    kept: Kept, base: Order, kind: OrderKind, facts: str, actor: Actor, stopped: Sequence[Order]
) -> ChangeAccepted:
    is_there = base.state is OrderState.SENT
    undo_until = kept.now + timedelta(seconds=_UNDO_S)
    order = kept.add(
        replace(
            base,
            order_id=OrderId(f"o-{kept.next():024x}"),
            kind=kind,
            state=OrderState.PREPARING,
            guard_facts=facts,
            accepted_at=kept.now,
            state_at=kept.now,
            not_before=undo_until,
            undo_until=undo_until,
            waiting=None if is_there else WaitReason.PREDECESSOR,
            predecessor=base.order_id if is_there else None,
            predecessor_unique_id=base.unique_id if is_there else None,
            receipt=(),
            actor=actor,
            revision=1,
        )
    )
    answer = ChangeAnswer.ACCEPTED if is_there else ChangeAnswer.WAITS
    ids = tuple(item.order_id for item in stopped)
    return ChangeAccepted(answer=answer, order=order, replayed=False, stopped=ids)
