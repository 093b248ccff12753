"""The services while the keys are out of reach: documents are accepted durably, everything else says what is missing.

Owns the answers of those days; nothing is sent, no row is authenticated, no row is written. What is accepted is sealed
in the spool with the secret that its client showed, and becomes an order when the keys are back
(``locked.unlocking``). Source: docs/adr/0016.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from collections.abc import Callable, Mapping, Sequence
from typing import NoReturn

from vaguemestre_agent.services.intake import checked, draw_ids, request_digest
from vaguemestre_agent.services.values import DocumentUpload, Health, HealthItem
from vaguemestre_core.errors import Conflict, Forbidden, StoreError
from vaguemestre_core.orders import ClientId, DocumentId, OrderId, OrderKind, OrderState
from vaguemestre_core.ports import ClockPort, RandomPort
from vaguemestre_core.records import Accepted, Actor, Change, Client, Order
from vaguemestre_core.redaction import Secret
from vaguemestre_queue import rows
from vaguemestre_queue.spool import KeptDocument, KeptHead, Spool
from vaguemestre_queue.unverified import UnverifiedStore

_STOPPED = frozenset({OrderState.CANCELLED, OrderState.ABANDONED, OrderState.SUPERSEDED, OrderState.UNREADABLE})


class _Refusing:
    """A call, or a part of the backend, that wants the keys: whatever is asked of it is refused by name."""

    def __init__(self, trouble: Callable[[], str]) -> None:
        self._trouble = trouble

    def __getattr__(self, name: str) -> _Refusing:
        if name.startswith("_"):
            raise AttributeError(name)
        return self

    async def __call__(self, *_: object, **__: object) -> NoReturn:
        raise StoreError(self._trouble())


class LockedBackend:
    """What a route may ask without keys. A method that is not here is refused with the code of what is missing.

    Args:
        spool: where documents are kept.
        store: the store's rows, unauthenticated.
        trouble: code of what is missing.
        station: this workstation.
    """

    def __init__(
        self,
        spool: Spool,
        store: UnverifiedStore,
        clock: ClockPort,
        random: RandomPort,
        *,
        trouble: str,
        station: str,
        version: str,
        can_seal: Callable[[], bool],
    ) -> None:
        self._spool = spool
        self._store = store
        self._clock = clock
        self._random = random
        self.trouble = trouble
        self._station = station
        self._version = version
        self._can_seal = can_seal
        self._shown: dict[ClientId, tuple[Secret, str | None]] = {}
        self._one = asyncio.Lock()
        self._closing = False

    @property
    def readers(self) -> NoReturn:
        """Refuse: the readers process starts with the services."""
        raise StoreError(self.trouble)

    def __getattr__(self, name: str) -> _Refusing:
        if name.startswith("_"):
            raise AttributeError(name)
        return _Refusing(lambda: self.trouble)

    async def authenticate(self, client_id: ClientId, secret: Secret, os_identity: str | None) -> Client:
        """Return the client by its unauthenticated row; raise Forbidden CLIENT_REFUSED."""
        client = await asyncio.to_thread(self._store.client, client_id)
        digest = hashlib.sha256(secret.reveal().encode()).hexdigest()
        if client is None or not hmac.compare_digest(digest, client.secret_digest):
            raise Forbidden("CLIENT_REFUSED")
        if client.os_identity is not None and client.os_identity != os_identity:
            raise Forbidden("CLIENT_REFUSED")
        self._shown[client_id] = (secret, os_identity)
        return client

    async def put_document(self, client: Client, upload: DocumentUpload) -> Accepted:
        """Keep a document, or replay the answer of the same request.

        Raises:
            InvalidInput, Forbidden: as with keys (``IntakeService.put_document``).
            Conflict: IDEMPOTENCY_MISMATCH.
            StoreError: AGENT_BUSY while the keys come back, the missing part when there is nothing to seal to.
        """
        summary, _ = checked(client, upload, self._station)
        assert client.product is not None
        wish = request_digest(upload)
        async with self._one:  # one after the other: a repeated request finds the first
            if self._closing:
                raise StoreError("AGENT_BUSY", retry_after_s=1)
            heads = await asyncio.to_thread(self._spool.heads)
            replayed = await self._replayed(heads, client, upload, wish)
            if replayed is not None:
                return Accepted(order=replayed, replayed=True)
            if not self._can_seal():
                raise StoreError(self.trouble)
            ids = draw_ids(self._random, client.product.oid_root)
            head = KeptHead(
                number=1 + max((head.number for head in heads), default=0),
                order_id=ids.order_id,
                document_id=ids.document_id,
                set_id=ids.set_id,
                unique_id=ids.unique_id,
                client_id=client.client_id,
                client_ref=upload.client_ref,
                type_code=summary.type_code,
                professional=summary.ps_idnat,
                request_digest=wish,
                idempotency_key=upload.idempotency_key,
                received_at_us=rows.to_us(self._clock.now()),
                hold=upload.hold,
                send_now=upload.send_now,
            )
            shown = self._shown.get(client.client_id)
            if shown is None:
                raise StoreError("AGENT_BUSY", retry_after_s=1)
            secret, os_identity = shown
            kept = KeptDocument(
                head=head,
                actor=upload.actor,
                secret=secret,
                os_identity=os_identity,
                media_type=upload.media_type,
                metadata=upload.metadata,
                body=upload.body,
            )
            await asyncio.to_thread(self._spool.keep, kept)
        return Accepted(order=_shown_order(head), replayed=False)

    async def _replayed(
        self, heads: Sequence[KeptHead], client: Client, upload: DocumentUpload, wish: str
    ) -> Order | None:
        """Return the order of the same request, kept or already in the store, as acceptance would with keys."""
        mine = [head for head in heads if head.client_id == client.client_id]
        key = upload.idempotency_key
        if key is not None:
            for head in mine:
                if head.idempotency_key == key:
                    return _same(wish, head.request_digest, _shown_order(head))
            known = await asyncio.to_thread(self._store.by_key, client.client_id, key)
            if known is not None and known[1].state is not OrderState.UNREADABLE:
                return _same(wish, known[0], known[1])
        last = next((head for head in reversed(mine) if head.client_ref == upload.client_ref), None)
        if last is not None:
            return _shown_order(last) if last.request_digest == wish else None
        latest = await asyncio.to_thread(self._store.latest, client.client_id, upload.client_ref)
        if latest is None or latest[0] != wish or latest[1].state in _STOPPED:
            return None
        return latest[1]

    async def document_orders(self, client: Client, client_ref: str) -> Sequence[Order]:
        """Return the kept orders of a document, newest first; refused when there is none: the store may know more."""
        heads = await asyncio.to_thread(self._spool.heads)
        found = [h for h in reversed(heads) if (h.client_id, h.client_ref) == (client.client_id, client_ref)]
        if not found:
            raise StoreError(self.trouble)
        return [_shown_order(head) for head in found]

    async def order(self, client: Client, order_id: OrderId) -> Order:
        """Return a kept order; refused for any other."""
        for head in await asyncio.to_thread(self._spool.heads):
            if (head.client_id, head.order_id) == (client.client_id, order_id):
                return _shown_order(head)
        raise StoreError(self.trouble)

    async def title(self, order_id: OrderId) -> str | None:
        """Return None: titles are sealed."""
        return None

    async def reconcile(self, client: Client, client_refs: Sequence[str]) -> Mapping[str, str]:
        """Return ``waiting`` for kept references; refused when one is not kept here."""
        for client_ref in client_refs:
            await self.document_orders(client, client_ref)
        return dict.fromkeys(client_refs, "waiting")

    def listen(self, listener: Callable[[Change], None]) -> Callable[[], None]:
        """Refuse: nothing is committed without keys."""
        raise StoreError(self.trouble)

    async def health(self) -> Health:
        """Say what is missing, what is accepted all the same, and how much is kept."""
        kept, aside = await asyncio.to_thread(lambda: (self._spool.count(), self._spool.count_aside()))
        accepts = self._can_seal() and self._store.exists
        items = [
            HealthItem(code=self.trouble, ok=False),
            HealthItem(
                code="KEEPING_DOCUMENTS" if accepts else "KEEPING_IMPOSSIBLE", ok=accepts, params={"kept": kept}
            ),
        ]
        if aside:
            items.append(HealthItem(code="KEPT_SET_ASIDE", ok=False, params={"count": aside}))
        return Health(version=self._version, ready=accepts, items=tuple(items), counts={})

    async def close(self) -> None:
        """Accept nothing more here: the keys are back. What is being kept is kept first."""
        self._closing = True
        async with self._one:
            self._shown.clear()

    def reopen(self, trouble: str) -> None:
        """Accept here again: something else is missing."""
        self.trouble = trouble
        self._closing = False


def _same(wish: str, known: str, order: Order) -> Order:
    if wish != known:
        raise Conflict("IDEMPOTENCY_MISMATCH")
    return order


def _shown_order(head: KeptHead) -> Order:
    """Return the order that a kept document will be, as far as it is known."""
    at = rows.from_us(head.received_at_us)
    return Order(
        order_id=OrderId(head.order_id),
        document_id=DocumentId(head.document_id),
        client_id=ClientId(head.client_id),
        client_ref=head.client_ref,
        kind=OrderKind.DMP_SUBMIT,
        state=OrderState.PREPARING,
        version=1,
        set_id=head.set_id,
        unique_id=head.unique_id,
        type_code=head.type_code,
        professional=head.professional,
        lane="",
        guard_facts="{}",
        accepted_at=at,
        state_at=at,
        not_before=at,
        undo_until=at,
        attempts=0,
        next_attempt_at=None,
        waiting=None,
        holds=frozenset(),
        cancel_requested=False,
        predecessor=None,
        predecessor_unique_id=None,
        depends_on=(),
        failure_code=None,
        service_code=None,
        doubt_since=None,
        fact_version=0,
        incarnation=0,
        actor=Actor(user="", role=""),
        frozen_ids=None,
        holder=None,
        custody_epoch=0,
        receipt=(),
        revision=0,
    )
