"""The streaming verb tells exactly how far a body got, against a TLS server that cuts where told."""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl

import pytest

from vaguemestre_agent.adapters.http import (
    Answered,
    Exchange,
    FailedAfterFirstByte,
    HttpClient,
    NotConnected,
    Symptom,
    Timeouts,
    TlsFiles,
)
from vaguemestre_core.errors import Conflict
from vaguemestre_core.redaction import Secret
from vaguemestre_testkit.tls_server import Behaviour, TestPki, answer, read_request, tls_server

BODY = bytes(range(256)) * 4096  # 1 MiB: more than the socket buffers together
PATIENT = Timeouts(connect_s=5, write_s=5, read_s=5, total_s=20)
HASTY = Timeouts(connect_s=5, write_s=5, read_s=0.2, total_s=20)


class Commitment:
    """Records the calls of ``before_first_byte``."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.calls = 0
        self._error = error

    async def __call__(self) -> None:
        self.calls += 1
        if self._error is not None:
            raise self._error


async def send(
    pki: TestPki,
    url: str,
    commitment: Commitment,
    *,
    timeouts: Timeouts = PATIENT,
    tls: TlsFiles | None = None,
    body: bytes = BODY,
    answer_max_bytes: int = 1024,
) -> Exchange:
    client = HttpClient(url, tls or TlsFiles(ca_file=pki.ca))
    try:
        return await client.send_streaming(
            "/send/dmp/repository",
            body=body,
            headers=(("Content-Type", "application/octet-stream"),),
            cookie=("proxy_session_id", Secret("biscuit-secret")),
            before_first_byte=commitment,
            timeouts=timeouts,
            answer_max_bytes=answer_max_bytes,
        )
    finally:
        await client.aclose()


async def run(pki: TestPki, behaviour: Behaviour, commitment: Commitment, **options: object) -> Exchange:
    async with tls_server(pki, behaviour) as server:
        return await send(pki, server.url, commitment, **options)  # type: ignore[arg-type]  # pass-through of options


async def test_answer_comes_with_status_headers_and_body(pki: TestPki) -> None:
    seen: list[str] = []
    bodies: list[bytes] = []

    async def behaviour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await read_request(reader)
        seen.append(request.head)
        bodies.append(request.body)
        await answer(writer, 200, b"bien", (("Set-Cookie", "a=1"), ("Set-Cookie", "b=2")))

    commitment = Commitment()
    exchange = await run(pki, behaviour, commitment)
    assert isinstance(exchange, Answered)
    assert (exchange.status, exchange.body, exchange.complete, exchange.body_started) == (200, b"bien", True, True)
    assert exchange.all("set-cookie") == ("a=1", "b=2")
    assert commitment.calls == 1
    assert bodies == [BODY]
    head = seen[0].lower()
    assert f"content-length: {len(BODY)}" in head
    assert "transfer-encoding" not in head
    assert "cookie: proxy_session_id=biscuit-secret" in head


@pytest.mark.req("SC.DMP/ALI/PROG.02")
@pytest.mark.parametrize("count", [1, 1000, len(BODY) - 1, len(BODY)])
async def test_a_cut_in_or_after_the_body_is_never_reported_as_not_sent(pki: TestPki, count: int) -> None:
    async def behaviour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader, count)

    commitment = Commitment()
    exchange = await run(pki, behaviour, commitment)
    assert isinstance(exchange, FailedAfterFirstByte)
    assert commitment.calls == 1


async def test_silence_after_the_body_is_a_timeout_after_the_first_byte(pki: TestPki) -> None:
    async def behaviour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        await reader.read()

    exchange = await run(pki, behaviour, Commitment(), timeouts=HASTY)
    assert exchange == FailedAfterFirstByte(symptom=Symptom.TIMEOUT)


async def test_total_time_ends_an_answer_that_drips(pki: TestPki) -> None:
    async def behaviour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nx")
        await writer.drain()
        await reader.read()

    quick = Timeouts(connect_s=5, write_s=5, read_s=5, total_s=0.5)
    exchange = await run(pki, behaviour, Commitment(), timeouts=quick)
    assert exchange == FailedAfterFirstByte(symptom=Symptom.TIMEOUT)


async def test_an_answer_cut_in_its_middle_is_incomplete(pki: TestPki) -> None:
    async def behaviour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        await answer(writer, 200, b"<debut", declared=1000)

    exchange = await run(pki, behaviour, Commitment())
    assert isinstance(exchange, Answered)
    assert not exchange.complete


async def test_an_answer_above_the_cap_is_incomplete(pki: TestPki) -> None:
    async def behaviour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        await answer(writer, 200, b"x" * 5000)

    exchange = await run(pki, behaviour, Commitment(), answer_max_bytes=1024)
    assert isinstance(exchange, Answered)
    assert (exchange.complete, len(exchange.body)) == (False, 1024)


async def test_garbage_instead_of_http_is_a_protocol_failure_after_the_first_byte(pki: TestPki) -> None:
    async def behaviour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(b"220 smtp.example ESMTP\r\n")
        await writer.drain()

    assert await run(pki, behaviour, Commitment()) == FailedAfterFirstByte(symptom=Symptom.PROTOCOL)


async def test_a_refused_commitment_sends_no_body_byte_and_is_raised_unchanged(pki: TestPki) -> None:
    rest: list[bytes] = []

    async def behaviour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        try:
            rest.append(await reader.readexactly(1))
        except (asyncio.IncompleteReadError, ConnectionError, ssl.SSLError):
            rest.append(b"")

    error = Conflict("STATE_CHANGED")
    error.__cause__ = OSError("le disque")
    with pytest.raises(Conflict) as caught:
        await run(pki, behaviour, Commitment(error))
    assert caught.value is error
    assert isinstance(error.__cause__, OSError)
    assert rest == [b""]


async def test_a_timeout_raised_by_the_commitment_is_the_commitments(pki: TestPki) -> None:
    async def behaviour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    error = TimeoutError("magasin")
    with pytest.raises(TimeoutError) as caught:
        await run(pki, behaviour, Commitment(error))
    assert caught.value is error


async def test_the_commitment_does_not_consume_the_time_of_the_exchange(pki: TestPki) -> None:
    async def behaviour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        await answer(writer, 200)

    class Slow(Commitment):
        async def __call__(self) -> None:
            await super().__call__()
            # The deadline passes while the commitment is made.
            loop = asyncio.get_running_loop()
            done = loop.create_future()
            loop.call_later(0.6, done.set_result, None)
            await done

    quick = Timeouts(connect_s=5, write_s=5, read_s=5, total_s=0.5)
    exchange = await run(pki, behaviour, Slow(), timeouts=quick, body=b"court")
    assert isinstance(exchange, Answered)


async def test_cancelling_during_the_commitment_is_a_cancellation(pki: TestPki) -> None:
    waiting = asyncio.Event()

    class Hanging(Commitment):
        async def __call__(self) -> None:
            waiting.set()
            await asyncio.Event().wait()

    async def behaviour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with tls_server(pki, behaviour) as server, asyncio.TaskGroup() as group:
        task = group.create_task(send(pki, server.url, Hanging()))
        await waiting.wait()
        task.cancel()
    assert task.cancelled()


async def test_an_answer_that_ends_the_connection_before_the_body_says_no_byte_left(pki: TestPki) -> None:
    """The server answers and closes at once: what is stated depends on what was handed over, never on luck."""

    async def behaviour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        await answer(writer, 401, b'{"code":"401","message":"No session found."}')

    commitment = Commitment()
    exchange = await run(pki, behaviour, commitment)
    if isinstance(exchange, Answered):
        assert exchange.status == 401
        assert exchange.body_started == (commitment.calls == 1)
    else:
        assert isinstance(exchange, FailedAfterFirstByte)


async def test_silence_of_the_commitment_then_a_lost_connection_before_any_byte(pki: TestPki) -> None:
    """The server goes away while the commitment is made: the bytes handed over afterwards are a doubt, not a no."""
    gone = asyncio.Event()

    class Waiting(Commitment):
        async def __call__(self) -> None:
            await super().__call__()
            await gone.wait()

    async def behaviour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.transport.abort()
        gone.set()

    exchange = await run(pki, behaviour, Waiting())
    assert isinstance(exchange, FailedAfterFirstByte)


async def test_connection_refused(pki: TestPki) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        commitment = Commitment()
        exchange = await send(pki, f"https://127.0.0.1:{port}", commitment)
    assert exchange == NotConnected(symptom=Symptom.REFUSED)
    assert commitment.calls == 0


async def test_unknown_host_name(pki: TestPki) -> None:
    commitment = Commitment()
    exchange = await send(pki, "https://nulle-part.invalid", commitment)
    assert exchange == NotConnected(symptom=Symptom.DNS)
    assert commitment.calls == 0


async def test_a_server_of_another_authority_is_a_tls_failure(pki: TestPki) -> None:
    async def behaviour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    commitment = Commitment()
    async with tls_server(pki, behaviour) as server:
        exchange = await send(pki, server.url, commitment, tls=TlsFiles(ca_file=pki.other_ca))
    assert exchange == NotConnected(symptom=Symptom.TLS)
    assert commitment.calls == 0


async def test_a_host_that_never_shakes_hands_is_a_connection_timeout(pki: TestPki) -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    commitment = Commitment()
    slow = Timeouts(connect_s=0.3, write_s=5, read_s=5, total_s=20)
    async with tls_server(pki, silent, mute=True) as server:
        exchange = await send(pki, server.url, commitment, timeouts=slow)
    assert exchange == NotConnected(symptom=Symptom.CONNECT_TIMEOUT)
    assert commitment.calls == 0


async def test_each_exchange_has_its_own_connection(pki: TestPki) -> None:
    async def behaviour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await read_request(reader)
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            await writer.drain()

    async with tls_server(pki, behaviour) as server:
        client = HttpClient(server.url, TlsFiles(ca_file=pki.ca))
        for _ in range(3):
            assert isinstance(await client.request("GET", "/x", timeouts=PATIENT), Answered)
        await client.aclose()
    assert server.connections == 3


async def test_the_library_logs_neither_url_nor_cookie(pki: TestPki, caplog: pytest.LogCaptureFixture) -> None:
    async def behaviour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        await answer(writer, 200, b"", (("Set-Cookie", "proxy_session_id=biscuit-secret"),))

    caplog.set_level(logging.DEBUG)
    exchange = await run(pki, behaviour, Commitment())
    assert isinstance(exchange, Answered)
    assert "biscuit-secret" not in caplog.text
    assert "/send/dmp" not in caplog.text
    assert "biscuit" not in repr(exchange)
