"""The drop folder as a client of the services: takes each pair once, answers, follows the order to its end.

Owns the order of steps: accepted durably, tracked, answered, put away. A stop between two of them repeats the earlier
ones, which the digest of the pair makes harmless. Knows neither the store nor the files' places.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Mapping
from typing import Final, ParamSpec

from vaguemestre_agent.dropfolder.folder import DONE, REFUSED, Drop, DropFolder, Unfit
from vaguemestre_agent.dropfolder.names import Reply, is_good_stem
from vaguemestre_agent.dropfolder.request import parse_request
from vaguemestre_agent.localapi.backend import Backend
from vaguemestre_agent.localapi.findings import findings_of
from vaguemestre_agent.services.values import HealthItem
from vaguemestre_api.messages import fill, message
from vaguemestre_core.errors import (
    Forbidden,
    InvalidInput,
    NotFound,
    ServiceError,
    StoreError,
    UnexpectedError,
    VaguemestreError,
)
from vaguemestre_core.orders import SETTLED, TERMINAL, ClientId, OrderId, OrderState
from vaguemestre_core.ports import ClockPort, FailpointPort
from vaguemestre_core.records import Change, Client, Order, Scope

_log = logging.getLogger(__name__)
# What keeps the whole folder waiting, not one pair: nothing is refused for it.
_LATER: Final = (StoreError, ServiceError)
P = ParamSpec("P")
_Json = Mapping[str, object]


class DropDoor:
    """Watches one folder for one paired client.

    Args:
        backend: the services.
        folder: the files.
        client_id: the paired client whose documents these are.
        clock: time.
        failpoints: where the crash tests stop.
        poll_s: time between two looks, seconds.
    """

    def __init__(
        self,
        backend: Backend,
        folder: DropFolder,
        client_id: ClientId,
        clock: ClockPort,
        failpoints: FailpointPort,
        poll_s: float,
    ) -> None:
        self._backend = backend
        self._folder = folder
        self._client_id = client_id
        self._clock = clock
        self._failpoints = failpoints
        self._poll_s = poll_s
        self._swept = False
        self._is_told = False  # True: nothing changed since the outcomes were looked at
        self._is_listening = False
        self._told: dict[str, OrderState] = {}
        self.trouble: str | None = None

    def health_item(self) -> HealthItem:
        """Say how the folder is."""
        return HealthItem(code=self.trouble or "DROP_FOLDER_WATCHED", ok=self.trouble is None)

    async def run(self) -> None:
        """Watch for ever; ends by cancellation, safe at any await."""
        stop = self._backend.listen(self._on_change)
        self._is_listening = True
        try:
            await self._watch()
        finally:
            stop()

    def _on_change(self, change: Change) -> None:
        self._is_told = False

    async def _watch(self) -> None:
        while True:
            try:
                await self.look()
                trouble = None
            except VaguemestreError as error:
                # Said by health; what was dropped stays where it is until the cause is gone.
                trouble = error.code
            if trouble != self.trouble:
                _log.warning("drop.trouble", extra={"code": trouble or "none"})
            self.trouble = trouble
            await self._clock.sleep(self._poll_s)

    async def look(self) -> None:
        """Take what is complete, and tell what became of what was taken.

        Raises:
            ServiceError: DROP_FOLDER_…
            NotFound, Forbidden: the client is not, or no longer, one that may deposit.
            StoreError: the store takes nothing now.
        """
        problem = await asyncio.to_thread(self._folder.problem)
        if problem is not None:
            raise ServiceError(problem)
        client = await self._client()
        if not self._swept:
            await asyncio.to_thread(self._folder.sweep)
            self._swept = True
        for found in await asyncio.to_thread(lambda: list(self._folder.look(self._clock.boot_s()))):
            if isinstance(found, Drop):
                await self._take(client, found)
            else:
                await self._refuse_unfit(found)
        if self._is_told and self._is_listening:
            return
        self._is_told = True
        try:
            await self._tell(client)
        except BaseException:
            self._is_told = False
            raise

    async def _client(self) -> Client:
        for client in await self._backend.clients():
            if client.client_id == self._client_id and client.revoked_at is None:
                if Scope.ENQUEUE not in client.scopes:
                    raise Forbidden("SCOPE_MISSING", scope=Scope.ENQUEUE.value)
                return client
        raise NotFound("DROP_CLIENT_UNKNOWN")

    async def _take(self, client: Client, drop: Drop) -> None:
        self._failpoints.hit("drop.read")
        try:
            upload = parse_request(drop)
            accepted = await self._backend.put_document(client, upload)
        except _LATER:
            raise
        except VaguemestreError as refusal:
            await self._refuse(drop.stem, drop.digest, refusal)
            return
        except Exception:  # noqa: BLE001 - not swallowed: the answer says so, and so does the log
            # A bug of ours must not stop the agent, nor the other documents.
            _log.exception("drop.unexpected")
            await self._refuse(drop.stem, drop.digest, UnexpectedError())
            return
        self._failpoints.hit("drop.accepted")
        order = accepted.order
        tracking = {"stem": drop.stem, "client_ref": order.client_ref}
        await self._do(self._folder.track, order.order_id, _bytes(tracking))
        self._told.pop(order.order_id, None)
        answer = {"accepted": True, "replayed": accepted.replayed, "superseded": accepted.superseded, **_facts(order)}
        await self._do(self._folder.reply, drop.stem, Reply.ANSWER, _bytes(answer))
        self._failpoints.hit("drop.answered")
        await self._do(self._folder.put_away, drop.stem, drop.digest, DONE)
        _log.info("drop.accepted", extra={"order_id": order.order_id})

    async def _refuse_unfit(self, unfit: Unfit) -> None:
        await self._refuse(unfit.stem, unfit.digest, InvalidInput(unfit.code))

    async def _refuse(self, stem: str, digest: str, refusal: VaguemestreError) -> None:
        places = [
            {"pointer": found.pointer, "code": found.code, "title": found.sentence} for found in findings_of(refusal)
        ]
        answer = {"accepted": False, "problem": _said(refusal.code, refusal.params), "errors": places}
        await self._do(self._folder.reply, stem, Reply.ANSWER, _bytes(answer))
        self._failpoints.hit("drop.answered")
        await self._do(self._folder.put_away, stem, digest, REFUSED)
        _log.info("drop.refused", extra={"code": refusal.code})

    async def _tell(self, client: Client) -> None:
        """Write receipts and outcomes of what was taken, from what the orders are now: nothing is missed by a stop."""
        for order_id, content in (await asyncio.to_thread(self._folder.tracked)).items():
            stem = _stem_of(content)
            if stem is None:
                _log.warning("drop.tracking_unreadable", extra={"order_id": order_id})
                await self._do(self._folder.untrack, order_id)
                continue
            try:
                order = await self._backend.order(client, OrderId(order_id))
            except NotFound:
                await self._do(self._folder.untrack, order_id)
                continue
            if order.state not in SETTLED or self._told.get(order_id) is order.state:
                continue
            if order.state is OrderState.SENT:
                receipt = {**_facts(order), "receipt": dict(order.receipt)}
                await self._do(self._folder.reply, stem, Reply.RECEIPT, _bytes(receipt))
            else:
                why = await self._backend.why(client, order.order_id)
                outcome = {**_facts(order), "problem": _said(order.failure_code or why.blocking, {})}
                await self._do(self._folder.reply, stem, Reply.OUTCOME, _bytes(outcome))
            self._failpoints.hit("drop.told")
            if order.state in TERMINAL:
                await self._do(self._folder.untrack, order_id)
                self._told.pop(order_id, None)
            else:
                self._told[order_id] = order.state  # a person may still reopen it

    async def _do(self, act: Callable[P, None], *arguments: P.args, **named: P.kwargs) -> None:
        """Do a file operation in a thread; cancelled, it still goes to its end."""
        await asyncio.to_thread(act, *arguments, **named)


def _stem_of(content: bytes) -> str | None:
    """Return the stem that a tracking file names, or None: the folder is not ours alone."""
    try:
        value = json.loads(content)
    except (ValueError, RecursionError):
        return None
    stem = value.get("stem") if isinstance(value, dict) else None
    return stem if isinstance(stem, str) and is_good_stem(stem) else None


def _said(code: str, params: Mapping[str, str | int | float | bool | None]) -> _Json:
    found = message(code)
    return {
        "code": code,
        "title": fill(found.title, params),
        "detail": fill(found.detail, params),
        "action": fill(found.action, params),
    }


def _facts(order: Order) -> _Json:
    return {
        "order_id": order.order_id,
        "client_ref": order.client_ref,
        "state": order.state.value,
        "unique_id": order.unique_id,
        "set_id": order.set_id,
        "version": order.version,
    }


def _bytes(value: _Json) -> bytes:
    return json.dumps(value, ensure_ascii=False, indent=2).encode()
