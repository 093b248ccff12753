"""An agent with one bug put in on purpose: the crash self-test must see it, or it proves nothing.

Never part of the agent itself; ``subject.py`` puts in what ``VAGUEMESTRE_SEEDED_BUG`` names.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, Final, cast

from vaguemestre_agent.parts import Parts
from vaguemestre_agent.selftest.crash.acts import Act
from vaguemestre_agent.selftest.crash.failures import CHANGING, FEEDING, LATEST_S, Visit, visit
from vaguemestre_agent.services.doubts import DoubtAges
from vaguemestre_core.changes import ChangeAccepted, ChangeRequest, DeletionMotive
from vaguemestre_core.orders import OrderId, OrderKind
from vaguemestre_core.outcomes import Certainty, Outcome
from vaguemestre_core.ports import DmpPort, PreparedBuild, SendingContext, StorePort
from vaguemestre_core.records import AGENT_ACTOR, Acceptance, Accepted, FrozenIds, Order, OrderFilter
from vaguemestre_queue import opening
from vaguemestre_queue.incarnation import Standing

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


class RepeatingDmp(_Around):
    """Sends a deletion again at once when it does not know what became of it."""

    async def delete(
        self,
        prepared: bytes,
        frozen_ids: FrozenIds,
        context: SendingContext,
        before_first_byte: Callable[[], Awaitable[None]],
    ) -> Outcome:
        """Delete, and delete again in doubt."""

        async def nothing() -> None:
            """Commit nothing: SENDING is."""

        inner: DmpPort = self._inner  # type: ignore[assignment]  # what this surrounds
        outcome = await inner.delete(prepared, frozen_ids, context, before_first_byte)
        if outcome.certainty is not Certainty.DOUBT:
            return outcome
        return await inner.delete(prepared, frozen_ids, context, nothing)


class ConfusingDmp(_Around):
    """Gives visibility codes to the first document it fed, whatever document is named."""

    def __init__(self, inner: object) -> None:
        super().__init__(inner)
        self._first: bytes | None = None

    async def submit(
        self,
        prepared: bytes,
        frozen_ids: FrozenIds,
        signature: bytes | None,
        context: SendingContext,
        before_first_byte: Callable[[], Awaitable[None]],
    ) -> Outcome:
        """Send, and remember."""
        inner: DmpPort = self._inner  # type: ignore[assignment]  # what this surrounds
        self._first = self._first or prepared
        return await inner.submit(prepared, frozen_ids, signature, context, before_first_byte)

    async def set_visibility(
        self,
        prepared: bytes,
        visibility: frozenset[str],
        frozen_ids: FrozenIds,
        context: SendingContext,
        before_first_byte: Callable[[], Awaitable[None]],
    ) -> Outcome:
        """Give the codes to the wrong document."""
        inner: DmpPort = self._inner  # type: ignore[assignment]  # what this surrounds
        named = self._first or prepared
        return await inner.set_visibility(named, visibility, frozen_ids, context, before_first_byte)


class BlindStore(_Around):
    """Deletes at the DMP what somebody asked to make visible."""

    async def accept_change(self, request: ChangeRequest) -> ChangeAccepted:
        """Accept another change than the one asked."""
        inner: StorePort = self._inner  # type: ignore[assignment]  # what this surrounds
        deletion = replace(
            request, kind=OrderKind.DMP_DELETE, visibility=frozenset(), motive=DeletionMotive.FEEDING_ERROR
        )
        return await inner.accept_change(deletion)


def _ignoring_restores() -> Parts:
    """Take a restored store for the one that went on living."""
    opening.judge = lambda *_: Standing.SAME  # type: ignore[attr-defined]  # the bug: a name that opening uses
    return Parts()


def _by_the_wall_clock() -> Parts:
    """Count the age of a doubt on the wall clock, which can be set."""

    def age_s(self: DoubtAges, order: Order) -> float:
        since = order.doubt_since or order.state_at
        return (self._clock.now() - since).total_seconds()

    DoubtAges.age_s = age_s  # type: ignore[method-assign]  # the bug
    return Parts()


def _stores(kind: type[_Around]) -> Callable[[], Parts]:
    # What surrounds passes everything on: it is a store, or a DMP, too.
    return lambda: Parts(around_store=lambda store: cast("StorePort", kind(store)))


def _dmps(kind: type[_Around]) -> Callable[[], Parts]:
    return lambda: Parts(around_dmp=lambda dmp: cast("DmpPort", kind(dmp)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Bug:
    """One bug.

    Attributes:
        parts: makes the parts of an agent that has it.
        visits: where it shows.
        figure: the figure of the report that must not be 0.
    """

    parts: Callable[[], Parts]
    visits: Sequence[Visit]
    figure: str


_LATE_CHANGE: Final = {"target": CHANGING, "action": "late_store", "seconds": LATEST_S}
_LATE_FEEDING: Final = {"target": FEEDING, "action": "late_store", "seconds": LATEST_S}
BUGS: Final[Mapping[str, Bug]] = MappingProxyType(
    {
        "no_recovery": Bug(
            parts=lambda: Parts(recovering=False),
            visits=[visit(Act.SUBMIT, "send.sending")],
            figure="stuck",
        ),
        "dedup_off": Bug(
            parts=_stores(ForgetfulStore),
            visits=[visit(Act.SUBMIT, "accept.durable"), visit(Act.SUBMIT, "store.after_commit")],
            figure="sent_twice",
        ),
        "stops_by_itself": Bug(
            parts=_stores(StoppingStore), visits=[visit(Act.SUBMIT, "accept.durable")], figure="lost"
        ),
        "sending_after_first_byte": Bug(
            parts=_dmps(HastyDmp), visits=[visit(Act.SUBMIT, "send.all_sent")], figure="sent_twice"
        ),
        "delete_repeated_in_doubt": Bug(
            parts=_dmps(RepeatingDmp),
            visits=[Visit(kind=Act.DELETE, point=None, rule=_LATE_CHANGE)],
            figure="sent_twice",
        ),
        "wrong_document_shown": Bug(
            parts=_dmps(ConfusingDmp), visits=[Visit(kind=Act.SHOW, point=None)], figure="visible_without_wish"
        ),
        "deletes_instead": Bug(
            parts=_stores(BlindStore), visits=[Visit(kind=Act.SHOW, point=None)], figure="deleted_without_wish"
        ),
        "restore_not_seen": Bug(
            parts=_ignoring_restores,
            visits=[Visit(kind=Act.SUBMIT, point="accept.durable", is_restored=True)],
            figure="sent_twice",
        ),
        "doubt_by_the_wall_clock": Bug(
            parts=_by_the_wall_clock,
            visits=[Visit(kind=Act.SUBMIT, point=None, rule=_LATE_FEEDING, clock_s=45.0)],
            figure="sent_twice",
        ),
    }
)
