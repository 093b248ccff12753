"""Domain values to wire models and back: the one place where both vocabularies meet."""

from __future__ import annotations

from collections.abc import Sequence

from vaguemestre_agent.localapi import backend as asked
from vaguemestre_api import wire, wire_documents
from vaguemestre_api.messages import fill, message
from vaguemestre_core.document_state import UnderWay, document_state
from vaguemestre_core.guards import GuardAnswer
from vaguemestre_core.records import Actor, Authority, Client, LedgerEntry, Order, ProductProfile


def actor_to_wire(actor: Actor) -> wire.Actor:
    """Return the actor as it is shown."""
    return wire.Actor(user=actor.user, role=actor.role, rpps=actor.rpps)


def actor_from_wire(actor: wire.Actor) -> Actor:
    """Return the actor of a checked request."""
    return Actor(user=actor.user, role=actor.role, rpps=actor.rpps)


def product_from_wire(product: wire.Product) -> ProductProfile:
    """Return the product profile of a checked request."""
    return ProductProfile(
        lps_name=product.lps_name,
        lps_version=product.lps_version,
        lps_id=product.lps_id,
        homologation_id=product.homologation_id,
        proxy_client_id=product.proxy_client_id,
        oid_root=product.oid_root,
        nil=product.nil,
    )


def order_to_wire(order: Order, title: str | None = None) -> wire.Order:
    """Return an order as its client sees it: no lane, no frozen bytes, no guard facts."""
    return wire.Order(
        order_id=order.order_id,
        document_id=order.document_id,
        client_id=order.client_id,
        client_ref=order.client_ref,
        kind=order.kind.value,
        state=order.state.value,
        version=order.version,
        set_id=order.set_id,
        unique_id=order.unique_id,
        type_code=order.type_code,
        professional=order.professional,
        accepted_at=order.accepted_at,
        state_at=order.state_at,
        not_before=order.not_before,
        undo_until=order.undo_until,
        attempts=order.attempts,
        next_attempt_at=order.next_attempt_at,
        waiting=None if order.waiting is None else order.waiting.value,
        holds=tuple(sorted(hold.value for hold in order.holds)),
        cancel_requested=order.cancel_requested,
        predecessor=order.predecessor,
        depends_on=tuple(order.depends_on),
        failure_code=order.failure_code,
        service_code=order.service_code,
        doubt_since=order.doubt_since,
        actor=actor_to_wire(order.actor),
        receipt=dict(order.receipt),
        revision=order.revision,
        title=title,
    )


def document_to_wire(orders: Sequence[Order]) -> wire_documents.Document:
    """Return a document from all its orders, newest first."""
    state = document_state(orders[::-1])
    there = state.there
    return wire_documents.Document(
        client_ref=orders[0].client_ref,
        status=state.word.value,
        presence=state.presence.value,
        there=None
        if there is None
        else wire_documents.DocumentThere(
            order_id=there.order_id,
            unique_id=there.unique_id,
            version=there.version,
            visibility=None if there.visibility is None else tuple(sorted(there.visibility)),
            since=there.since,
        ),
        under_way=under_way_to_wire(state.under_way),
        orders=tuple(order_to_wire(order) for order in orders),
    )


def under_way_to_wire(under_way: Sequence[UnderWay]) -> tuple[wire_documents.UnderWay, ...]:
    """Return what is asked of a document and not done."""
    return tuple(
        wire_documents.UnderWay(wish=item.wish.value, progress=item.progress.value, order_id=item.order_id)
        for item in under_way
    )


def guard_to_wire(answer: GuardAnswer) -> wire.GuardAnswer:
    """Return a guard's answer with its sentence."""
    text = message(answer.code)
    return wire.GuardAnswer(
        guard=answer.guard.value, passed=answer.passed, code=answer.code, title=text.title, action=text.action
    )


def why_to_wire(why: asked.Why) -> wire.Why:
    """Return why an order has not left, in words."""
    return wire.Why(
        order=order_to_wire(why.order),
        guards=tuple(guard_to_wire(answer) for answer in why.guards),
        blocking=why.blocking,
        blocking_title=message(why.blocking).title,
        would_let_it_leave=why.would_let_it_leave,
        action=message(why.would_let_it_leave).action,
        next_try_at=why.next_try_at,
    )


def line_to_wire(entry: LedgerEntry) -> wire.LedgerLine:
    """Return a ledger line."""
    return wire.LedgerLine(
        seq=entry.seq,
        at=entry.at,
        kind=entry.kind,
        order_id=entry.order_id,
        client_id=entry.client_id,
        client_ref=entry.client_ref,
        actor=actor_to_wire(entry.actor),
        before=None if entry.before is None else entry.before.value,
        after=None if entry.after is None else entry.after.value,
        detail=dict(entry.detail),
        previous=entry.previous,
        digest=entry.digest,
    )


def authority_to_wire(authority: Authority) -> wire.Authority:
    """Return who may send."""
    return wire.Authority(
        professional=authority.professional,
        means=authority.means.value,
        service=authority.service,
        station=authority.station,
        until=authority.until,
        proxy_client_id=authority.proxy_client_id,
    )


def client_to_wire(client: Client) -> wire.Client:
    """Return a paired program; its secret's digest stays here."""
    product = client.product
    return wire.Client(
        client_id=client.client_id,
        name=client.name,
        os_identity=client.os_identity,
        scopes=tuple(sorted(scope.value for scope in client.scopes)),
        product=None
        if product is None
        else wire.Product(
            lps_name=product.lps_name,
            lps_version=product.lps_version,
            lps_id=product.lps_id,
            homologation_id=product.homologation_id,
            proxy_client_id=product.proxy_client_id,
            oid_root=product.oid_root,
            nil=product.nil,
        ),
        created_at=client.created_at,
        revoked_at=client.revoked_at,
    )


def health_to_wire(health: asked.Health, *, with_counts: bool) -> wire.Health:
    """Return the health page; the counts are for paired clients."""
    return wire.Health(
        version=health.version,
        ready=health.ready,
        items=tuple(
            wire.HealthItem(
                code=item.code,
                ok=item.ok,
                title=fill(message(item.code).title, item.params),
                action=fill(message(item.code).action, item.params),
                params=dict(item.params),
            )
            for item in health.items
        ),
        counts=dict(health.counts) if with_counts else {},
    )
