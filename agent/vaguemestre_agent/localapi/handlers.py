"""The routes' bodies: one function a route, from a checked call to the services and back. No rule lives here."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar
from urllib.parse import quote

from vaguemestre_agent.localapi import mapping
from vaguemestre_agent.localapi.backend import DocumentUpload
from vaguemestre_agent.localapi.calls import Answer, Call
from vaguemestre_api import openapi, wire
from vaguemestre_api.codec import from_json
from vaguemestre_core.errors import InvalidInput
from vaguemestre_core.orders import ClientId, OrderId, OrderState
from vaguemestre_core.records import Actor, Client, Order, OrderFilter, PersonVerdict, Scope
from vaguemestre_core.redaction import Secret

T = TypeVar("T")
_DEFAULT_PAGE = 100


def _request(call: Call, model: type[T]) -> T:
    return from_json(model, call.body)


def _order_id(call: Call) -> OrderId:
    return OrderId(call.path["order_id"])


async def get_health(call: Call) -> Answer:
    """State of the agent; counts for paired clients only."""
    health = await call.backend.health()
    return Answer(content=mapping.health_to_wire(health, with_counts=call.client is not None))


async def get_openapi(call: Call) -> Answer:
    """Give the OpenAPI document, byte for byte."""
    return Answer(raw=openapi.document_bytes())


async def pair(call: Call) -> Answer:
    """Pair a program with a code; it is bound to the system user at the other end."""
    request = _request(call, wire.PairingRequest)
    product = None if request.product is None else mapping.product_from_wire(request.product)
    new = await call.backend.pair_with_code(Secret(request.code), request.name, product, call.os_identity)
    paired = wire.PairedClient(client=mapping.client_to_wire(new.client), secret=new.secret.reveal())
    return Answer(content=paired, status=201)


async def open_pairing(call: Call) -> Answer:
    """Make a one-time code."""
    scopes = frozenset(Scope(scope) for scope in _request(call, wire.OpenPairingRequest).scopes)
    code, life_s = await call.backend.open_pairing(scopes, call.actor)
    return Answer(content=wire.PairingCode(code=code, expires_in_s=life_s), status=201)


async def list_clients(call: Call) -> Answer:
    """All paired programs, revoked ones too."""
    clients = await call.backend.clients()
    return Answer(content=wire.ClientList(clients=tuple(mapping.client_to_wire(item) for item in clients)))


async def revoke_client(call: Call) -> Answer:
    """Revoke a program."""
    await call.backend.revoke(ClientId(call.path["client_id"]), call.actor)
    return Answer(status=204)


async def put_document(call: Call) -> Answer:
    """Deposit the wanted version of a document."""
    upload = call.upload
    assert upload is not None
    if upload.hold and upload.send_now:
        raise InvalidInput("OPTIONS_CONTRADICTORY", pointer="/send_now")
    accepted = await call.backend.put_document(
        call.caller,
        DocumentUpload(
            client_ref=call.path["client_ref"],
            metadata=upload.metadata,
            body=upload.body,
            media_type=upload.media_type,
            actor=call.actor,
            hold=upload.hold,
            send_now=upload.send_now,
            idempotency_key=call.headers.get("Idempotency-Key"),
        ),
    )
    content = wire.DocumentAccepted(
        order=mapping.order_to_wire(accepted.order), replayed=accepted.replayed, superseded=accepted.superseded
    )
    location = {"Location": f"/v1/orders/{quote(accepted.order.order_id, safe='')}"}
    if accepted.replayed:
        return Answer(content=content, headers={**location, "Idempotent-Replayed": "true"})
    return Answer(content=content, status=201, headers=location)


async def get_document(call: Call) -> Answer:
    """Where a document is, with its orders."""
    client_ref = call.path["client_ref"]
    return Answer(content=mapping.document_to_wire(await call.backend.document_orders(call.caller, client_ref)))


async def list_orders(call: Call) -> Answer:
    """One page of orders, newest first."""
    states = call.query.get("state")
    after = call.text("after")
    limit = call.number("limit", _DEFAULT_PAGE)
    selection = OrderFilter(
        client_id=None if call.is_admin else call.caller.client_id,
        client_ref=call.text("client_ref"),
        states=frozenset(OrderState(state) for state in states) if isinstance(states, list) else None,
        professional=call.text("professional"),
        limit=limit,
        after=None if after is None else OrderId(after),
    )
    orders = await call.backend.orders(call.caller, selection)
    shown = []
    for order in orders:
        title = await call.backend.title(order.order_id) if call.query.get("titles") is True else None
        shown.append(mapping.order_to_wire(order, title))
    following = orders[-1].order_id if len(orders) == limit else None
    return Answer(content=wire.OrderPage(orders=tuple(shown), next=following))


async def get_order(call: Call) -> Answer:
    """One order with its title."""
    order = await call.backend.order(call.caller, _order_id(call))
    return Answer(content=mapping.order_to_wire(order, await call.backend.title(order.order_id)))


async def explain_order(call: Call) -> Answer:
    """Why it has not left."""
    return Answer(content=mapping.why_to_wire(await call.backend.why(call.caller, _order_id(call))))


async def _control(call: Call, act: Callable[[Client, OrderId, Actor], Awaitable[Order]]) -> Answer:
    return Answer(content=mapping.order_to_wire(await act(call.caller, _order_id(call), call.actor)))


async def hold_order(call: Call) -> Answer:
    """Hold."""
    return await _control(call, call.backend.hold)


async def release_order(call: Call) -> Answer:
    """Lift a person's hold."""
    return await _control(call, call.backend.release)


async def release_order_from_shadow(call: Call) -> Answer:
    """Let what shadow mode accepted leave."""
    return await _control(call, call.backend.release_from_shadow)


async def send_order_now(call: Call) -> Answer:
    """Let it leave without deferral."""
    return await _control(call, call.backend.send_now)


async def resolve_order(call: Call) -> Answer:
    """Apply a person's verdict."""
    request = _request(call, wire.ResolveRequest)
    verdict = PersonVerdict(request.verdict)
    order = await call.backend.resolve(call.caller, _order_id(call), verdict, request.reason, call.actor)
    return Answer(content=mapping.order_to_wire(order))


async def cancel_order(call: Call) -> Answer:
    """Cancel honestly: the answer says which of the three it is, always with status 200."""
    answer, order = await call.backend.cancel(call.caller, _order_id(call), call.actor)
    return Answer(content=wire.CancelAnswer(answer=answer.value, order=mapping.order_to_wire(order)))


async def reconcile(call: Call) -> Answer:
    """Status of each reference."""
    refs = _request(call, wire.ReconcileRequest).client_refs
    return Answer(content=wire.Reconciliation(documents=dict(await call.backend.reconcile(call.caller, refs))))


async def set_patient_context(call: Call) -> Answer:
    """Tell that a file was opened or closed."""
    request = _request(call, wire.PatientContextRequest)
    count = await call.backend.patient_context(call.caller, request.open, call.actor)
    return Answer(content=wire.PatientContext(brought_forward=count))


async def get_session(call: Call) -> Answer:
    """Who may send from here."""
    found = await call.backend.authorities(call.caller)
    return Answer(content=wire.Session(authorities=tuple(mapping.authority_to_wire(item) for item in found)))


async def open_session(call: Call) -> Answer:
    """Start opening a session; an event tells how it ends."""
    request = _request(call, wire.OpenSessionRequest)
    offer = await call.backend.open_session(call.caller, request.national_id, request.channel, request.mode, call.actor)
    content = wire.SessionOffer(
        session_request=offer.session_request,
        binding_code=offer.binding_code,
        url=offer.url,
        expires_in_s=offer.expires_in_s,
    )
    return Answer(content=content, status=202)


async def adopt_session(call: Call) -> Answer:
    """Adopt the LGC's own proxy session."""
    request = _request(call, wire.AdoptSessionRequest)
    authority = await call.backend.adopt_session(
        call.caller, request.national_id, Secret(request.cookie), request.session_state, request.until_s, call.actor
    )
    return Answer(content=mapping.authority_to_wire(authority))


async def close_session(call: Call) -> Answer:
    """Close a session."""
    await call.backend.close_session(call.caller, call.text("national_id") or "", call.actor)
    return Answer(status=204)


async def read_ledger(call: Call) -> Answer:
    """Ledger lines visible to the client."""
    limit = call.number("limit", _DEFAULT_PAGE)
    entries = await call.backend.changes(call.caller, call.number("after", 0), limit)
    following = entries[-1].seq if len(entries) == limit else None
    return Answer(
        content=wire.LedgerPage(lines=tuple(mapping.line_to_wire(entry) for entry in entries), next=following)
    )


async def verify_ledger(call: Call) -> Answer:
    """Recompute the chain."""
    lines, head = await call.backend.verify_ledger()
    return Answer(content=wire.LedgerVerification(lines=lines, head=head))
