"""A working backend of the local API in memory: real transitions, real guards, real ledger chain, no durability.

For the contract tests of the API, the tray and the vendors' client. It obeys the same table and guards as the product;
what it does not have is a disk, a DMP and a metadata schema (it reads the few members it needs). Nothing leaves by
itself: a test drives an order with ``advance``.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from vaguemestre_agent.localapi.backend import (
    DocumentUpload,
    Health,
    HealthItem,
    SessionOffer,
    Why,
)
from vaguemestre_agent.services.readers import ReadersService
from vaguemestre_core.changes import ChangeAccepted, DeletionMotive
from vaguemestre_core.document_state import document_state
from vaguemestre_core.errors import Conflict, Forbidden, InvalidInput, NotFound, StoreError
from vaguemestre_core.facts import Care, FactView, KeptFacts, guard_input, keep
from vaguemestre_core.guards import examine
from vaguemestre_core.orders import (
    CANCEL_ASKED_ONLY,
    TERMINAL,
    ClientId,
    HoldKind,
    OrderEvent,
    OrderId,
    OrderKind,
    OrderState,
    next_state,
)
from vaguemestre_core.readerports import ReadersOff
from vaguemestre_core.records import (
    Accepted,
    Actor,
    Authority,
    AuthorityMeans,
    CancelAnswer,
    Change,
    Client,
    LedgerEntry,
    Order,
    OrderFilter,
    PersonVerdict,
    Scope,
    event_kind,
)
from vaguemestre_core.redaction import Secret
from vaguemestre_testkit import memory_changes
from vaguemestre_testkit.clocks import FakeClock, SeededRandom
from vaguemestre_testkit.memory_announcements import MemoryAnnouncements
from vaguemestre_testkit.memory_facts import MemoryFacts, status_of
from vaguemestre_testkit.memory_holds import MemoryHolds
from vaguemestre_testkit.memory_indicators import MemoryIndicators
from vaguemestre_testkit.memory_keeping import MemoryBackups, MemoryKeeping

_UNDO_S: Final = 120.0
_DELAY_S: Final = 900.0

_VERDICTS: Final[Mapping[PersonVerdict, OrderEvent]] = {
    PersonVerdict.SENT: OrderEvent.RESOLVED_SENT,
    PersonVerdict.NOT_SENT: OrderEvent.RESOLVED_NOT_SENT,
    PersonVerdict.ABANDON: OrderEvent.ABANDON,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wish:
    """What a reference wants now."""

    order_id: OrderId
    key: str | None
    digest: str


class MemoryBackend(MemoryHolds, MemoryFacts):
    """See the module. ``now`` is set by the test; ``puts`` counts the documents accepted for good."""

    def __init__(self) -> None:
        super().__init__()
        self.unavailable: str | None = None
        self.kept_from = 1
        self.keeping = MemoryKeeping()
        self.indicators = MemoryIndicators()
        self.readers = ReadersService(ReadersOff(), FakeClock(), SeededRandom())
        self.announcements = MemoryAnnouncements(self._visible, lambda: self.now)
        self.backups = MemoryBackups()
        self.listeners: list[Callable[[Change], None]] = []
        self.lines: list[LedgerEntry] = []
        self._titles: dict[OrderId, str] = {}
        self._wishes: dict[tuple[ClientId, str], _Wish] = {}
        self._keys: dict[tuple[ClientId, str], tuple[str, OrderId]] = {}
        self._authorities: dict[tuple[str, str], Authority] = {}

    # Documents and orders

    async def put_document(self, client: Client, upload: DocumentUpload) -> Accepted:
        """Accept a document, replay, supersede or refuse."""
        if self.unavailable is not None:
            raise StoreError(self.unavailable)
        if client.product is None:
            raise Forbidden("PRODUCT_PROFILE_MISSING")
        if not upload.body:
            raise InvalidInput("BODY_EMPTY")
        metadata = json.loads(upload.metadata)
        digest = hashlib.sha256(
            json.dumps([metadata, upload.media_type, upload.hold, upload.send_now], sort_keys=True).encode()
            + upload.body
        ).hexdigest()
        replayed = self._replay(client, upload, digest)
        if replayed is not None:
            return replayed
        facts = KeptFacts(
            identity_status=status_of(metadata),
            has_ins=bool(metadata.get("has_ins", True)),
            identity_doubtful=False,
            visibility=frozenset(metadata.get("visibility", ())),
            care=Care(episode=metadata.get("episode")),
            station="this",
        )
        nothing_told = FactView(version=0)
        answers = examine(
            guard_input(OrderKind.DMP_SUBMIT, keep(facts), nothing_told, accepted_under=0, has_product_reference=True)
        )
        for answer in answers:
            if answer.refuses:
                raise InvalidInput(answer.code, pointer="/metadata/visibility")
        superseded = self._supersede(client, upload)
        earlier = [
            order
            for order in reversed(self._orders.values())
            if (order.client_id, order.client_ref) == (client.client_id, upload.client_ref)
        ]
        order = memory_changes.new_order(client, upload, earlier, keep(facts), self.fact_version, self.now, self.next)
        self.keep_patient(order.order_id, metadata)
        order = replace(order, holds=order.holds | self.fact_holds(order))
        self._titles[order.order_id] = str(metadata.get("title", ""))
        self._wishes[client.client_id, upload.client_ref] = _Wish(
            order_id=order.order_id, key=upload.idempotency_key, digest=digest
        )
        if upload.idempotency_key is not None:
            self._keys[client.client_id, upload.idempotency_key] = (f"{upload.client_ref}\0{digest}", order.order_id)
        self._orders[order.order_id] = order
        self._write(event_kind(OrderEvent.ACCEPTED), upload.actor, order=order, after=order.state)
        return Accepted(order=order, replayed=False, superseded=None if superseded is None else superseded.order_id)

    def _replay(self, client: Client, upload: DocumentUpload, digest: str) -> Accepted | None:
        if upload.idempotency_key is not None:
            known = self._keys.get((client.client_id, upload.idempotency_key))
            if known is not None:
                if known[0] != f"{upload.client_ref}\0{digest}":
                    raise Conflict("IDEMPOTENCY_MISMATCH")
                return Accepted(order=self._orders[known[1]], replayed=True)
        wish = self._wishes.get((client.client_id, upload.client_ref))
        if wish is not None and wish.digest == digest and self._orders[wish.order_id].state not in _STOPPED:
            return Accepted(order=self._orders[wish.order_id], replayed=True)
        return None

    def _supersede(self, client: Client, upload: DocumentUpload) -> Order | None:
        wish = self._wishes.get((client.client_id, upload.client_ref))
        if wish is None:
            return None
        before = self._orders[wish.order_id]
        if next_state(before.state, OrderEvent.SUPERSEDE) is None:
            return None
        return self.apply(before, OrderEvent.SUPERSEDE, upload.actor)

    async def delete_document(
        self, client: Client, client_ref: str, motive: DeletionMotive, actor: Actor, idempotency_key: str | None
    ) -> ChangeAccepted:
        """Delete a document."""
        return memory_changes.delete(self, await self.document_orders(client, client_ref), actor)

    async def set_visibility(
        self, client: Client, client_ref: str, visibility: frozenset[str], actor: Actor, idempotency_key: str | None
    ) -> ChangeAccepted:
        """Say who sees a document."""
        return memory_changes.show(self, await self.document_orders(client, client_ref), visibility, actor)

    def add(self, order: Order) -> Order:
        """Keep a new order and write its acceptance."""
        self._orders[order.order_id] = order
        self._write(event_kind(OrderEvent.ACCEPTED), order.actor, order=order, after=order.state)
        return order

    def replace_wish(self, before: Order, after: Order) -> None:
        """Let another order stand for what a reference wants."""
        for name, wish in self._wishes.items():
            if wish.order_id == before.order_id:
                self._wishes[name] = replace(wish, order_id=after.order_id)

    async def document_orders(self, client: Client, client_ref: str) -> Sequence[Order]:
        """Return a document's orders, newest first."""
        found = [order for order in self._visible(client) if order.client_ref == client_ref]
        if not found:
            raise NotFound("DOCUMENT_UNKNOWN")
        return found

    async def orders(self, client: Client, selection: OrderFilter) -> Sequence[Order]:
        """Return orders visible to the client, newest first."""
        found = [
            order
            for order in self._visible(client)
            if (selection.client_id is None or order.client_id == selection.client_id)
            and (selection.client_ref is None or order.client_ref == selection.client_ref)
            and (selection.states is None or order.state in selection.states)
            and (selection.professional is None or order.professional == selection.professional)
            and (selection.after is None or order.order_id < selection.after)
        ]
        return found[: selection.limit]

    async def order(self, client: Client, order_id: OrderId) -> Order:
        """Return one."""
        for order in self._visible(client):
            if order.order_id == order_id:
                return order
        raise NotFound("ORDER_UNKNOWN")

    async def title(self, order_id: OrderId) -> str | None:
        """Return the title."""
        return self._titles.get(order_id)

    async def cancel(self, client: Client, order_id: OrderId, actor: Actor) -> tuple[CancelAnswer, Order]:
        """Cancel honestly."""
        order = await self.order(client, order_id)
        if order.state is OrderState.CANCELLED:
            return CancelAnswer.CANCELLED, order
        if next_state(order.state, OrderEvent.CANCEL) is not None:
            return CancelAnswer.CANCELLED, self.apply(order, OrderEvent.CANCEL, actor)
        if order.state in CANCEL_ASKED_ONLY:
            return CancelAnswer.ASKED, self._change(order, "order.cancel_requested", actor, cancel_requested=True)
        return CancelAnswer.TOO_LATE, order

    async def send_now(self, client: Client, order_id: OrderId, actor: Actor) -> Order:
        """Let a deferred order leave."""
        order = await self.order(client, order_id)
        return self.apply(order, OrderEvent.SEND_NOW, actor)

    async def resolve(
        self, client: Client, order_id: OrderId, verdict: PersonVerdict, reason: str, actor: Actor
    ) -> Order:
        """Apply a person's verdict."""
        return self.apply(await self.order(client, order_id), _VERDICTS[verdict], actor)

    async def why(self, client: Client, order_id: OrderId) -> Why:
        """Say why it has not left."""
        order = await self.order(client, order_id)
        answers = self.fact_answers(order)
        if HoldKind.PERSON in order.holds:
            return Why(order=order, guards=answers, blocking="HELD_BY_A_PERSON", would_let_it_leave="RELEASE_THE_HOLD")
        blocking = next((answer.code for answer in answers if not answer.passed), "NOTHING")
        return Why(order=order, guards=answers, blocking=blocking, would_let_it_leave="NOTHING")

    async def reconcile(self, client: Client, client_refs: Sequence[str]) -> Mapping[str, str]:
        """Return the status of each reference."""
        statuses: dict[str, str] = {}
        for client_ref in client_refs:
            wish = self._wishes.get((client.client_id, client_ref))
            if wish is None and Scope.ADMIN in client.scopes:
                wish = next((item for (_, ref), item in self._wishes.items() if ref == client_ref), None)
            statuses[client_ref] = "unknown" if wish is None else self._word(self._orders[wish.order_id])
        return statuses

    async def patient_context(self, client: Client, open_patient: bool, actor: Actor) -> int:
        """Tell that a file was opened or closed: closing brings deferred orders forward to the end of their undo."""
        if open_patient:
            return 0
        count = 0
        for order in self._visible(client):
            if order.state is OrderState.DEFERRED and order.not_before > order.undo_until:
                self._change(order, "order.brought_forward", actor, not_before=order.undo_until)
                count += 1
        return count

    # Events and ledger

    async def changes(self, client: Client, after: int, limit: int) -> Sequence[LedgerEntry]:
        """Return visible lines after that number."""
        everything = Scope.ADMIN in client.scopes
        found = [
            line
            for line in self.lines[after:]
            if line.seq >= self.kept_from and (everything or line.client_id == client.client_id)
        ]
        return found[:limit]

    async def last_change(self) -> int:
        """Return the last number."""
        return len(self.lines)

    async def first_change(self) -> int:
        """Return the oldest number kept."""
        return self.kept_from

    def listen(self, listener: Callable[[Change], None]) -> Callable[[], None]:
        """Tell every change."""
        self.listeners.append(listener)
        return lambda: self.listeners.remove(listener)

    async def verify_ledger(self) -> tuple[int, str]:
        """Recompute the chain."""
        previous = ""
        for line in self.lines:
            if line.previous != previous or line.digest != _chained(line):
                raise StoreError("LEDGER_BROKEN", seq=line.seq)
            previous = line.digest
        return len(self.lines), previous

    # Session and health

    async def open_session(
        self, client: Client, national_id: str, channel: str, mode: str, actor: Actor
    ) -> SessionOffer:
        """Offer a session."""
        self._write("session.asked", actor, client_id=client.client_id)
        if mode == "browser":
            return SessionOffer(
                session_request=f"r-{self.next()}", binding_code=None, url="http://127.0.0.1:1/", expires_in_s=120.0
            )
        return SessionOffer(session_request=f"r-{self.next()}", binding_code="42", url=None, expires_in_s=120.0)

    async def adopt_session(
        self, client: Client, national_id: str, cookie: Secret, session_state: str, until_s: float | None, actor: Actor
    ) -> Authority:
        """Adopt a session."""
        authority = Authority(
            professional=national_id,
            means=AuthorityMeans.PSC,
            service="dmp",
            station="this",
            until=None if until_s is None else self.now + timedelta(seconds=until_s),
            proxy_client_id="" if client.product is None else client.product.proxy_client_id,
        )
        self._authorities[national_id, authority.proxy_client_id] = authority
        self._write("session.adopted", actor, client_id=client.client_id)
        return authority

    async def close_session(self, client: Client, national_id: str, actor: Actor) -> None:
        """Close a session."""
        own = "" if client.product is None else client.product.proxy_client_id
        if self._authorities.pop((national_id, own), None) is None:
            raise NotFound("SESSION_UNKNOWN")
        self._write("session.closed", actor, client_id=client.client_id)

    async def authorities(self, client: Client) -> Sequence[Authority]:
        """Return who may send, for this client."""
        own = None if client.product is None else client.product.proxy_client_id
        found = self._authorities.values()
        return [item for item in found if item.proxy_client_id == own or Scope.ADMIN in client.scopes]

    async def health(self) -> Health:
        """Return the state."""
        counts: dict[str, int] = {}
        for order in self._orders.values():
            counts[order.state.value] = counts.get(order.state.value, 0) + 1
        ok = self.unavailable is None
        return Health(
            version="0.0.0",
            ready=ok,
            items=(HealthItem(code=self.unavailable or "STORE_OK", ok=ok),),
            counts=counts,
        )

    # What tests drive

    def advance(self, order_id: str, *events: OrderEvent) -> Order:
        """Apply events as the agent would."""
        order = self._orders[OrderId(order_id)]
        for event in events:
            order = self.apply(order, event, Actor(user="agent", role="agent"))
        return order

    def fingerprint(self) -> str:
        """Return a digest of everything kept: equal before and after means that nothing changed."""
        kept = (sorted(self._orders.items()), sorted(self._clients.items()), self.lines, sorted(self._authorities))
        return hashlib.sha256(repr(kept).encode()).hexdigest()

    # Inside

    def _write_pairing(self, kind: str, actor: Actor, client_id: ClientId | None) -> None:
        self._write(kind, actor, client_id=client_id)

    def _visible(self, client: Client) -> list[Order]:
        return [
            order
            for order in reversed(self._orders.values())
            if Scope.ADMIN in client.scopes or order.client_id == client.client_id
        ]

    def _word(self, wanted: Order) -> str:
        orders = [order for order in self._orders.values() if order.document_id == wanted.document_id]
        return document_state(orders).word.value

    def apply(self, order: Order, event: OrderEvent, actor: Actor) -> Order:
        state = next_state(order.state, event)
        if state is None:
            raise Conflict("TRANSITION_ILLEGAL", state=order.state.value, event=event.value)
        changed = replace(order, state=state, state_at=self.now, revision=order.revision + 1)
        self._orders[order.order_id] = changed
        self._write(event_kind(event), actor, order=changed, before=order.state, after=state)
        return changed

    def _with_holds(self, order: Order, kind: str, actor: Actor, holds: frozenset[HoldKind]) -> Order:
        return self._change(order, kind, actor, holds=holds)

    def _change(
        self,
        order: Order,
        kind: str,
        actor: Actor,
        *,
        holds: frozenset[HoldKind] | None = None,
        cancel_requested: bool | None = None,
        not_before: datetime | None = None,
    ) -> Order:
        changed = replace(
            order,
            holds=order.holds if holds is None else holds,
            cancel_requested=order.cancel_requested if cancel_requested is None else cancel_requested,
            not_before=order.not_before if not_before is None else not_before,
            revision=order.revision + 1,
        )
        self._orders[order.order_id] = changed
        self._write(kind, actor, order=changed)
        return changed

    def _write(
        self,
        kind: str,
        actor: Actor,
        *,
        order: Order | None = None,
        client_id: ClientId | None = None,
        before: OrderState | None = None,
        after: OrderState | None = None,
    ) -> None:
        line = LedgerEntry(
            seq=len(self.lines) + 1,
            at=self.now,
            kind=kind,
            order_id=None if order is None else order.order_id,
            client_id=client_id if order is None else order.client_id,
            client_ref=None if order is None else order.client_ref,
            actor=actor,
            before=before,
            after=after,
            detail=(),
            previous=self.lines[-1].digest if self.lines else "",
            digest="",
        )
        line = replace(line, digest=_chained(line))
        self.lines.append(line)
        for listener in list(self.listeners):
            listener(Change(entry=line, order=order))


_STOPPED: Final = TERMINAL - {OrderState.SENT}


def _chained(line: LedgerEntry) -> str:
    return hashlib.sha256(repr(replace(line, digest="")).encode()).hexdigest()
