"""The simulated Proxy e-santé: connect, disconnect, send, traces.

Owns the sessions, in memory as in the reference proxy. It relays bodies unchanged to the simulated DMP over TLS with
its own certificate and adds the API token. Source: the public OpenAPI of the proxy.
"""

from __future__ import annotations

import hashlib
import json
import logging
import re
import secrets
import ssl
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import aiohttp
from aiohttp import web

from vaguemestre_sandbox import intake
from vaguemestre_sandbox.clock import SandboxClock, iso
from vaguemestre_sandbox.failures import Action, ArmedRule, RuleBook, Stage, Target
from vaguemestre_sandbox.intake import BodyTooLargeError, ConnectionCutError
from vaguemestre_sandbox.ledger import Outcome
from vaguemestre_sandbox.nomenclature import CLIENT_ID
from vaguemestre_sandbox.operations import COUNTED, SERVICES, operation_of
from vaguemestre_sandbox.pki import Pki
from vaguemestre_sandbox.psc import PscDouble, PscRefusalError, PscUnavailableError
from vaguemestre_sandbox.settings import ProxyProfile
from vaguemestre_sandbox.tokens import ApiTokens
from vaguemestre_sandbox.wire import ANSWER_HEADER, RELAY_HEADER, Received, WireDesk

COOKIE: Final = "proxy_session_id"
_LOGGER = logging.getLogger(__name__)
_FIELDS: Final = ("nationalId", "bindingMessage", "clientId", "channel")
_CHANNELS: Final = frozenset({"CARD", "MOBILE"})
_HOP_BY_HOP: Final = frozenset(
    {
        "connection",
        "keep-alive",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "host",
        "content-length",
        "expect",
        RELAY_HEADER.lower(),
        ANSWER_HEADER.lower(),
    }
)
_LIMIT: Final = 96 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class ProxySession:
    """One open session."""

    session_id: str
    session_state: str
    national_id: str
    client_id: str
    opened_at: datetime
    ends_at: datetime
    api_token: str

    def __repr__(self) -> str:
        return "ProxySession(<redacted>)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """One trace: its instant, and the JSON members of the contract."""

    at: datetime
    members: dict[str, str | list[int] | dict[str, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectRequest:
    """The validated body of POST /connect."""

    national_id: str
    binding_message: str
    client_id: str
    channel: str


class InvalidConnectError(ValueError):
    """The body of /connect breaks a rule; the message is the bracketed list of the contract."""

    def __init__(self, faults: list[str], national_id: str, client_id: str) -> None:
        super().__init__(f"[{', '.join(faults)}]")
        self.national_id = national_id
        self.client_id = client_id


def read_connect(body: bytes, *, strict_binding: bool) -> ConnectRequest:
    """Return the fields of a /connect body. Raises InvalidConnectError naming every fault at once."""
    try:
        document = json.loads(body)
    except ValueError:
        document = None
    if not isinstance(document, dict):
        raise InvalidConnectError(["body is not a JSON object"], "", "")
    fields = {name: document.get(name) for name in _FIELDS}
    texts = {name: value for name, value in fields.items() if isinstance(value, str) and value}
    faults = [f"{name} is missing" for name in _FIELDS if name not in texts]
    channel = texts.get("channel")
    if channel is not None and channel not in _CHANNELS:
        faults.append(f"channel value {channel} is invalid")
    binding = texts.get("bindingMessage")
    if strict_binding and binding is not None and not re.fullmatch(r"[0-9]{2}", binding):
        faults.append("bindingMessage value is invalid")
    if faults:
        raise InvalidConnectError(faults, texts.get("nationalId", ""), texts.get("clientId", ""))
    return ConnectRequest(
        national_id=texts["nationalId"],
        binding_message=texts["bindingMessage"],
        client_id=texts["clientId"],
        channel=texts["channel"],
    )


class ProxyService:
    """The proxy's HTTP contract."""

    def __init__(
        self,
        *,
        profile: ProxyProfile,
        psc: PscDouble,
        tokens: ApiTokens,
        desk: WireDesk,
        book: RuleBook,
        pki: Pki,
        clock: SandboxClock,
        client: aiohttp.ClientSession,
    ) -> None:
        self._profile = profile
        self._psc = psc
        self._tokens = tokens
        self._desk = desk
        self._book = book
        self._pki = pki
        self._clock = clock
        self._client = client
        self._sessions: dict[str, ProxySession] = {}
        self._traces: list[Trace] = []
        self._backends: dict[str, str] = {}
        self._certificate_sha256 = hashlib.sha256(
            ssl.PEM_cert_to_DER_cert(pki.proxy_client.certificate_path.read_text("ascii"))
        ).hexdigest()

    def set_backend(self, name: str, uri: str) -> None:
        """Route /send/<name>/<endpoint> to `uri`/<endpoint>."""
        self._backends[name] = uri

    def application(self) -> web.Application:
        """Return the aiohttp application to serve over TLS."""
        application = web.Application()
        router = application.router
        router.add_post("/connect", self._connect)
        router.add_delete("/disconnect", self._disconnect)
        router.add_route("*", "/send/{backend}/{endpoint}", self._send)
        router.add_get("/traces", self._read_traces)
        router.add_get("/check/alive", self._alive)
        return application

    # sessions

    def sessions(self) -> tuple[ProxySession, ...]:
        """Return the live sessions."""
        now = self._clock.now()
        return tuple(session for session in self._sessions.values() if session.ends_at > now)

    def open_session(self, *, national_id: str, client_id: str, session_state: str) -> ProxySession:
        """Open a session without any prompt: what /connect does once the professional answered."""
        now = self._clock.now()
        token = self._tokens.issue(
            national_id=national_id,
            certificate_sha256=self._certificate_sha256,
            now=now,
            lifetime_s=self._profile.api_token_lifetime_s,
        )
        session = ProxySession(
            session_id=secrets.token_hex(16),
            session_state=session_state,
            national_id=national_id,
            client_id=client_id,
            opened_at=now,
            ends_at=now + timedelta(seconds=self._profile.session_lifetime_s),
            api_token=token.value,
        )
        self._sessions[session.session_id] = session
        return session

    def end_session(self, session_id: str) -> bool:
        """End a session at once; False when it is unknown."""
        session = self._sessions.pop(session_id, None)
        if session is None:
            return False
        self._tokens.revoke(session.api_token)
        return True

    def end_all(self) -> None:
        """End every session and forget the traces."""
        for session_id in list(self._sessions):
            self.end_session(session_id)
        self._traces.clear()

    def _live(self, request: web.Request) -> ProxySession | None:
        session = self._sessions.get(request.cookies.get(COOKIE, ""))
        if session is not None and session.ends_at <= self._clock.now():
            self.end_session(session.session_id)
            return None
        return session

    # routes

    async def _connect(self, request: web.Request) -> web.StreamResponse:
        try:
            armed = await intake.before_reading(request, self._book, Target.PROXY_CONNECT)
            if armed is not None:
                return self._scripted(armed)
            body = await intake.read_body(request, self._book, Target.PROXY_CONNECT, limit=65536)
            armed = await intake.before_processing(request, self._book, Target.PROXY_CONNECT, ())
            if armed is not None:
                if armed.rule.action is Action.CUT_AFTER_BODY:
                    raise intake.cut(request)
                return self._scripted(armed)
            response = await self._open(request, body)
            armed = await intake.after_storing(request, self._book, Target.PROXY_CONNECT, ())
            if armed is not None and armed.rule.action is Action.CUT_AFTER_STORE:
                raise intake.cut(request)
        except ConnectionCutError:
            return intake.closed_answer()
        except BodyTooLargeError:
            return web.Response(status=413)
        if armed is not None:
            return self._scripted(armed)
        spoiled = self._book.take(Target.PROXY_CONNECT, Stage.ANSWER)
        return response if spoiled is None else intake.spoil(response, spoiled)

    async def _open(self, request: web.Request, body: bytes) -> web.Response:
        try:
            asked = read_connect(body, strict_binding=self._profile.binding_message_strict)
        except InvalidConnectError as error:
            return _descriptor(400, str(error), error.national_id, error.client_id)
        alive = self._live(request)
        if alive is not None:
            self._trace(request, "CONNECT_REPLAY", alive)
            return web.Response(status=304)
        if asked.client_id != CLIENT_ID:
            message = "User National ID or Software Client ID Not Found."
            return _descriptor(404, message, asked.national_id, asked.client_id)
        try:
            state = await self._psc.authenticate(
                national_id=asked.national_id,
                binding_message=asked.binding_message,
                channel=asked.channel,
                client_id=asked.client_id,
            )
        except PscUnavailableError as error:
            self._trace(request, "CONNECT_FAILURE", None, national_id=asked.national_id)
            return web.Response(status=error.status)
        except PscRefusalError as error:
            self._trace(request, "CONNECT_FAILURE", None, national_id=asked.national_id)
            if error.late and self._profile.late_refusal_is_500:
                return web.Response(status=500)
            return _descriptor(401, str(error), asked.national_id, asked.client_id)
        session = self.open_session(national_id=asked.national_id, client_id=asked.client_id, session_state=state)
        self._trace(request, "CONNECT_SUCCESS", session)
        response = web.json_response({"proxy_session_id": session.session_id, "session_state": state})
        response.set_cookie(COOKIE, session.session_id, path="/", httponly=True, samesite="Lax")
        return response

    async def _disconnect(self, request: web.Request) -> web.StreamResponse:
        try:
            armed = await intake.before_reading(request, self._book, Target.PROXY_DISCONNECT)
        except ConnectionCutError:
            return intake.closed_answer()
        if armed is not None:
            return self._scripted(armed)
        session = self._live(request)
        if session is None:
            return _descriptor(401, "Session ID not found.")
        self.end_session(session.session_id)
        self._trace(request, "DISCONNECT", session)
        response = web.json_response({"proxy_session_id": session.session_id, "session_state": session.session_state})
        response.del_cookie(COOKIE, path="/")
        return response

    async def _alive(self, request: web.Request) -> web.StreamResponse:
        del request
        return web.Response(text="OK")

    async def _read_traces(self, request: web.Request) -> web.StreamResponse:
        try:
            start = datetime.fromisoformat(request.query["start"])
            end = datetime.fromisoformat(request.query["end"]) if "end" in request.query else self._clock.now()
        except (KeyError, ValueError):
            return _descriptor(400, "[start is missing or malformed]")
        utc = self._clock.now().tzinfo
        start, end = (moment if moment.tzinfo else moment.replace(tzinfo=utc) for moment in (start, end))
        return web.json_response([trace.members for trace in self._traces if start <= trace.at <= end])

    def _trace(
        self,
        request: web.Request,
        kind: str,
        session: ProxySession | None,
        *,
        national_id: str = "",
        api_request: dict[str, str] | None = None,
    ) -> None:
        peer = None if request.transport is None else request.transport.get_extra_info("peername")
        forwarded = request.headers.get("X-Forwarded-For", "").split(",")[0].strip()
        now = self._clock.now()
        members: dict[str, str | list[int] | dict[str, str]] = {
            "type": kind,
            "IdRPPS": session.national_id if session is not None else national_id,
            "ipAddress": forwarded or (str(peer[0]) if peer else ""),
            "ports": [int(peer[1])] if peer else [],
            "timestamp": iso(now),
        }
        if session is not None:
            members |= {
                "clientId": session.client_id,
                "proxy_id_session": session.session_id,
                "session_state": session.session_state,
                "dn": self._pki.proxy_client.subject_dn,
            }
        if api_request is not None:
            members["apiRequest"] = api_request
        self._traces.append(Trace(at=now, members=members))

    def _scripted(self, armed: ArmedRule) -> web.Response:
        if armed.rule.action is Action.API_401:
            return web.json_response({"error": "invalid_token"}, status=401)
        return intake.plain_status(armed)

    # relay

    async def _send(self, request: web.Request) -> web.StreamResponse:
        try:
            return await self._relay(request)
        except ConnectionCutError as error:
            _LOGGER.info("proxy.send.cut", extra={"received_bytes": error.received})
            return intake.closed_answer()
        except BodyTooLargeError:
            return web.Response(status=413)

    async def _relay(self, request: web.Request) -> web.StreamResponse:
        backend, endpoint = request.match_info["backend"], request.match_info["endpoint"]
        armed = await intake.before_reading(request, self._book, Target.PROXY_SEND)
        if armed is not None and armed.rule.action is Action.SESSION_EXPIRED:
            self.end_session(request.cookies.get(COOKIE, ""))
            armed = None
        session = self._live(request)
        if session is None:
            return _descriptor(401, "No session found.")
        if armed is not None:
            return self._scripted(armed)
        uri = self._backends.get(backend)
        if uri is None:
            return web.Response(status=404)
        body = await intake.read_body(request, self._book, Target.PROXY_SEND, limit=_LIMIT)
        content_type = request.headers.get("Content-Type", "")
        received = None
        if backend == "dmp" and endpoint in SERVICES and operation_of(endpoint, content_type, body) in COUNTED:
            received = self._desk.receive(content_type, body)
        unique_ids = () if received is None else received.unique_ids
        armed = await intake.before_processing(request, self._book, Target.PROXY_SEND, unique_ids)
        if armed is not None:
            if armed.rule.action is Action.CUT_AFTER_BODY:
                self._finish(received, Outcome.CUT)
                raise intake.cut(request)
            self._finish(received, Outcome.DROPPED, f"http_{armed.rule.status}")
            return self._scripted(armed)
        self._trace(
            request,
            "SEND",
            session,
            api_request={"nomApiPsc": backend, "methode": request.method, "path": f"/{endpoint}"},
        )
        response, answers = await self._forward(request, session, f"{uri}/{endpoint}", body, received)
        return await self._deliver(request, response, answers, received, unique_ids)

    async def _forward(
        self, request: web.Request, session: ProxySession, url: str, body: bytes, received: Received | None
    ) -> tuple[web.Response, tuple[int, ...]]:
        headers = {name: value for name, value in request.headers.items() if name.lower() not in _HOP_BY_HOP}
        headers["Authorization"] = f"Bearer {session.api_token}"
        ticket = ""
        if received is not None:
            ticket = self._desk.hand_over(received)
            headers[RELAY_HEADER] = ticket
        elif request.method == "POST":
            headers[RELAY_HEADER] = "none"
        timeout = aiohttp.ClientTimeout(total=self._profile.backend_timeout_s)
        answers: tuple[int, ...] = ()
        try:
            async with self._client.request(
                request.method,
                url + (f"?{request.query_string}" if request.query_string else ""),
                headers=headers,
                data=body if body or request.method in ("POST", "PUT", "PATCH") else None,
                timeout=timeout,
                allow_redirects=False,
            ) as answer:
                content = await answer.read()
                kept = {name: value for name, value in answer.headers.items() if name.lower() not in _HOP_BY_HOP}
                answers = tuple(int(text) for text in answer.headers.get(ANSWER_HEADER, "").split(",") if text)
                response = web.Response(status=answer.status, body=content, headers=kept)
        except TimeoutError:
            response = web.Response(status=504)
        except aiohttp.ClientConnectorError:
            response = web.Response(status=503)
        except aiohttp.ClientError:
            response = web.Response(status=502)
        if received is not None and self._desk.give_up(ticket):
            refused = response.status == 401
            outcome = Outcome.REFUSED if refused else Outcome.DROPPED
            self._desk.finish(received, outcome, f"http_{response.status}")
        return response, answers

    async def _deliver(
        self,
        request: web.Request,
        response: web.Response,
        answers: tuple[int, ...],
        received: Received | None,
        unique_ids: tuple[str, ...],
    ) -> web.StreamResponse:
        armed = await intake.after_storing(request, self._book, Target.PROXY_SEND, unique_ids)
        spoiled = None if armed is not None else self._book.take(Target.PROXY_SEND, Stage.ANSWER, unique_ids)
        if armed is not None or spoiled is not None or request.transport is None:
            for order in answers:
                self._desk.ledger.undelivered(order)
        if armed is not None and armed.rule.action is Action.CUT_AFTER_STORE:
            raise intake.cut(request)
        if armed is not None:
            return self._scripted(armed)
        return response if spoiled is None else intake.spoil(response, spoiled)

    def _finish(self, received: Received | None, outcome: Outcome, code: str = "") -> None:
        if received is not None:
            self._desk.finish(received, outcome, code)


def _descriptor(status: int, message: str, national_id: str = "", client_id: str = "") -> web.Response:
    metadata = {name: value for name, value in (("nationalId", national_id), ("clientId", client_id)) if value}
    body: dict[str, str | dict[str, str]] = {"code": str(status), "message": message}
    if metadata:
        body["metadata"] = metadata
    return web.json_response(body, status=status)
