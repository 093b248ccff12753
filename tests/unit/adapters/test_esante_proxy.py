"""The session verbs against a TLS server that answers what the contract, and what a broken proxy, would answer."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import logging

import pytest

from vaguemestre_agent.adapters.http import HttpClient, TlsFiles
from vaguemestre_agent.adapters.proxy.adapter import EsanteProxy
from vaguemestre_agent.adapters.proxy.wire import cookie_value, is_no_session, parse_connected
from vaguemestre_agent.profiles.loader import shipped_profile
from vaguemestre_core.errors import ServiceError
from vaguemestre_core.ports import ConnectRefused
from vaguemestre_core.records import ProxySession
from vaguemestre_core.redaction import Secret
from vaguemestre_testkit.tls_server import Behaviour, TestPki, answer, read_request, tls_server

NOW = dt.datetime(2026, 11, 24, 9, 0, tzinfo=dt.UTC)
PROFILE = shipped_profile("sandbox")


class Clock:
    def now(self) -> dt.datetime:
        return NOW

    def boot_s(self) -> float:
        return 0.0

    def boot_id(self) -> str:
        return "boot"

    async def sleep(self, seconds: float) -> None:
        raise AssertionError(seconds)


def session(cookie: str = "biscuit-canari") -> ProxySession:
    return ProxySession(
        national_id="899700000012",
        cookie=Secret(cookie),
        session_state="etat",
        opened_at=NOW,
        until=NOW + dt.timedelta(hours=4),
        adopted=False,
        proxy_client_id="logiciel-essai",
    )


async def connect(pki: TestPki, behaviour: Behaviour) -> ProxySession | ConnectRefused:
    async with tls_server(pki, behaviour) as server:
        client = HttpClient(server.url, TlsFiles(ca_file=pki.ca))
        try:
            return await EsanteProxy(client, PROFILE, Clock()).connect("899700000012", "42", "logiciel-essai", "MOBILE")
        finally:
            await client.aclose()


def answering(status: int, body: bytes = b"", headers: tuple[tuple[str, str], ...] = ()) -> Behaviour:
    async def behaviour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        await answer(writer, status, body, headers)

    return behaviour


OPENED = json.dumps({"proxy_session_id": "biscuit-canari", "session_state": "etat"}).encode()
COOKIE = (("Set-Cookie", "proxy_session_id=biscuit-canari; Path=/; HttpOnly; SameSite=Lax"),)


async def test_opened_session(pki: TestPki) -> None:
    seen: list[tuple[str, bytes]] = []

    async def behaviour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await read_request(reader)
        seen.append((request.head, request.body))
        await answer(writer, 200, OPENED, COOKIE)

    opened = await connect(pki, behaviour)
    assert isinstance(opened, ProxySession)
    assert opened.cookie.reveal() == "biscuit-canari"
    assert (opened.session_state, opened.opened_at, opened.until - NOW) == ("etat", NOW, dt.timedelta(hours=4))
    head, body = seen[0]
    assert head.startswith("POST /connect HTTP/1.1")
    assert "cookie" not in head.lower()
    assert json.loads(body) == {
        "nationalId": "899700000012",
        "bindingMessage": "42",
        "clientId": "logiciel-essai",
        "channel": "MOBILE",
    }


@pytest.mark.parametrize(
    ("status", "code", "retry"),
    [
        (304, "PROXY_ALREADY_CONNECTED", False),
        (400, "PROXY_CONNECT_INVALID", False),
        (401, "PSC_REFUSED", True),
        (404, "PROXY_CLIENT_UNKNOWN", False),
        (500, "PSC_NOT_OBTAINED", True),
        (502, "PSC_UNAVAILABLE", True),
        (503, "PSC_UNAVAILABLE", True),
        (504, "PSC_UNAVAILABLE", True),
        (418, "PROXY_ANSWER_UNREADABLE", True),
        (204, "PROXY_ANSWER_UNREADABLE", True),
    ],
)
async def test_every_status_of_connect(pki: TestPki, status: int, code: str, retry: bool) -> None:
    assert await connect(pki, answering(status)) == ConnectRefused(code=code, retry=retry)


async def test_no_answer_is_said_once_and_never_retried(pki: TestPki) -> None:
    count = 0

    async def behaviour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal count
        count += 1
        await read_request(reader)

    assert await connect(pki, behaviour) == ConnectRefused(code="PSC_NO_ANSWER", retry=True)
    assert count == 1


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{",
        b'{"session_state":"x"}',
        b'{"proxy_session_id":7}',
        b'{"proxy_session_id":"a b"}',
        b"[" * 99999,
    ],
)
async def test_an_unreadable_success_opens_nothing(pki: TestPki, body: bytes) -> None:
    refused = await connect(pki, answering(200, body))
    assert refused == ConnectRefused(code="PROXY_ANSWER_UNREADABLE", retry=True)


def test_body_and_header_must_agree() -> None:
    assert parse_connected(OPENED, ("proxy_session_id=autre",), "proxy_session_id") is None
    only_header = parse_connected(b"{}", ("x=1", "proxy_session_id=abc; Path=/"), "proxy_session_id")
    assert only_header is not None
    assert only_header.cookie.reveal() == "abc"
    assert cookie_value(("proxy_session_id=; Max-Age=0",), "proxy_session_id") is None


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'{"code":"401","message":"No session found."}', True),
        (b'{"message":"No session found.","code":"401","metadata":{}}', True),
        (b'{"code":"401","message":"Session ID not found."}', False),
        (b'{"code":401,"message":"No session found."}', False),
        (b'{"error":"invalid_token"}', False),
        (b"No session found.", False),
        (b"", False),
    ],
)
def test_the_proxys_own_401(body: bytes, expected: bool) -> None:
    assert is_no_session(body, PROFILE.proxy.no_session_message) is expected


@pytest.mark.parametrize("status", [200, 401])
async def test_a_closed_session_and_a_gone_one_are_the_same(pki: TestPki, status: int) -> None:
    seen: list[str] = []

    async def behaviour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append((await read_request(reader)).head)
        await answer(writer, status)

    async with tls_server(pki, behaviour) as server:
        client = HttpClient(server.url, TlsFiles(ca_file=pki.ca))
        await EsanteProxy(client, PROFILE, Clock()).disconnect(session())
        await client.aclose()
    assert seen[0].startswith("DELETE /disconnect HTTP/1.1")
    assert "cookie: proxy_session_id=biscuit-canari" in seen[0].lower()


async def test_a_session_that_could_not_be_closed_is_said(pki: TestPki) -> None:
    async with tls_server(pki, answering(503)) as server:
        client = HttpClient(server.url, TlsFiles(ca_file=pki.ca))
        with pytest.raises(ServiceError, match="PROXY_ANSWER_UNREADABLE"):
            await EsanteProxy(client, PROFILE, Clock()).disconnect(session())
        await client.aclose()


async def test_nothing_of_the_professional_or_the_session_in_logs(
    pki: TestPki, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    opened = await connect(pki, answering(200, OPENED, COOKIE))
    assert "biscuit-canari" not in caplog.text + repr(opened)
    assert "899700000012" not in caplog.text
    assert any(record.message == "proxy.connect" for record in caplog.records)
