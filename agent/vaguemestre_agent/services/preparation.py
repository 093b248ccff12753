"""Preparation: accepted orders become documents, built and checked in a worker process, their identifiers frozen."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass, replace
from datetime import timedelta

from vaguemestre_agent.services.clients import client_of
from vaguemestre_agent.services.wake import Wake
from vaguemestre_core.changes import CHANGES, visibility_of
from vaguemestre_core.errors import Conflict, NotFound, StoreError
from vaguemestre_core.ids import oid_under
from vaguemestre_core.orders import OrderEvent, OrderState
from vaguemestre_core.ports import (
    ClockPort,
    FailpointPort,
    PreparationRefusal,
    PreparedBuild,
    PreparerPort,
    RandomPort,
    StorePort,
)
from vaguemestre_core.records import AGENT_ACTOR, FrozenIds, Order, OrderPatch, StoredBody
from vaguemestre_core.retry import RetryPolicy
from vaguemestre_documents.prepared import PreparedDocument

_log = logging.getLogger(__name__)
BATCH = 16
TRIES = 8  # of one document whose preparation is interrupted each time
STORE_RETRY_S = 5.0
SHORTEST_PAUSE_S = 1.0  # an instant already past concerns somebody else: it must not turn this loop


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparationService:
    """Builds what was accepted, oldest first, one at a time."""

    store: StorePort
    preparer: PreparerPort
    clock: ClockPort
    random: RandomPort
    failpoints: FailpointPort
    retry: RetryPolicy
    wake: Wake

    async def run(self) -> None:
        """Prepare for ever; ends only by cancellation, which is safe at any await."""
        while True:
            try:
                found = await self.store.preparing(BATCH)
                for order in found:
                    await self.prepare(order)
                pause_s = None if found else await self._until_next()
            except StoreError as error:
                # What was accepted is kept: it is prepared when the store is back.
                _log.error("preparation.store_unavailable", extra={"code": error.code})
                found, pause_s = (), STORE_RETRY_S
            if not found:
                await self.wake.wait(self.clock, pause_s)

    async def _until_next(self) -> float | None:
        instant = await self.store.next_instant()
        return None if instant is None else max((instant - self.clock.now()).total_seconds(), SHORTEST_PAUSE_S)

    async def prepare(self, order: Order) -> None:
        """Prepare one order: it becomes DEFERRED, PREPARATION_FAILED, UNREADABLE, or waits for another try.

        Raises:
            StoreError: the store is in trouble; the order stays as it was.
        """
        self.failpoints.hit("prepare.started")
        if order.kind in CHANGES:
            await self._freeze_change(order)
            return
        try:
            body = await self.store.body(order.order_id)
        except StoreError as error:
            if error.code not in {"BODY_GONE", "BODY_UNREADABLE"}:
                raise
            await self._apply(order, OrderEvent.BODY_LOST, error.code)
            return
        try:
            result = await self.preparer.prepare(order, as_wanted(order, body), self.clock.now())
            if isinstance(result, PreparedBuild):
                await self._save(order, result)
                return
        except StoreError:
            raise
        except Exception:  # noqa: BLE001 - not swallowed: the order says so, and so does the log
            # A bug of ours must not stop the other documents: this one is tried again, ever more rarely.
            _log.exception("preparation.unexpected", extra={"order_id": order.order_id})
            result = PreparationRefusal(code="UNEXPECTED", retry=True)
        if result.retry and order.attempts + 1 < TRIES:
            await self._later(order, result)
        else:
            # Refused, or tried again and again in vain: a person has the next word.
            await self._apply(order, OrderEvent.PREPARATION_REFUSED, result.code, result.findings)

    async def _save(self, order: Order, build: PreparedBuild) -> None:
        replaced = order.predecessor_unique_id
        if replaced is not None and PreparedDocument.from_bytes(build.prepared).entry.replaced_unique_id != replaced:
            # A ready CDA is sent as it is: it must name what is there itself, or the DMP would hold both.
            await self._apply(order, OrderEvent.PREPARATION_REFUSED, "REPLACED_VERSION_MISMATCH")
            return
        try:
            await self.store.save_prepared(order.order_id, build, await self._freeze(order))
        except NotFound as error:
            await self._apply(order, OrderEvent.PREPARATION_REFUSED, error.code)
        except Conflict as error:
            if error.code == "UNIQUE_ID_TAKEN":
                await self._apply(order, OrderEvent.PREPARATION_REFUSED, error.code)
            else:
                _log.info("preparation.overtaken", extra={"code": error.code})  # cancelled or superseded meanwhile

    async def _freeze_change(self, order: Order) -> None:
        """Fix the identifiers of an order that carries no body: nothing is built."""
        try:
            patch = OrderPatch(frozen_ids=await self._freeze(order), clear=frozenset({"failure_code"}))
            await self.store.apply(order.order_id, OrderEvent.PREPARED, AGENT_ACTOR, patch=patch)
        except NotFound as error:
            await self._apply(order, OrderEvent.PREPARATION_REFUSED, error.code)
        except Conflict as error:
            _log.info("preparation.overtaken", extra={"code": error.code})  # cancelled or superseded meanwhile

    async def _freeze(self, order: Order) -> FrozenIds:
        root = await self._oid_root(order)
        return FrozenIds(
            submission_set_id=oid_under(root, self.random.bits(100)),
            signature_id=oid_under(root, self.random.bits(100)),
            message_id=f"urn:uuid:{uuid_text(self.random.bits(128))}",
            boundary=f"vaguemestre_{self.random.bits(128):032x}",
            submission_at=self.clock.now().replace(microsecond=0),
        )

    async def _oid_root(self, order: Order) -> str:
        client = await client_of(self.store, order)
        if client is None or client.product is None:
            raise NotFound("CLIENT_UNKNOWN")
        return client.product.oid_root

    async def _later(self, order: Order, refusal: PreparationRefusal) -> None:
        attempts = order.attempts + 1
        delay = self.retry.delay_s(attempts, self.random.fraction())
        patch = OrderPatch(
            attempts_plus=1,
            next_attempt_at=self.clock.now() + timedelta(seconds=delay),
            failure_code=refusal.code,
        )
        try:
            await self.store.touch(
                order.order_id,
                OrderState.PREPARING,
                patch,
                "order.preparation_retried",
                (("code", refusal.code),),
            )
        except Conflict as error:
            _log.info("preparation.overtaken", extra={"code": error.code})

    async def _apply(
        self, order: Order, event: OrderEvent, code: str, findings: tuple[tuple[str, str], ...] = ()
    ) -> None:
        detail = (("code", code), *((f"finding.{number}", f"{a} {b}") for number, (a, b) in enumerate(findings)))
        try:
            await self.store.apply(
                order.order_id, event, AGENT_ACTOR, patch=OrderPatch(failure_code=code), detail=detail
            )
        except Conflict as error:
            _log.info("preparation.overtaken", extra={"code": error.code})


def as_wanted(order: Order, body: StoredBody) -> StoredBody:
    """Return what was given, with the visibility that a person chose since."""
    facts = json.loads(order.guard_facts)
    metadata = json.loads(body.metadata)
    wanted = visibility_of(order.guard_facts)
    if "visibility" not in facts or frozenset(metadata.get("visibility", ())) == wanted:
        return body
    changed = json.dumps({**metadata, "visibility": sorted(wanted)}, ensure_ascii=False).encode()
    return replace(body, metadata=changed)


def uuid_text(bits: int) -> str:
    """Return 128 random bits as a version 4 UUID in text (RFC 9562)."""
    value = (bits & ~(0xF << 76) | (4 << 76)) & ~(0x3 << 62) | (0x2 << 62)
    text = f"{value:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
