"""Deletions and changes of visibility for tests of the queue, and documents brought where they can be changed."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import timedelta

from vaguemestre_core.changes import CHANGES, ChangeRequest, DeletionMotive
from vaguemestre_core.orders import ClientId, OrderEvent, OrderId, OrderKind
from vaguemestre_core.records import AGENT_ACTOR, Order, OrderPatch, Schedule
from vaguemestre_queue.store import Store
from vaguemestre_testkit.clocks import FakeClock
from vaguemestre_testkit.orders import DOCTOR, PROFESSIONAL, QUALIFIED, a_build, an_acceptance, frozen, rights


def a_deletion(clock: FakeClock, order_id: str = "order-d", client_ref: str = "doc-1") -> ChangeRequest:
    """Return a deletion that a patient asked."""
    undo = Schedule(
        not_before=clock.now() + timedelta(seconds=120), undo_until=clock.now() + timedelta(seconds=120), undo_s=120
    )
    return ChangeRequest(
        client_id=ClientId("lgc-1"),
        client_ref=client_ref,
        actor=DOCTOR,
        idempotency_key=None,
        request_digest=hashlib.sha256(f"delete {client_ref}".encode()).hexdigest(),
        kind=OrderKind.DMP_DELETE,
        order_id=OrderId(order_id),
        unique_id=f"1.2.250.1.999.1.6.{int.from_bytes(order_id.encode())}",
        visibility=frozenset(),
        motive=DeletionMotive.PATIENT_REQUEST,
        schedule=undo,
        correction_schedule=replace(undo, not_before=clock.now() + timedelta(seconds=900)),
        accepted_at=clock.now(),
        boot_s=clock.boot_s(),
        boot_id=clock.boot_id(),
    )


def a_showing(
    clock: FakeClock, *visibility: str, order_id: str = "order-v", client_ref: str = "doc-1"
) -> ChangeRequest:
    """Return a change of visibility."""
    text = f"show {client_ref} {sorted(visibility)}"
    return replace(
        a_deletion(clock, order_id, client_ref),
        kind=OrderKind.DMP_VISIBILITY,
        visibility=frozenset(visibility),
        motive=None,
        request_digest=hashlib.sha256(text.encode()).hexdigest(),
    )


async def on_the_wire(store: Store, clock: FakeClock, number: int = 1, facts: str = QUALIFIED) -> Order:
    """Return a document whose first byte may have left."""
    made = an_acceptance(clock, number, facts=facts)
    await store.accept(made)
    await store.save_prepared(made.order_id, a_build(made), frozen(number))
    await store.apply(made.order_id, OrderEvent.SEND_NOW, DOCTOR)
    claimed = await store.claim("dmp", rights(PROFESSIONAL), clock.now())
    assert claimed is not None
    return await store.first_byte(claimed.order_id, None)


async def at_the_service(store: Store, clock: FakeClock, number: int = 1, facts: str = QUALIFIED) -> Order:
    """Return a document that is at the service."""
    order = await on_the_wire(store, clock, number, facts)
    return await store.apply(order.order_id, OrderEvent.DELIVERED, AGENT_ACTOR)


async def in_doubt(store: Store, clock: FakeClock, number: int = 1, facts: str = QUALIFIED) -> Order:
    """Return a document of which nobody knows whether it arrived."""
    order = await on_the_wire(store, clock, number, facts)
    return await store.apply(order.order_id, OrderEvent.DOUBT, AGENT_ACTOR, patch=OrderPatch(doubt_since=clock.now()))


async def freeze(store: Store) -> list[Order]:
    """Prepare the changes that may be prepared, as the preparation does; return them as they are then."""
    done = []
    for order in await store.preparing(100):
        if order.kind in CHANGES:
            patch = OrderPatch(frozen_ids=frozen(1000 + order.revision))
            done.append(await store.apply(order.order_id, OrderEvent.PREPARED, AGENT_ACTOR, patch=patch))
    return done
