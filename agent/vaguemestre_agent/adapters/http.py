"""The only module that names the HTTP library: one client per endpoint, and one verb that says how far a body got.

Owns connections, TLS, timeouts and the answer's size; knows no service, decides no outcome, retries nothing. Each
exchange opens its own connection: a keep-alive connection that died silently would turn a certain "not sent" into a
doubt. The library's loggers are silenced because they print URLs and the answer's headers (a session cookie).
Source: docs/dmp.md, "How far a body got".
"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum, unique
from http.cookiejar import CookieJar, DefaultCookiePolicy
from pathlib import Path
from typing import Final

import httpx

from vaguemestre_agent.adapters.pkcs12 import is_pkcs12, load_pkcs12
from vaguemestre_core.redaction import Secret

_CHUNK_BYTES: Final = 64 * 1024
DEFAULT_ANSWER_MAX_BYTES: Final = 8 * 1024 * 1024
_SILENCED: Final = ("httpx", "httpcore", "httpcore.connection", "httpcore.http11", "httpcore.proxy")


@unique
class Symptom(StrEnum):
    """What was seen when no complete answer came."""

    DNS = "dns"
    REFUSED = "refused"
    TLS = "tls"
    CONNECT_TIMEOUT = "connect_timeout"
    UNREACHABLE = "unreachable"
    TIMEOUT = "timeout"
    BROKEN = "broken"
    PROTOCOL = "protocol"
    KEY = "key"  # the key that authenticates us could not be used


@dataclass(frozen=True, slots=True, kw_only=True)
class NotConnected:
    """No connection was made: nothing left."""

    symptom: Symptom


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedBeforeFirstByte:
    """Connected, then lost before any body byte was handed to the connection: nothing of the body left."""

    symptom: Symptom


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedAfterFirstByte:
    """Lost after the first body byte was handed over and before an answer: the body may have arrived whole."""

    symptom: Symptom


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """An answer came.

    Attributes:
        status: HTTP status.
        headers: names in lower case, in order, repeated as received.
        body: the answer's bytes as received, at most the cap.
        complete: False when the answer was cut or exceeded the cap.
        body_started: whether a body byte of ours had been handed over before the answer.
    """

    status: int
    headers: tuple[tuple[str, str], ...] = field(repr=False)
    body: bytes = field(repr=False)
    complete: bool
    body_started: bool

    def header(self, name: str) -> str | None:
        """Return the first value of a header, or None."""
        wanted = name.lower()
        return next((value for key, value in self.headers if key == wanted), None)

    def all(self, name: str) -> tuple[str, ...]:
        """Return every value of a header."""
        wanted = name.lower()
        return tuple(value for key, value in self.headers if key == wanted)


Exchange = NotConnected | FailedBeforeFirstByte | FailedAfterFirstByte | Answered


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsFiles:
    """TLS material of one endpoint.

    Attributes:
        ca_file: PEM of the authorities trusted, or None for the system's.
        certificate_file, key_file: PEM of the client certificate and its key, or None; or both in one ``.p12``.
        key_password: password of the key, or None.
    """

    ca_file: Path | None = None
    certificate_file: Path | None = None
    key_file: Path | None = None
    key_password: Secret | None = None

    def context(self) -> ssl.SSLContext:
        """Return a client context: TLS 1.2 at least, host name checked."""
        context = ssl.create_default_context(cafile=None if self.ca_file is None else str(self.ca_file))
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_alpn_protocols(["http/1.1"])
        if self.certificate_file is not None:
            password = None if self.key_password is None else self.key_password.reveal()
            content = self.certificate_file.read_bytes()
            if is_pkcs12(content):
                load_pkcs12(context, content, password)
            else:
                context.load_cert_chain(self.certificate_file, self.key_file, password)
        return context


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """Limits of one exchange, seconds.

    Attributes:
        connect_s: connection and TLS handshake, each.
        write_s: each write of a piece of the body.
        read_s: silence of the service while its answer is awaited.
        total_s: from the first body byte to the end of the answer.
    """

    connect_s: float
    write_s: float
    read_s: float
    total_s: float


async def _nothing() -> None:
    """Stand for a caller that has nothing to commit."""


def _untold(_: str) -> None:
    """Stand for a failpoint where a question leaves: only sendings have any."""


# The library keeps the cookies of every answer and shows them again: the next professional's login would then carry the
# session of the one before.
_NO_COOKIE: Final = DefaultCookiePolicy(allowed_domains=())


class HttpClient:
    """Exchanges with one base URL over HTTP/1.1; no redirect, no cookie jar, no environment proxy unless asked.

    Args:
        base_url: ``https://host[:port][/path]``.
        tls: TLS material.
        trust_env: let HTTPS_PROXY and NO_PROXY of the environment apply.
        passed: told ``send.half_sent`` and ``send.all_sent`` as a body leaves (failpoints of the crash self-test).
        transport: streams that others open (``adapters.streams``), instead of ours.
        connections: most exchanges at once; one too many waits as long as it may wait for its connection.
    """

    def __init__(
        self,
        base_url: str,
        tls: TlsFiles,
        *,
        trust_env: bool = False,
        passed: Callable[[str], None] = lambda _: None,
        transport: httpx.AsyncBaseTransport | None = None,
        connections: int = 8,
    ) -> None:
        self._passed = passed
        silence_library_loggers()
        self._client = httpx.AsyncClient(
            base_url=base_url,
            verify=tls.context() if transport is None else True,
            transport=transport,
            http1=True,
            http2=False,
            follow_redirects=False,
            trust_env=trust_env,
            cookies=CookieJar(_NO_COOKIE),
            limits=httpx.Limits(max_connections=connections, max_keepalive_connections=0, keepalive_expiry=0.0),
        )

    async def aclose(self) -> None:
        """Close the client."""
        await self._client.aclose()

    async def request(
        self,
        method: str,
        path: str,
        *,
        headers: tuple[tuple[str, str], ...] = (),
        body: bytes = b"",
        cookie: tuple[str, Secret] | None = None,
        timeouts: Timeouts,
        answer_max_bytes: int = DEFAULT_ANSWER_MAX_BYTES,
    ) -> Exchange:
        """Make one exchange that needs no commitment before its body. Cancellation: safe, the connection is closed."""
        return await self.send_streaming(
            path,
            method=method,
            headers=headers,
            body=body,
            cookie=cookie,
            before_first_byte=_nothing,
            timeouts=timeouts,
            answer_max_bytes=answer_max_bytes,
        )

    async def send_streaming(
        self,
        path: str,
        *,
        method: str = "POST",
        headers: tuple[tuple[str, str], ...] = (),
        body: bytes,
        cookie: tuple[str, Secret] | None = None,
        before_first_byte: Callable[[], Awaitable[None]],
        timeouts: Timeouts,
        answer_max_bytes: int = DEFAULT_ANSWER_MAX_BYTES,
    ) -> Exchange:
        """Post a body of known length on a fresh connection and say exactly how far it got.

        ``before_first_byte`` is awaited at most once: after connection, TLS and request headers, before the first
        body byte. What it raises aborts the exchange without any body byte and is raised again, unchanged.

        Args:
            path: path under the base URL.
            method: HTTP method.
            headers: header lines besides Content-Length, Cookie and what the connection needs.
            body: all bytes of the body.
            cookie: name and value of the one cookie sent, or None.
            before_first_byte: the caller's commitment.
            timeouts: limits of the exchange.
            answer_max_bytes: cap of the answer's body.

        Returns:
            The exchange; nothing is raised for what the network or the service does.
        """
        progress = _Progress()
        loop = asyncio.get_running_loop()
        request = self._request(method, path, headers, cookie, len(body), timeouts)
        try:
            # The deadline starts with the body: connecting has its own limits (and the library leaves a socket open
            # when a handshake is cancelled), and a commitment cut in its middle helps nobody.
            async with asyncio.timeout(None) as deadline:

                async def commit() -> None:
                    """Let the caller commit, then start the clock of the exchange."""
                    await before_first_byte()
                    deadline.reschedule(loop.time() + timeouts.total_s)

                passed = _untold if before_first_byte is _nothing else self._passed
                request.stream = _Body(body, commit, progress, passed)
                return await self._exchange(request, progress, answer_max_bytes)
        except _Aborted:
            refusal = progress.refusal
        except TimeoutError:
            return progress.failure(Symptom.TIMEOUT)
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            return NotConnected(symptom=_connect_symptom(error))
        except httpx.TimeoutException:
            return progress.failure(Symptom.TIMEOUT)
        except (httpx.RemoteProtocolError, httpx.LocalProtocolError):
            return progress.failure(Symptom.PROTOCOL)
        except httpx.TransportError:
            return progress.failure(Symptom.BROKEN)
        # Raised outside the handlers so that its own cause and context stay what they were.
        assert refusal is not None
        raise refusal

    def _request(
        self,
        method: str,
        path: str,
        headers: tuple[tuple[str, str], ...],
        cookie: tuple[str, Secret] | None,
        length: int,
        timeouts: Timeouts,
    ) -> httpx.Request:
        lines = [*headers, ("Accept-Encoding", "identity"), ("Connection", "close"), ("Content-Length", str(length))]
        if cookie is not None:
            lines.append(("Cookie", f"{cookie[0]}={cookie[1].reveal()}"))
        return self._client.build_request(
            method,
            path,
            headers=lines,
            timeout=httpx.Timeout(
                connect=timeouts.connect_s,
                read=timeouts.read_s,
                write=timeouts.write_s,
                pool=timeouts.connect_s,
            ),
        )

    async def _exchange(self, request: httpx.Request, progress: _Progress, answer_max_bytes: int) -> Exchange:
        answer = await self._client.send(request, stream=True)
        received = bytearray()
        complete = True
        try:
            async for piece in answer.aiter_raw():
                received += piece
                if len(received) > answer_max_bytes:
                    complete = False
                    break
        except httpx.TransportError:
            complete = False
        finally:
            await answer.aclose()
        return Answered(
            status=answer.status_code,
            headers=tuple((name.lower(), value) for name, value in answer.headers.multi_items()),
            body=bytes(received[:answer_max_bytes]),
            complete=complete,
            body_started=progress.body_started,
        )


class StreamRefused(Exception):
    """A stream that others open was not opened.

    Attributes:
        symptom: what they saw.
    """

    def __init__(self, symptom: Symptom) -> None:
        super().__init__(symptom.value)
        self.symptom = symptom


class _Aborted(Exception):
    """The caller's commitment failed: the request stops here."""


@dataclass(slots=True)
class _Progress:
    """How far the request got."""

    body_started: bool = False
    refusal: BaseException | None = None

    def failure(self, symptom: Symptom) -> FailedBeforeFirstByte | FailedAfterFirstByte:
        """Return the failure that this progress allows to state."""
        if self.body_started:
            return FailedAfterFirstByte(symptom=symptom)
        return FailedBeforeFirstByte(symptom=symptom)


class _Body(httpx.AsyncByteStream):
    """The body, preceded by the caller's commitment."""

    def __init__(
        self,
        body: bytes,
        before_first_byte: Callable[[], Awaitable[None]],
        progress: _Progress,
        passed: Callable[[str], None],
    ) -> None:
        self._passed = passed
        self._body = body
        self._before_first_byte = before_first_byte
        self._progress = progress

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            await self._before_first_byte()
        except asyncio.CancelledError:
            raise
        except BaseException as error:
            self._progress.refusal = error
            raise _Aborted from error
        self._progress.body_started = True
        view = memoryview(self._body)
        half = len(view) // 2
        for part, name in ((view[:half], "send.half_sent"), (view[half:], "send.all_sent")):
            for start in range(0, len(part), _CHUNK_BYTES):
                yield bytes(part[start : start + _CHUNK_BYTES])
            self._passed(name)


def silence_library_loggers() -> None:
    """Keep the HTTP library from logging: it prints URLs and headers."""
    for name in _SILENCED:
        library = logging.getLogger(name)
        library.setLevel(logging.CRITICAL + 1)
        library.propagate = False
        library.disabled = True


def _connect_symptom(error: BaseException) -> Symptom:
    """Name what kept the connection from being made, from the chain of causes."""
    if isinstance(error, httpx.ConnectTimeout):
        return Symptom.CONNECT_TIMEOUT
    causes = tuple(_causes(error))
    for cause in causes:
        if isinstance(cause, StreamRefused):
            return cause.symptom
    for kind, symptom in (
        (ssl.SSLError, Symptom.TLS),
        (ssl.CertificateError, Symptom.TLS),
        (socket.gaierror, Symptom.DNS),
        (ConnectionRefusedError, Symptom.REFUSED),
    ):
        if any(isinstance(cause, kind) for cause in causes):
            return symptom
    return Symptom.UNREACHABLE


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Walk an exception, its causes, contexts and groups, each once."""
    seen: set[int] = set()
    waiting: list[BaseException] = [error]
    while waiting:
        current = waiting.pop()
        if id(current) in seen:
            continue
        seen.add(id(current))
        yield current
        if isinstance(current, BaseExceptionGroup):
            waiting.extend(current.exceptions)
        waiting.extend(linked for linked in (current.__cause__, current.__context__) if linked is not None)
