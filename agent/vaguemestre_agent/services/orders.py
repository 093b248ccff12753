"""What a person may do with orders, and why one has not left. A client sees its own orders; ``admin`` sees all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final, assert_never

from vaguemestre_agent.services.authorities import Authorities
from vaguemestre_agent.services.clients import client_of
from vaguemestre_agent.services.guarding import guards_of
from vaguemestre_agent.services.outages import Outages
from vaguemestre_agent.services.values import Why
from vaguemestre_core.document_state import document_state
from vaguemestre_core.errors import Conflict, Forbidden, NotFound
from vaguemestre_core.guards import GuardAnswer
from vaguemestre_core.orders import HoldKind, OrderEvent, OrderId, OrderState, WaitReason
from vaguemestre_core.ports import ClockPort, StorePort
from vaguemestre_core.records import Actor, CancelAnswer, Client, Order, OrderFilter, OrderPatch, PersonVerdict, Scope

_PAGE: Final = 100
# What holds back in each state that is no wait, and the one thing that would let the order leave.
_STATE_REASONS: Final[Mapping[OrderState, tuple[str, str]]] = {
    OrderState.PREPARING: ("BEING_PREPARED", "WAIT_FOR_PREPARATION"),
    OrderState.PREPARATION_FAILED: ("PREPARATION_REFUSED", "CORRECT_THE_DOCUMENT"),
    OrderState.DEFERRED: ("DEFERRED", "SEND_NOW"),
    OrderState.OFFERED: ("OFFERED_ELSEWHERE", "WAIT_FOR_THE_OTHER_STATION"),
    OrderState.ENTRUSTED: ("OWNED_ELSEWHERE", "WAIT_FOR_THE_OTHER_STATION"),
    OrderState.CLAIMED: ("LEAVING", "NOTHING"),
    OrderState.SENDING: ("LEAVING", "NOTHING"),
    OrderState.IN_DOUBT: ("OUTCOME_UNKNOWN", "WAIT_FOR_THE_VERDICT"),
    OrderState.SENT: ("ALREADY_SENT", "NOTHING"),
    OrderState.REJECTED: ("REFUSED_BY_THE_SERVICE", "CORRECT_THE_DOCUMENT"),
    OrderState.CANCELLED: ("CANCELLED", "SUBMIT_AGAIN"),
    OrderState.SUPERSEDED: ("SUPERSEDED", "NOTHING"),
    OrderState.ABANDONED: ("ABANDONED", "SUBMIT_AGAIN"),
    OrderState.UNREADABLE: ("BODY_UNREADABLE", "GIVE_THE_DOCUMENT_AGAIN"),
}
_WAITS: Final[Mapping[WaitReason, tuple[str, str]]] = {
    WaitReason.AUTH: ("NO_SESSION", "OPEN_A_SESSION"),
    WaitReason.NETWORK: ("NETWORK_DOWN", "WAIT_FOR_THE_NETWORK"),
    WaitReason.SERVICE: ("SERVICE_DOWN", "WAIT_FOR_THE_SERVICE"),
    WaitReason.STATION: ("STATION_AWAY", "WAIT_FOR_THE_OTHER_STATION"),
    WaitReason.PREDECESSOR: ("PREDECESSOR_WAITS", "SETTLE_THE_PREDECESSOR"),
    WaitReason.NO_DMP: ("NO_DMP", "PATIENT_OPENS_A_DMP"),
}
# A key is open that may not send this kind of order: a CPE hides and shows nothing.
_TOO_WEAK: Final = ("MEANS_TOO_WEAK", "PROFESSIONAL_AUTHENTICATES")
_HOLDS: Final[Mapping[HoldKind, tuple[str, str]]] = {
    HoldKind.PERSON: ("HELD_BY_A_PERSON", "RELEASE_THE_HOLD"),
    HoldKind.OPPOSITION: ("OPPOSITION_RECORDED", "PATIENT_WITHDRAWS_OPPOSITION"),
    HoldKind.CONSENT: ("MESSAGE_REFUSED_BY_PATIENT", "PATIENT_ACCEPTS_MESSAGES"),
    HoldKind.IDENTITY: ("INS_NOT_QUALIFIED", "QUALIFY_THE_IDENTITY"),
    HoldKind.INTEGRITY: ("ROW_NOT_AUTHENTIC", "GIVE_THE_DOCUMENT_AGAIN"),
    HoldKind.TROUBLE: ("KEEPS_FAILING", "A_PERSON_DECIDES"),
    HoldKind.DELEGATION: ("DELEGATION_MISSING", "DOCTOR_DELEGATES"),
    HoldKind.SHADOW: ("SHADOW_MODE", "RELEASE_FROM_SHADOW"),
}


# States in which a hold or an objection is what keeps the order here.
_CAN_STILL_LEAVE: Final = frozenset(
    {
        OrderState.PREPARING,
        OrderState.DEFERRED,
        OrderState.READY,
        OrderState.OFFERED,
        OrderState.ENTRUSTED,
        OrderState.CLAIMED,
    }
)


def _of_hold(hold: HoldKind, objections: Sequence[GuardAnswer]) -> tuple[str, str]:
    """Return a hold's words; the guard that put it names its reason better than the hold does."""
    blocking, remedy = _HOLDS[hold]
    reason = next((answer.code for answer in objections if answer.hold in {hold, None}), blocking)
    return (reason if hold is HoldKind.IDENTITY else blocking), remedy


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderService:
    """Reads and controls orders for a client.

    Attributes:
        is_shadow: nothing leaves from here (docs/shadow.md).
    """

    store: StorePort
    authorities: Authorities
    outages: Outages
    clock: ClockPort
    is_shadow: bool = False

    async def order(self, client: Client, order_id: OrderId) -> Order:
        """Return an order visible to the client. Raises NotFound ORDER_UNKNOWN for another client's too."""
        order = await self.store.order(order_id)
        if order.client_id != client.client_id and Scope.ADMIN not in client.scopes:
            raise NotFound("ORDER_UNKNOWN")
        return order

    async def orders(self, client: Client, selection: OrderFilter) -> Sequence[Order]:
        """Return orders visible to the client."""
        if Scope.ADMIN not in client.scopes:
            selection = replace(selection, client_id=client.client_id)
        return await self.store.orders(selection)

    async def document_orders(self, client: Client, client_ref: str) -> Sequence[Order]:
        """Return the orders of a document, newest first.

        Raises:
            NotFound: DOCUMENT_UNKNOWN, or DOCUMENT_UNKNOWN_SINCE_RESTORE when nobody here can know.
        """
        found = await self._of_document(client, client_ref)
        if not found:
            restored = self.store.recovery.restored_at is not None
            raise NotFound("DOCUMENT_UNKNOWN_SINCE_RESTORE" if restored else "DOCUMENT_UNKNOWN")
        return found

    async def hold(self, client: Client, order_id: OrderId, actor: Actor) -> Order:
        """Hold an order that has not left. Raises Conflict TOO_LATE."""
        await self.order(client, order_id)
        return await self.store.put_hold(order_id, HoldKind.PERSON, actor, "person")

    async def release(self, client: Client, order_id: OrderId, actor: Actor) -> Order:
        """Lift the person's hold, and the one for which a person was needed; the others stay."""
        await self.order(client, order_id)
        await self.store.lift_hold(order_id, HoldKind.TROUBLE, actor, "person")
        return await self.store.lift_hold(order_id, HoldKind.PERSON, actor, "person")

    async def release_from_shadow(self, client: Client, order_id: OrderId, actor: Actor) -> Order:
        """Let what shadow mode accepted leave after all: a person's own gesture, order by order.

        Raises:
            Conflict: SHADOW_MODE while the mode lasts.
        """
        await self.order(client, order_id)
        if self.is_shadow:
            raise Conflict("SHADOW_MODE")
        return await self.store.lift_hold(order_id, HoldKind.SHADOW, actor, "person")

    async def cancel(self, client: Client, order_id: OrderId, actor: Actor) -> tuple[CancelAnswer, Order]:
        """Cancel honestly: cancelled, too late, or asked."""
        await self.order(client, order_id)
        return await self.store.cancel(order_id, actor)

    async def send_now(self, client: Client, order_id: OrderId, actor: Actor) -> Order:
        """Let an order leave now: a person's gesture ends the undo minutes, or the wait for a next try.

        It goes before what leaves by itself. Raises Conflict TRANSITION_ILLEGAL.
        """
        await self.order(client, order_id)
        patch = OrderPatch(clear=frozenset({"waiting", "next_attempt_at_us"}))
        self.outages.ask_now()
        return await self.store.apply(order_id, OrderEvent.SEND_NOW, actor, patch=patch)

    async def resolve(
        self, client: Client, order_id: OrderId, verdict: PersonVerdict, reason: str, actor: Actor
    ) -> Order:
        """Apply a person's verdict. Raises Conflict TRANSITION_ILLEGAL, STATE_CHANGED.

        One altered outside the agent can only be abandoned, and by an administrator: Forbidden SCOPE_MISSING else.
        One in doubt of which nothing was built yet (a restored store) is built first when it did not leave.
        """
        order = await self.order(client, order_id)
        if HoldKind.INTEGRITY in order.holds and verdict is PersonVerdict.ABANDON:
            if Scope.ADMIN not in client.scopes:
                raise Forbidden("SCOPE_MISSING", scope=Scope.ADMIN.value)
            return await self.store.set_aside(order_id, reason, actor)
        done = frozenset({"failure_code", "service_code", "waiting", "doubt_since_us", "next_attempt_at_us"})
        match verdict:
            case PersonVerdict.SENT:
                event = OrderEvent.RESOLVED_SENT
                patch = OrderPatch(receipt=(("resolved_by", "person"), ("reason", reason)), clear=done)
            case PersonVerdict.NOT_SENT:
                is_built = order.frozen_ids is not None
                event = OrderEvent.RESOLVED_NOT_SENT if is_built else OrderEvent.UNKNOWN_THERE_UNPREPARED
                patch = OrderPatch(clear=done)
            case PersonVerdict.ABANDON:
                event, patch = OrderEvent.ABANDON, OrderPatch()
            case never:
                assert_never(never)
        detail = (("verdict", verdict.value), ("reason", reason))
        seen = frozenset({order.state})
        return await self.store.apply(order_id, event, actor, expect=seen, patch=patch, detail=detail)

    async def why(self, client: Client, order_id: OrderId) -> Why:
        """Say why an order has not left, and the one thing that would let it."""
        order = await self.order(client, order_id)
        owner = await client_of(self.store, order)
        answers = guards_of(order, await self.store.order_facts(order_id), owner)
        blocking, remedy = self._reason(order, owner, answers)
        return Why(
            order=order,
            guards=answers,
            blocking=blocking,
            would_let_it_leave=remedy,
            next_try_at=self._next_try_at(order, blocking),
        )

    def _next_try_at(self, order: Order, blocking: str) -> datetime | None:
        """Return when an order that waits for a service is tried again by itself, as far as it is known."""
        outage = self.outages.now()
        if outage is not None and blocking == outage.code:
            return max((at for at in (order.next_attempt_at, outage.next_try_at) if at is not None), default=None)
        waits = {blocking for blocking, _ in _WAITS.values()} | {"OUTCOME_UNKNOWN"}
        return order.next_attempt_at if blocking in waits else None

    def _reason(self, order: Order, owner: Client | None, answers: tuple[GuardAnswer, ...]) -> tuple[str, str]:
        objections = [answer for answer in answers if not answer.passed]
        if order.state is OrderState.PREPARATION_FAILED:
            # A document for the DMP cannot be built without a qualified identity: that is the reason to tell.
            for answer in objections:
                if answer.hold is HoldKind.IDENTITY:
                    return _of_hold(HoldKind.IDENTITY, [answer])
        if order.state in _CAN_STILL_LEAVE:
            for hold in HoldKind:
                if hold in order.holds:
                    return _of_hold(hold, objections)
            for answer in objections:
                return _of_hold(answer.hold, [answer]) if answer.hold else (answer.code, "CORRECT_THE_DOCUMENT")
        if self.is_shadow and order.state in _CAN_STILL_LEAVE:
            return "SHADOW_MODE", "LEAVE_SHADOW_MODE"
        if order.state is OrderState.IN_DOUBT and HoldKind.TROUBLE in order.holds:
            return _HOLDS[HoldKind.TROUBLE]
        if order.state is not OrderState.READY:
            is_behind = order.state is OrderState.PREPARING and order.waiting is WaitReason.PREDECESSOR
            return _WAITS[WaitReason.PREDECESSOR] if is_behind else _STATE_REASONS[order.state]
        return self._wait_of(order, owner)

    def _wait_of(self, order: Order, owner: Client | None) -> tuple[str, str]:
        """Say what a READY order that nothing holds waits for."""
        if owner is None or self.authorities.find(order.professional, owner, order.kind) is None:
            return _TOO_WEAK if self._is_too_weak(order) else _WAITS[WaitReason.AUTH]
        outage = self.outages.now()
        if outage is not None and outage.service == order.kind.service:
            return outage.code, outage.remedy
        if order.waiting is not None:
            return _WAITS[order.waiting]
        return "ABOUT_TO_LEAVE", "NOTHING"

    def _is_too_weak(self, order: Order) -> bool:
        return self.authorities.has_weaker(order.professional, order.kind)

    async def reconcile(self, client: Client, client_refs: Sequence[str]) -> Mapping[str, str]:
        """Return what each of the client's references has become.

        An unknown one was never accepted here; after a restore, it may have been accepted and even sent since the
        copy was made: ``unknown_since_restore`` says that nobody here can know.
        """
        absent = "unknown" if self.store.recovery.restored_at is None else "unknown_since_restore"
        answer: dict[str, str] = {}
        for client_ref in client_refs:
            found = await self._of_document(client, client_ref)
            answer[client_ref] = document_state(found[::-1]).word.value if found else absent
        return answer

    async def _of_document(self, client: Client, client_ref: str) -> list[Order]:
        """Return all the orders of a document, newest first: what it is depends on each of them."""
        selection = OrderFilter(client_id=client.client_id, client_ref=client_ref, limit=_PAGE)
        found = list(await self.store.orders(selection))
        while len(found) % _PAGE == 0 and found and (page := await self.store.orders(_after(selection, found))):
            found += page
        return found


def _after(selection: OrderFilter, found: Sequence[Order]) -> OrderFilter:
    return replace(selection, after=found[-1].order_id)
