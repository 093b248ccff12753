"""What every exchange with the service needs: under whose name, a session that may end, and verdicts that are kept.

Owns no order of steps. A verdict known is never forgotten for a full disk.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from vaguemestre_agent.services.authorities import Authorities
from vaguemestre_agent.services.clients import client_of
from vaguemestre_core.cardports import KeySession
from vaguemestre_core.errors import StoreError
from vaguemestre_core.ports import ClockPort, SendingContext, StorePort
from vaguemestre_core.records import Client, Order, ProxySession
from vaguemestre_core.turns import SendingRight

_log = logging.getLogger(__name__)
STORE_RETRY_S = 5.0
T = TypeVar("T")


class Exchanges:
    """Shared by sending and settling. ``trouble`` is the code of what ails the store now, or None."""

    def __init__(self, store: StorePort, authorities: Authorities, clock: ClockPort) -> None:
        self._store = store
        self._authorities = authorities
        self._clock = clock
        self.trouble: str | None = None

    async def context(self, order: Order) -> tuple[SendingContext | None, Client | None]:
        """Return under whose authority and product an order leaves, or None for it, and the order's client."""
        client = await client_of(self._store, order)
        session = None if client is None else self._authorities.find(order.professional, client, order.kind)
        if session is None or client is None or client.product is None:
            return None, client
        return SendingContext(session=session, product=client.product), client

    async def has_session(self, order: Order) -> bool:
        """Say whether an authority is open under which an order may leave."""
        return (await self.context(order))[0] is not None

    async def rights(self) -> Sequence[SendingRight]:
        """Return for whom orders of which clients may leave now."""
        return self._authorities.rights(await self._store.clients())

    async def free_rights(self) -> Sequence[SendingRight]:
        """Return the same without the cards that pause, or under which an order is leaving."""
        return self._authorities.rights(await self._store.clients(), free_only=True)

    @property
    def next_departure_s(self) -> float | None:
        """Seconds until a card's pause ends, or None."""
        return self._authorities.cards.next_departure_s

    async def departs(self, order: Order) -> KeySession | None:
        """Note under which key a claimed order leaves: none other leaves under it meanwhile."""
        if not self._authorities.cards.sessions():
            return None
        try:
            context, _ = await self.context(order)
        except StoreError:
            return None  # the sending meets the same trouble, and takes the order out of CLAIMED
        if context is None or not isinstance(context.session, KeySession):
            return None
        self._authorities.cards.departs(context.session)
        return context.session

    def arrived(self, session: KeySession | None) -> None:
        """Note that what left under a key is done."""
        if session is not None:
            self._authorities.cards.arrived(session)

    async def lost(self, context: SendingContext) -> None:
        """Forget a session at once; its ledger line waits for the store, and never takes a verdict with it.

        A key is not forgotten: only its card says whether it is there.
        """
        session = context.session
        if isinstance(session, ProxySession) and self._authorities.sessions.forget(session):
            await self.persist(lambda: self._authorities.sessions.note_lost(session))

    async def persist(self, write: Callable[[], Awaitable[T]]) -> T:
        """Do what must be done until the store takes it."""
        while True:
            try:
                return await write()
            except StoreError as error:
                if error.code in {"STORE_CLOSED", "ROW_NOT_AUTHENTIC"}:
                    raise
                _log.error("dispatch.store_unavailable", extra={"code": error.code})
                self.trouble = error.code
                await self._clock.sleep(STORE_RETRY_S)
