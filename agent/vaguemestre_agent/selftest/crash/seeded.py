"""An agent with one bug put in on purpose: the crash self-test must see it, or it proves nothing.

Never part of the agent itself; ``subject.py`` puts in what ``VAGUEMESTRE_SEEDED_BUG`` names.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any, Final

from vaguemestre_agent.composition import Parts
from vaguemestre_core.orders import OrderId
from vaguemestre_core.outcomes import Outcome
from vaguemestre_core.ports import DmpPort, PreparedBuild, SendingContext, StorePort
from vaguemestre_core.records import AGENT_ACTOR, Acceptance, Accepted, FrozenIds, Order, OrderFilter

VARIABLE: Final = "VAGUEMESTRE_SEEDED_BUG"


class _Around:
    """Passes everything on to what it surrounds."""

    def __init__(self, inner: object) -> None:
        self._inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


class ForgetfulStore(_Around):
    """Forgets that it has seen a request: a repeated one becomes a second document."""

    async def accept(self, acceptance: Acceptance) -> Accepted:
        """Accept without looking for the same request."""
        inner: StorePort = self._inner  # type: ignore[assignment]  # what this surrounds
        seen = await inner.orders(
            OrderFilter(client_id=acceptance.client_id, client_ref=acceptance.client_ref, limit=1)
        )
        reference = f"{acceptance.client_ref}~{acceptance.order_id}" if seen else acceptance.client_ref
        return await inner.accept(replace(acceptance, idempotency_key=None, client_ref=reference))


class StoppingStore(_Around):
    """Cancels what is prepared, although nobody asked: the document is neither lost to sight nor ever sent."""

    async def save_prepared(self, order_id: OrderId, build: PreparedBuild, frozen_ids: FrozenIds) -> Order:
        """Store the built document, then stop the order."""
        inner: StorePort = self._inner  # type: ignore[assignment]  # what this surrounds
        await inner.save_prepared(order_id, build, frozen_ids)
        return (await inner.cancel(order_id, AGENT_ACTOR))[1]


class HastyDmp(_Around):
    """Lets the body leave before SENDING is committed."""

    async def submit(
        self,
        prepared: bytes,
        frozen_ids: FrozenIds,
        signature: bytes | None,
        context: SendingContext,
        before_first_byte: Callable[[], Awaitable[None]],
    ) -> Outcome:
        """Send first, commit after."""

        async def nothing() -> None:
            """Commit nothing."""

        inner: DmpPort = self._inner  # type: ignore[assignment]  # what this surrounds
        outcome = await inner.submit(prepared, frozen_ids, signature, context, nothing)
        await before_first_byte()
        return outcome


def _store(store: StorePort) -> StorePort:
    return ForgetfulStore(store)


def _stopping(store: StorePort) -> StorePort:
    return StoppingStore(store)


def _dmp(dmp: DmpPort) -> DmpPort:
    return HastyDmp(dmp)


# Bug → the parts that have it, and the failpoints where it shows.
BUGS: Final[Mapping[str, tuple[Callable[[], Parts], tuple[str, ...]]]] = MappingProxyType(
    {
        "no_recovery": (lambda: Parts(recovering=False), ("claimed", "send.sending")),
        "dedup_off": (lambda: Parts(around_store=_store), ("accept.durable", "store.after_commit")),
        "stops_by_itself": (lambda: Parts(around_store=_stopping), ("accept.durable",)),
        "sending_after_first_byte": (lambda: Parts(around_dmp=_dmp), ("send.all_sent",)),
    }
)
