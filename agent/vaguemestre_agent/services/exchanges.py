"""What every exchange with the service needs: under whose name, a session that may end, and verdicts that are kept.

Owns no order of steps. A verdict known is never forgotten for a full disk.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from vaguemestre_agent.services.clients import client_of
from vaguemestre_agent.services.sessions import SessionService
from vaguemestre_core.errors import StoreError
from vaguemestre_core.ports import ClockPort, SendingContext, StorePort
from vaguemestre_core.records import Client, Order
from vaguemestre_core.turns import SendingRight

_log = logging.getLogger(__name__)
STORE_RETRY_S = 5.0
T = TypeVar("T")


class Exchanges:
    """Shared by sending and settling. ``trouble`` is the code of what ails the store now, or None."""

    def __init__(self, store: StorePort, sessions: SessionService, clock: ClockPort) -> None:
        self._store = store
        self._sessions = sessions
        self._clock = clock
        self.trouble: str | None = None

    async def context(self, order: Order) -> tuple[SendingContext | None, Client | None]:
        """Return under whose session and product an order leaves, or None for it, and the order's client."""
        client = await client_of(self._store, order)
        session = None if client is None else self._sessions.session_for(order.professional, client)
        if session is None or client is None or client.product is None:
            return None, client
        return SendingContext(session=session, product=client.product), client

    async def has_session(self, order: Order) -> bool:
        """Say whether a session is open in which an order may leave."""
        return (await self.context(order))[0] is not None

    async def rights(self) -> Sequence[SendingRight]:
        """Return for whom orders of which clients may leave now."""
        return self._sessions.rights(await self._store.clients())

    async def lost(self, context: SendingContext) -> None:
        """Forget a session at once; its ledger line waits for the store, and never takes a verdict with it."""
        if self._sessions.forget(context.session):
            await self.persist(lambda: self._sessions.note_lost(context.session))

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
