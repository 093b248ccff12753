"""Client of the local API for the tray, the CLI and the LGC vendors: one method a route, and a resumable event stream.

Owns the connection to the socket or pipe, the headers, and the mapping of answers to wire models. Retries a call only
when the connection was refused while a living agent is starting: nothing was sent. It decides nothing else.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from types import TracebackType
from typing import Final, Self, TypeVar
from urllib.parse import quote, urlencode

import aiohttp
from yarl import URL

from vaguemestre_api import openapi, wire, wire_documents
from vaguemestre_api.answers import Answer, StreamItem, item_of, problem_of
from vaguemestre_api.client_changes import ChangeCalls
from vaguemestre_api.client_facts import FactCalls
from vaguemestre_api.client_keeping import KeepingCalls
from vaguemestre_api.client_readers import ReaderCalls
from vaguemestre_api.codec import WireError, from_json, to_json
from vaguemestre_api.endpoint import HOST, Endpoint
from vaguemestre_api.failures import AgentNotRunning, AgentSilent, AnswerUnreadable
from vaguemestre_api.jsontypes import Json, JsonRefused, dump_json, parse_json
from vaguemestre_api.multipart import Part, write_form
from vaguemestre_api.sse import EventParser, StreamRefused

ACTOR_HEADER: Final = "Vaguemestre-Actor"
REPLAYED_HEADER: Final = "Idempotent-Replayed"
_POLL_S: Final = 0.05
_MAX_ANSWER_BYTES: Final = 64 * 1024 * 1024

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """What pairing gave."""

    client_id: str
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentBody:
    """A document to deposit: raw JSON metadata, bytes and media type."""

    metadata: bytes = field(repr=False)
    body: bytes = field(repr=False)
    media_type: str


class Client(KeepingCalls, ReaderCalls, FactCalls, ChangeCalls):
    """Calls one agent. Use as an async context manager, or call ``close``.

    Every method raises ``ApiProblem`` (the agent refused), ``AgentNotRunning``, ``AgentSilent`` (no answer in time:
    a write may have been done) or ``AnswerUnreadable``. All may be cancelled at any await.

    Args:
        endpoint: where the agent listens.
        credentials: what pairing gave, or None for health and pairing.
        actor: who acts, written on every write that names no other.
        timeout_s: longest time for one call.
        start_grace_s: how long to wait for an agent that is starting (its lock is held, its socket is not there yet).
    """

    def __init__(
        self,
        endpoint: Endpoint,
        credentials: Credentials | None = None,
        *,
        actor: wire.Actor | None = None,
        timeout_s: float = 30.0,
        start_grace_s: float = 10.0,
    ) -> None:
        self._endpoint = endpoint
        self._credentials = credentials
        self._actor = actor
        self._timeout_s = timeout_s
        self._start_grace_s = start_grace_s
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    # Health and pairing

    async def health(self) -> wire.Health:
        """Return the state of the agent; counts only when paired."""
        return await self._read("getHealth", wire.Health)

    async def openapi(self) -> bytes:
        """Return the agent's own OpenAPI document."""
        return (await self._call("getOpenApi")).body

    async def pair(self, code: str, name: str, product: wire.Product | None = None) -> wire.PairedClient:
        """Pair a program with the code that a person read on the agent."""
        request = wire.PairingRequest(code=code, name=name, product=product)
        return await self._read("pair", wire.PairedClient, body=to_json(request))

    async def open_pairing(self, scopes: Sequence[str], *, actor: wire.Actor | None = None) -> wire.PairingCode:
        """Make a one-time pairing code (scope admin)."""
        return await self._read("openPairing", wire.PairingCode, body={"scopes": list(scopes)}, actor=actor)

    async def clients(self) -> tuple[wire.Client, ...]:
        """Return all paired programs (scope admin)."""
        return (await self._read("listClients", wire.ClientList)).clients

    async def revoke_client(self, client_id: str, *, actor: wire.Actor | None = None) -> None:
        """Revoke a program (scope admin)."""
        await self._call("revokeClient", path={"client_id": client_id}, actor=actor)

    # Documents and orders

    async def put_document(
        self,
        client_ref: str,
        document: DocumentBody,
        *,
        hold: bool = False,
        send_now: bool = False,
        idempotency_key: str | None = None,
        actor: wire.Actor | None = None,
    ) -> wire.DocumentAccepted:
        """Deposit the wanted version of a document; when it returns, the order is durable.

        The call may be repeated after ``AgentSilent``: same reference and key give the same order.
        """
        parts = [
            Part(name="metadata", content=document.metadata, media_type="application/json"),
            Part(name="body", content=document.body, media_type=document.media_type, is_file=True),
        ]
        flags = (("hold", hold), ("send_now", send_now))
        parts += [Part(name=name, content=b"true") for name, wanted in flags if wanted]
        headers = {} if idempotency_key is None else {"Idempotency-Key": idempotency_key}
        return await self._read(
            "putDocument",
            wire.DocumentAccepted,
            path={"client_ref": client_ref},
            form=write_form(parts),
            headers=headers,
            actor=actor,
        )

    async def document(self, client_ref: str) -> wire_documents.Document:
        """Return where a document is."""
        return await self._read("getDocument", wire_documents.Document, path={"client_ref": client_ref})

    async def orders(
        self,
        *,
        states: Sequence[str] = (),
        client_ref: str | None = None,
        professional: str | None = None,
        titles: bool = False,
        limit: int | None = None,
        after: str | None = None,
    ) -> wire.OrderPage:
        """Return one page of orders, newest first."""
        query = [("state", state) for state in states]
        named = (("client_ref", client_ref), ("professional", professional), ("after", after))
        query += [(name, value) for name, value in named if value is not None]
        if titles:
            query.append(("titles", "true"))
        if limit is not None:
            query.append(("limit", str(limit)))
        return await self._read("listOrders", wire.OrderPage, query=query)

    async def order(self, order_id: str) -> wire.Order:
        """Return one order, with its title when the keys are unlocked."""
        return await self._read("getOrder", wire.Order, path={"order_id": order_id})

    async def why(self, order_id: str) -> wire.Why:
        """Return why an order has not left."""
        return await self._read("explainOrder", wire.Why, path={"order_id": order_id})

    async def hold(self, order_id: str, *, actor: wire.Actor | None = None) -> wire.Order:
        """Hold an order."""
        return await self._read("holdOrder", wire.Order, path={"order_id": order_id}, actor=actor)

    async def release(self, order_id: str, *, actor: wire.Actor | None = None) -> wire.Order:
        """Lift a person's hold."""
        return await self._read("releaseOrder", wire.Order, path={"order_id": order_id}, actor=actor)

    async def release_from_shadow(self, order_id: str, *, actor: wire.Actor | None = None) -> wire.Order:
        """Let what shadow mode accepted leave."""
        return await self._read("releaseOrderFromShadow", wire.Order, path={"order_id": order_id}, actor=actor)

    async def cancel(self, order_id: str, *, actor: wire.Actor | None = None) -> wire.CancelAnswer:
        """Cancel, or learn that it is too late or only asked."""
        return await self._read("cancelOrder", wire.CancelAnswer, path={"order_id": order_id}, actor=actor)

    async def resolve(self, order_id: str, verdict: str, reason: str, *, actor: wire.Actor | None = None) -> wire.Order:
        """Give a person's verdict: ``sent`` or ``not_sent`` on an order in doubt, ``abandon`` on one that is stuck."""
        return await self._read(
            "resolveOrder",
            wire.Order,
            path={"order_id": order_id},
            body={"verdict": verdict, "reason": reason},
            actor=actor,
        )

    async def send_now(self, order_id: str, *, actor: wire.Actor | None = None) -> wire.Order:
        """Let a deferred order leave."""
        return await self._read("sendOrderNow", wire.Order, path={"order_id": order_id}, actor=actor)

    async def reconcile(self, client_refs: Sequence[str]) -> Mapping[str, str]:
        """Return the status of each reference."""
        answer = await self._read("reconcile", wire.Reconciliation, body={"client_refs": list(client_refs)})
        return answer.documents

    async def patient_context(self, *, is_open: bool, actor: wire.Actor | None = None) -> int:
        """Tell that a patient's file was opened or closed; return how many orders were brought forward."""
        answer = await self._read("setPatientContext", wire.PatientContext, body={"open": is_open}, actor=actor)
        return answer.brought_forward

    # Session and ledger

    async def session(self) -> tuple[wire.Authority, ...]:
        """Return who may send from here."""
        return (await self._read("getSession", wire.Session)).authorities

    async def open_session(
        self, national_id: str, *, channel: str = "CARD", mode: str = "ciba", actor: wire.Actor | None = None
    ) -> wire.SessionOffer:
        """Start opening a session, because a person asked."""
        body: Json = {"national_id": national_id, "channel": channel, "mode": mode}
        return await self._read("openSession", wire.SessionOffer, body=body, actor=actor)

    async def adopt_session(
        self, request: wire.AdoptSessionRequest, *, actor: wire.Actor | None = None
    ) -> wire.Authority:
        """Give the agent the session that the LGC opened."""
        members = to_json(request)
        assert isinstance(members, Mapping)
        body = {name: value for name, value in members.items() if value is not None}
        return await self._read("adoptSession", wire.Authority, body=body, actor=actor)

    async def close_session(self, national_id: str, *, actor: wire.Actor | None = None) -> None:
        """Close a session."""
        await self._call("closeSession", query=[("national_id", national_id)], actor=actor)

    async def ledger(self, *, after: int = 0, limit: int | None = None) -> wire.LedgerPage:
        """Return ledger lines after that number."""
        query = [("after", str(after))]
        if limit is not None:
            query.append(("limit", str(limit)))
        return await self._read("readLedger", wire.LedgerPage, query=query)

    async def verify_ledger(self) -> wire.LedgerVerification:
        """Have the ledger's chain recomputed."""
        return await self._read("verifyLedger", wire.LedgerVerification)

    async def indicators(
        self, first: str | None = None, last: str | None = None, group: Sequence[str] | None = None
    ) -> wire.Indicators:
        """Return the counts of these days (ISO dates, both included), or of the usual periods."""
        query = [(name, day) for name, day in (("from", first), ("to", last)) if day is not None]
        query += [("group", name) for name in group or ()]
        return await self._read("getIndicators", wire.Indicators, query=query)

    # Events

    async def events(self, after: int | None = None, *, idle_s: float = 60.0) -> AsyncGenerator[StreamItem]:
        """Yield one connection's events, from the full state or from the change after ``after``.

        Ends when the agent closes the stream; ``follow`` reconnects.

        Args:
            after: number of the last change already seen.
            idle_s: silence after which the agent is taken for gone (it sends a heartbeat more often).
        """
        query = [] if after is None else [("after", str(after))]
        parser = EventParser()
        async with self._send("streamEvents", query=query, timeout_s=None, idle_s=idle_s) as response:
            if response.status != 200:
                raise problem_of(await self._collect(response))
            try:
                async for chunk in response.content.iter_any():
                    for event in parser.feed(chunk):
                        yield item_of(event)
            except (aiohttp.ClientError, TimeoutError):
                raise AgentSilent from None
            except StreamRefused:
                raise AnswerUnreadable("stream") from None

    async def follow(self, after: int | None = None, *, patience_s: float | None = None) -> AsyncGenerator[StreamItem]:
        """Yield events for ever, reconnecting from the last number seen, across restarts of the agent.

        Args:
            after: number of the last change already seen.
            patience_s: how long the agent may stay away before ``AgentNotRunning``; None for ever.
        """
        clock = asyncio.get_running_loop().time
        away_since: float | None = None
        while True:
            try:
                async for item in self.events(after):
                    away_since = None
                    if item.resume_after is not None:
                        after = item.resume_after
                    elif isinstance(item.content, wire.Resync):
                        after = None
                    yield item
            except (AgentNotRunning, AgentSilent) as gone:
                away_since = away_since or clock()
                if patience_s is not None and clock() - away_since > patience_s:
                    raise AgentNotRunning from gone
            await asyncio.sleep(min(1.0, max(_POLL_S, (patience_s or 10.0) / 20)))

    # Transport

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            connector: aiohttp.BaseConnector
            if self._endpoint.is_pipe:
                connector = aiohttp.NamedPipeConnector(path=self._endpoint.address)
            else:
                connector = aiohttp.UnixConnector(path=self._endpoint.address)
            self._session = aiohttp.ClientSession(
                connector=connector, trust_env=False, auto_decompress=False, cookie_jar=aiohttp.DummyCookieJar()
            )
        return self._session

    @asynccontextmanager
    async def _send(
        self,
        operation_id: str,
        *,
        path: Mapping[str, str] | None = None,
        query: Sequence[tuple[str, str]] = (),
        headers: Mapping[str, str] | None = None,
        data: bytes | None = None,
        timeout_s: float | None,
        idle_s: float | None = None,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        operation = openapi.operations()[operation_id]
        target = operation.path
        for name, value in (path or {}).items():
            target = target.replace(f"{{{name}}}", quote(value, safe=""))
        if query:
            target = f"{target}?{urlencode(query)}"
        all_headers = {"Accept": "application/json", **(headers or {})}
        if self._credentials is not None:
            all_headers["Authorization"] = f"Vaguemestre {self._credentials.client_id}:{self._credentials.secret}"
        url = URL(f"http://{HOST}{target}", encoded=True)
        timeout = aiohttp.ClientTimeout(total=timeout_s, sock_read=idle_s)
        clock = asyncio.get_running_loop().time
        deadline = clock() + self._start_grace_s
        while True:
            try:
                async with self._open().request(
                    operation.method,
                    url,
                    headers=all_headers,
                    data=data,
                    timeout=timeout,
                    allow_redirects=False,
                ) as response:
                    yield response
                    return
            except aiohttp.ClientConnectorError as refused:
                # Nothing was sent. Worth another try only while an agent lives that does not listen yet.
                if not self._endpoint.agent_lives() or clock() > deadline:
                    raise AgentNotRunning from refused
            except FileNotFoundError as missing:  # the pipe does not exist
                if not self._endpoint.agent_lives() or clock() > deadline:
                    raise AgentNotRunning from missing
            await asyncio.sleep(_POLL_S)

    async def _call(
        self,
        operation_id: str,
        *,
        path: Mapping[str, str] | None = None,
        query: Sequence[tuple[str, str]] = (),
        body: Json = None,
        form: tuple[str, bytes] | None = None,
        headers: Mapping[str, str] | None = None,
        actor: wire.Actor | None = None,
    ) -> Answer:
        all_headers = dict(headers or {})
        if openapi.operations()[operation_id].has_actor:
            who = actor or self._actor
            if who is not None:
                all_headers[ACTOR_HEADER] = write_actor(who)
        data: bytes | None = None
        if form is not None:
            all_headers["Content-Type"], data = form
        if body is not None:
            data = dump_json(body)
            all_headers["Content-Type"] = "application/json"
        try:
            async with self._send(
                operation_id, path=path, query=query, headers=all_headers, data=data, timeout_s=self._timeout_s
            ) as response:
                answer = await self._collect(response)
        except (aiohttp.ClientError, TimeoutError) as broken:
            raise AgentSilent from broken
        if answer.status not in openapi.operations()[operation_id].statuses:
            raise problem_of(answer)
        return answer

    async def _collect(self, response: aiohttp.ClientResponse) -> Answer:
        body = await response.content.read(_MAX_ANSWER_BYTES + 1)
        while len(body) <= _MAX_ANSWER_BYTES and (more := await response.content.read(_MAX_ANSWER_BYTES)):
            body += more
        if len(body) > _MAX_ANSWER_BYTES:
            raise AnswerUnreadable("size")
        return Answer(status=response.status, headers=dict(response.headers), body=body)

    async def _read(
        self,
        operation_id: str,
        model: type[T],
        *,
        path: Mapping[str, str] | None = None,
        query: Sequence[tuple[str, str]] = (),
        body: Json = None,
        form: tuple[str, bytes] | None = None,
        headers: Mapping[str, str] | None = None,
        actor: wire.Actor | None = None,
    ) -> T:
        answer = await self._call(
            operation_id, path=path, query=query, body=body, form=form, headers=headers, actor=actor
        )
        try:
            return from_json(model, parse_json(answer.body))
        except WireError as unfit:
            raise AnswerUnreadable(unfit.where) from None
        except JsonRefused as unfit:
            raise AnswerUnreadable(unfit.reason) from None


def write_actor(actor: wire.Actor) -> str:
    """Return the actor header's value."""
    pairs = [("user", actor.user), ("role", actor.role)]
    if actor.rpps is not None:
        pairs.append(("rpps", actor.rpps))
    return urlencode(pairs)
