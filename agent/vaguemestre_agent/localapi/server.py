"""The HTTP side of the local API: one request from the wire to a handler and back.

Order of the checks: browser headers and host, route, bounds, identity, scope, parameters, body, actor. Owns the access
log: method, route template, status, milliseconds and client id, nothing else. It never knows what a route does.
"""

from __future__ import annotations

import asyncio
import logging
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Final
from urllib.parse import parse_qsl

from aiohttp import web
from aiohttp.http_exceptions import LineTooLong
from aiohttp.web_protocol import RequestHandler

from vaguemestre_agent.localapi import gate, reading
from vaguemestre_agent.localapi.backend import Backend
from vaguemestre_agent.localapi.calls import Answer, Call
from vaguemestre_agent.localapi.events import EventStream
from vaguemestre_agent.localapi.limits import ApiLimits
from vaguemestre_agent.localapi.peers import peer_identity
from vaguemestre_agent.localapi.refusals import Refusal, RequestInvalid, refusal, schema_findings
from vaguemestre_agent.localapi.routes import Match, Route, RouteTable
from vaguemestre_api import openapi
from vaguemestre_api.client import ACTOR_HEADER
from vaguemestre_api.codec import to_json
from vaguemestre_api.jsontypes import Json, JsonObject, dump_json
from vaguemestre_core.errors import Forbidden, InvalidInput, StoreError, UnexpectedError, VaguemestreError
from vaguemestre_core.ports import RandomPort
from vaguemestre_core.records import Actor, Client

logger = logging.getLogger(__name__)

# aiohttp's own access log names paths and addresses: it is never enabled.
_NO_ACCESS_LOG: Final = logging.getLogger("vaguemestre.no_access_log")
_NO_ACCESS_LOG.disabled = True

# Whatever a page or a proxy makes of an answer, it does not keep it, sniff it or show it in a frame.
_HEADERS: Final[Mapping[str, str]] = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
}


@dataclass(slots=True, kw_only=True)
class _Log:
    """What the access log may say of a request."""

    template: str = "-"
    client_id: str = "-"
    status: int = 0


@dataclass(slots=True, kw_only=True)
class _Load:
    """What is going on now."""

    requests: int = 0
    streams: set[EventStream] = field(default_factory=set)


class LocalApi:
    """Answers requests. One instance serves any number of listeners.

    Args:
        backend: the services.
        random: for the support ids.
        limits: bounds.
        identify: system user at the other end of a transport.
    """

    def __init__(
        self,
        backend: Backend,
        random: RandomPort,
        limits: ApiLimits | None = None,
        identify: Callable[[asyncio.BaseTransport | None], str | None] = peer_identity,
    ) -> None:
        self._backend = backend
        self._random = random
        self.limits = limits or ApiLimits()
        self._identify = identify
        self._routes = RouteTable()
        self._budget = reading.UploadBudget(free_bytes=self.limits.upload_bytes)
        self._load = _Load()
        self._stopping = asyncio.Event()

    def use(self, backend: Backend) -> None:
        """Answer with other services from the next request on."""
        self._backend = backend

    def stop(self) -> None:
        """End the event streams cleanly and refuse new requests; those under way go on."""
        self._stopping.set()
        self.wake_streams()

    def wake_streams(self) -> None:
        """Have every stream look whether it must end."""
        for stream in self._load.streams:
            stream.wake()

    @property
    def open_streams(self) -> int:
        """Event streams open now."""
        return len(self._load.streams)

    def connections(self) -> web.Server:
        """Return aiohttp's server for one listener."""
        return _ConnectionServer(self)

    async def respond(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request."""
        clock = asyncio.get_running_loop().time
        started = clock()
        log = _Log()
        self._load.requests += 1
        try:
            response = await self._guarded(request, log)
            log.status = response.status
            return response
        finally:
            self._load.requests -= 1
            logger.info(
                "api.request",
                extra={
                    "method": request.method if request.method in {"GET", "PUT", "POST", "DELETE"} else "-",
                    "route": log.template,
                    "status": log.status,
                    "duration_ms": round((clock() - started) * 1000, 1),
                    "client_id": log.client_id,
                },
            )

    async def _guarded(self, request: web.BaseRequest, log: _Log) -> web.StreamResponse:
        try:
            return await self._answer(request, log)
        except VaguemestreError as error:
            return self.write_refusal(request, refusal(error, self.support_id()))
        except ConnectionError:
            raise
        except Exception as error:  # noqa: BLE001 - the border: a bug becomes a problem with a support id
            return self.write_refusal(request, self._bug(error))

    def _bug(self, error: Exception) -> Refusal:
        """Log where a bug is, never what it says: its text may hold what a client gave."""
        support_id = self.support_id()
        place = traceback.extract_tb(error.__traceback__)[-1]
        logger.error(
            "api.bug",
            extra={
                "support_id": support_id,
                "error": type(error).__name__,
                "place": f"{PurePath(place.filename).name}:{place.lineno}",
            },
        )
        return refusal(UnexpectedError("UNEXPECTED"), support_id, closes=True)

    def support_id(self) -> str:
        """Return a new support id: eight groups that can be read on the telephone."""
        return f"{self._random.bits(40):010X}"

    async def _answer(self, request: web.BaseRequest, log: _Log) -> web.StreamResponse:
        gate.refuse_browsers(request.headers, request.headers.getall("Host", []))
        gate.refuse_codings(request.headers)
        raw_path, _, raw_query = request.raw_path.partition("?")
        if not raw_path.startswith("/"):
            raise InvalidInput("HTTP_MALFORMED")
        match = self._routes.find(request.method, raw_path)
        log.template = match.route.template
        if self._stopping.is_set() or self._load.requests > self.limits.requests:
            raise StoreError("AGENT_BUSY", retry_after_s=1)
        identity = self._identify(request.transport)
        client = await self._authenticate(request, match.route, identity)
        log.client_id = "-" if client is None else client.client_id
        values = _Values(match, raw_query, request.headers)
        if match.route.handler is None:
            assert client is not None
            return await self._stream(request, client, values.after)
        largest = self.limits.body_bytes if match.route.operation.is_upload else self.limits.metadata_bytes
        size = reading.declared_size(request, largest + self.limits.metadata_bytes)
        async with self._budget.reserve(size if match.route.operation.is_upload else 0):
            call = await self._call(request, match, values, client, identity)
            answer = await match.route.handler(call)
        return self._write(answer)

    async def _authenticate(self, request: web.BaseRequest, route: Route, identity: str | None) -> Client | None:
        given = gate.credentials(request.headers.get("Authorization"))
        if given is None:
            if route.scope is not None:
                raise Forbidden("AUTHENTICATION_REQUIRED")
            return None
        try:
            client = await self._backend.authenticate(given[0], given[1], identity)
        except StoreError:
            if route.scope is not None:
                raise
            return None  # health answers everybody, on the days when nobody can be known too
        if route.scope is not None and route.scope not in client.scopes:
            raise Forbidden("SCOPE_MISSING", scope=route.scope.value)
        return client

    async def _call(
        self, request: web.BaseRequest, match: Match, values: _Values, client: Client | None, identity: str | None
    ) -> Call:
        operation = match.route.operation
        upload, batch = None, None
        body: JsonObject = {}
        actor: Actor | None = None
        if operation.is_batch:
            batch, actor = await reading.read_batch(request, self.limits)
        elif operation.is_upload:
            upload, actor = await reading.read_upload(request, self.limits)
        else:
            given = await reading.read_json(request, self.limits)
            if given is not None:
                body = given
                _check_body(match.route, body)
                if "actor" in body:
                    actor = reading.checked_actor(body["actor"])
            elif operation.request_required:
                raise RequestInvalid([("SCHEMA_REQUIRED", "")])
        return Call(
            backend=self._backend,
            operation=operation,
            client=client,
            os_identity=identity,
            path=match.path,
            query=values.query,
            headers=values.headers,
            body=body,
            upload=upload,
            batch=batch,
            given_actor=_one_actor(request.headers.get(ACTOR_HEADER), actor, needed=operation.has_actor),
        )

    async def _stream(self, request: web.BaseRequest, client: Client, after: int | None) -> web.StreamResponse:
        if len(self._load.streams) >= self.limits.streams:
            raise StoreError("AGENT_BUSY", retry_after_s=5)
        await self._backend.last_change()  # what cannot be answered is refused before the head leaves
        response = web.StreamResponse(headers={**_HEADERS, "Content-Type": "text/event-stream; charset=utf-8"})

        def ended() -> bool:
            return self._stopping.is_set() or request.transport is None

        stream = EventStream(self._backend, client, response.write, self.limits, ended)
        self._load.streams.add(stream)
        try:
            await response.prepare(request)
            response.force_close()
            await stream.run(after)
            await response.write_eof()
        except VaguemestreError as error:
            # The head is gone: closing is all that can be said. The client reconnects and is answered properly.
            logger.warning("api.stream_failed", extra={"code": error.code, "client_id": client.client_id})
            _abort(request)
        except TimeoutError:
            logger.warning("api.stream_too_slow", extra={"client_id": client.client_id})
            _abort(request)
        except ConnectionError:
            logger.debug("api.stream_left", extra={"client_id": client.client_id})
        finally:
            self._load.streams.discard(stream)
        return response

    def _write(self, answer: Answer) -> web.Response:
        headers = {**_HEADERS, **answer.headers}
        if answer.status == 204:
            return web.Response(status=204, headers=headers)
        body = answer.raw if answer.raw is not None else dump_json(to_json(answer.content))
        return web.Response(status=answer.status, body=body, content_type="application/json", headers=headers)

    def write_refusal(self, request: web.BaseRequest, refused: Refusal) -> web.Response:
        """Write a problem; the connection closes when a body was left unread."""
        problem = to_json(refused.problem)
        assert isinstance(problem, Mapping)
        members: dict[str, Json] = {name: value for name, value in problem.items() if name != "errors" or value}
        response = web.Response(
            status=refused.problem.status,
            body=dump_json(members),
            content_type="application/problem+json",
            headers={**_HEADERS, **refused.headers},
        )
        if refused.closes or not request.content.is_eof():
            response.force_close()
        return response


class _Values:
    """Query and header parameters, checked against the operation."""

    def __init__(self, match: Match, raw_query: str, headers: Mapping[str, str]) -> None:
        try:
            pairs = (
                parse_qsl(raw_query, keep_blank_values=True, strict_parsing=True, errors="strict", max_num_fields=64)
                if raw_query
                else []
            )
        except ValueError:
            raise InvalidInput("QUERY_INVALID") from None
        operation = match.route.operation
        known = {parameter.name: parameter for parameter in operation.parameters if parameter.where == "query"}
        findings = [
            ("PARAMETER_UNKNOWN", f"/query/{index}") for index, (name, _) in enumerate(pairs) if name not in known
        ]
        self.query: dict[str, Json] = {}
        self.headers: dict[str, str] = {}
        for parameter in operation.parameters:
            if parameter.where == "path":
                values = [match.path[parameter.name]]
            elif parameter.where == "query":
                values = [value for name, value in pairs if name == parameter.name]
            else:
                values = [headers[parameter.name]] if parameter.name in headers else []
            if not values:
                if parameter.required:
                    findings.append(("SCHEMA_REQUIRED", f"/{parameter.where}/{parameter.name}"))
                continue
            value, violations = openapi.check_parameter(parameter, values)
            findings += schema_findings(violations)
            if parameter.where == "query":
                self.query[parameter.name] = value
            elif parameter.where == "header":
                self.headers[parameter.name] = values[0]
        if findings:
            raise RequestInvalid(findings)

    @property
    def after(self) -> int | None:
        """Number to resume after: the header that a reconnecting reader sends wins over the query."""
        last_id = self.headers.get("Last-Event-ID")
        if last_id is not None:
            return int(last_id)
        value = self.query.get("after")
        return value if isinstance(value, int) else None


def _check_body(route: Route, body: JsonObject) -> None:
    if route.operation.request_schema is None:
        raise InvalidInput("BODY_UNEXPECTED")
    findings = schema_findings(openapi.check_body(route.operation, body))
    if findings:
        raise RequestInvalid(findings)


def _one_actor(header: str | None, given: Actor | None, *, needed: bool) -> Actor | None:
    """Return the one actor of a write.

    Raises:
        InvalidInput: ACTOR_REQUIRED (none), ACTOR_AMBIGUOUS (header and body disagree).
    """
    if not needed:
        return None
    named = None if header is None else reading.header_actor(header)
    if named is not None and given is not None and named != given:
        raise InvalidInput("ACTOR_AMBIGUOUS", pointer="/actor")
    actor = named or given
    if actor is None:
        raise InvalidInput("ACTOR_REQUIRED", pointer="/actor")
    return actor


def _abort(request: web.BaseRequest) -> None:
    transport = request.transport
    if isinstance(transport, asyncio.WriteTransport):
        transport.abort()


class _Connection(RequestHandler):
    """One connection: what aiohttp itself refuses is answered as a problem too."""

    __slots__ = ("_api",)

    def __init__(self, manager: web.Server, api: LocalApi, loop: asyncio.AbstractEventLoop) -> None:
        limits = api.limits
        super().__init__(
            manager,
            loop=loop,
            keepalive_timeout=limits.header_s,
            tcp_keepalive=False,
            access_log=_NO_ACCESS_LOG,
            max_line_size=limits.header_line_bytes,
            max_field_size=limits.header_line_bytes,
            max_headers=limits.headers,
            lingering_time=min(2.0, limits.read_s),
            auto_decompress=False,
        )
        self._api = api

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Refuse a connection too many before anything of it is read."""
        super().connection_made(transport)
        manager = self._manager
        if manager is not None and len(manager.connections) > self._api.limits.connections:
            logger.warning("api.too_many_connections", extra={"limit": self._api.limits.connections})
            self.force_close()

    def connection_lost(self, exc: BaseException | None) -> None:
        """Let the stream of this connection end at once; a write under way is never cancelled by a lost reader."""
        super().connection_lost(exc)
        self._api.wake_streams()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer what is not HTTP, or exceeds the bounds of a head."""
        error: VaguemestreError
        if request.writer.output_size > 0:
            raise ConnectionResetError  # the head is gone: nothing more can be said
        if isinstance(exc, LineTooLong):
            error = InvalidInput("HEADERS_TOO_LARGE")
        elif status < 500:
            error = InvalidInput("HTTP_MALFORMED")
        else:
            error = UnexpectedError("UNEXPECTED")
        return self._api.write_refusal(request, refusal(error, self._api.support_id(), closes=True))

    def log_exception(self, *args: object, **kwargs: object) -> None:
        """Say nothing of what failed: exception texts may hold what a client gave."""
        logger.error("api.connection_failed")


class _ConnectionServer(web.Server):
    def __init__(self, api: LocalApi) -> None:
        super().__init__(api.respond, handler_cancellation=False)
        self._api = api

    def __call__(self) -> RequestHandler:
        return _Connection(self, self._api, asyncio.get_running_loop())
