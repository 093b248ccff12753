"""What is not a correct request from a local, paired program gets one clear problem and changes nothing."""

from __future__ import annotations

import asyncio
import json
import logging
import random
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from vaguemestre_agent.localapi.limits import ApiLimits
from vaguemestre_api import openapi
from vaguemestre_api.client import Client
from vaguemestre_testkit.api_harness import MemoryHarness, paired
from vaguemestre_testkit.api_server import serving
from vaguemestre_testkit.raw_stream import api_address, connect

LIMITS = ApiLimits(
    body_bytes=20_000, metadata_bytes=4096, read_s=0.3, body_s=1.0, header_s=0.4, requests=16, upload_bytes=60_000
)
ACTOR = b"Vaguemestre-Actor: user=u&role=medecin\r\n"


class Raw:
    """Speaks bytes to the server as one paired client."""

    def __init__(self, socket: Path, client: Client, harness: MemoryHarness) -> None:
        assert client._credentials is not None
        self.socket = socket
        self.harness = harness
        self.auth = (
            f"Authorization: Vaguemestre {client._credentials.client_id}:{client._credentials.secret}\r\n".encode()
        )

    async def send(self, data: bytes, *more: bytes) -> tuple[int, dict[str, object]]:
        """Send pieces, return the status and the problem; (0, {}) when the server only closed."""
        reader, writer = await connect(self.socket)
        try:
            async with asyncio.timeout(10):
                with suppress(ConnectionError):
                    for piece in (data, *more):
                        writer.write(piece)
                        await writer.drain()
                return await self.answer(reader)
        finally:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()

    async def answer(self, reader: asyncio.StreamReader) -> tuple[int, dict[str, object]]:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except (asyncio.IncompleteReadError, ConnectionError):
            return 0, {}
        status = int(head.split()[1])
        headers = {
            name.lower(): value
            for name, _, value in (line.partition(": ") for line in head.decode().split("\r\n")[1:] if line)
        }
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        if status >= 400:
            assert headers["content-type"].startswith("application/problem+json")
            assert headers["cache-control"] == "no-store"
        return status, json.loads(body) if body else {}

    async def refuse(self, data: bytes, *more: bytes) -> tuple[int, str]:
        """Send, and check that the answer is a problem and that nothing changed."""
        before = await self.harness.fingerprint()
        status, problem = await self.send(data, *more)
        assert await self.harness.fingerprint() == before
        if status == 0:
            return 0, "closed"
        assert {"type", "code", "title", "detail", "recovery", "action", "support_id", "params"} <= set(problem)
        return status, str(problem["code"])

    def head(self, method: str, path: str, extra: bytes = b"", *, host: bytes = b"Host: localhost\r\n") -> bytes:
        return f"{method} {path} HTTP/1.1\r\n".encode() + host + self.auth + extra + b"\r\n"

    def put(self, parts: bytes, extra: bytes = ACTOR) -> bytes:
        form = f"Content-Type: multipart/form-data; boundary=B\r\nContent-Length: {len(parts)}\r\n".encode()
        return self.head("PUT", "/v1/documents/cr-1", form + extra) + parts

    def post(self, path: str, body: bytes, extra: bytes = ACTOR) -> bytes:
        typed = f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n".encode()
        return self.head("POST", path, typed + extra) + body


def part(name: str, content: bytes, kind: str | None = None) -> bytes:
    typed = b"" if kind is None else f"Content-Type: {kind}\r\n".encode()
    return f'--B\r\nContent-Disposition: form-data; name="{name}"\r\n'.encode() + typed + b"\r\n" + content + b"\r\n"


META = part("metadata", b'{"title": "t"}', "application/json")
BODY = part("body", b"%PDF-1.4", "application/pdf")
END = b"--B--\r\n"
TOWER = b"[" * 1500 + b"]" * 1500


@pytest.fixture
def socket() -> Iterator[Path]:
    with api_address() as path:
        yield path


@pytest.fixture
async def raw(socket: Path) -> AsyncIterator[Raw]:
    harness = MemoryHarness()
    async with serving(harness.backend, socket, LIMITS), await paired(harness, socket) as client:
        yield Raw(socket, client, harness)


async def test_the_correct_request_passes(raw: Raw) -> None:
    status, answer = await raw.send(raw.put(META + BODY + END))

    assert status == 201
    assert answer["replayed"] is False


@pytest.mark.parametrize(
    "header",
    [
        "Origin: null",
        "Origin: http://localhost",
        "Referer: http://vaguemestre.local/",
        "Sec-Fetch-Site: same-origin",
        "Sec-Fetch-Mode: no-cors",
        "Access-Control-Request-Method: PUT",
    ],
)
async def test_a_browser_is_refused_before_authentication(raw: Raw, header: str) -> None:
    wrong = f"GET /v1/orders HTTP/1.1\r\nHost: localhost\r\n{header}\r\n\r\n".encode()

    assert await raw.refuse(wrong) == (403, "ORIGIN_REFUSED")
    assert await raw.refuse(raw.head("GET", "/v1/health", f"{header}\r\n".encode())) == (403, "ORIGIN_REFUSED")


@pytest.mark.parametrize(
    "host",
    [b"Host: evil.example\r\n", b"Host: 127.0.0.1:80\r\n", b"Host: localhost:8080\r\n", b"Host:\r\n", b""],
)
async def test_an_unexpected_host_is_refused(raw: Raw, host: bytes) -> None:
    assert await raw.refuse(raw.head("GET", "/v1/health", host=host)) in {
        (403, "HOST_REFUSED"),
        (400, "HTTP_MALFORMED"),
    }


@pytest.mark.parametrize("method", ["OPTIONS", "HEAD", "PATCH", "TRACE", "CONNECT", "DELETE", "PROPFIND"])
async def test_other_methods_are_refused(raw: Raw, method: str) -> None:
    status, _ = await raw.refuse(raw.head(method, "/v1/orders")) if method != "HEAD" else (405, "")

    assert status in {400, 405}


@pytest.mark.parametrize(
    "path",
    ["/", "/v1", "/v1/", "/v2/orders", "/v1/orders/", "//v1/orders", "/v1/documents/a/b", "/v1/documents/../orders",
     "/v1/documents/%ff", "http://localhost/v1/orders", "/v1/orders/%2e%2e", "/v1/orders/a%00b", "/V1/orders"],
)  # fmt: skip
async def test_other_paths_are_refused(raw: Raw, path: str) -> None:
    status, _ = await raw.refuse(raw.head("GET", path))

    assert status in {400, 404, 422}


@pytest.mark.parametrize(
    "authorization",
    ["", "Bearer abc", "Vaguemestre", "Vaguemestre :", "Vaguemestre a:", "Vaguemestre c-1:wrong", "Basic YTpi"],
)
async def test_no_stranger_reads_or_writes(raw: Raw, authorization: str) -> None:
    line = f"Authorization: {authorization}\r\n" if authorization else ""
    for method, path in (
        ("GET", "/v1/orders"),
        ("GET", "/v1/events"),
        ("GET", "/v1/ledger"),
        ("DELETE", "/v1/session"),
    ):
        status, code = await raw.refuse(f"{method} {path} HTTP/1.1\r\nHost: localhost\r\n{line}\r\n".encode())
        assert (status, code) in {(401, "AUTHENTICATION_REQUIRED"), (401, "CLIENT_REFUSED")}


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        (META + END, (400, "MULTIPART_INVALID")),
        (BODY + END, (400, "MULTIPART_INVALID")),
        (META + META + BODY + END, (400, "MULTIPART_INVALID")),
        (META + BODY + part("other", b"x") + END, (400, "MULTIPART_INVALID")),
        (b"--B--\r\n", (400, "MULTIPART_INVALID")),
        (b"nothing of the kind", (400, "HTTP_MALFORMED")),
        (part("metadata", b"[]", "application/json") + BODY + END, (400, "JSON_INVALID")),
        (part("metadata", b"{", "application/json") + BODY + END, (400, "JSON_INVALID")),
        (part("metadata", b'{"a":1,"a":2}', "application/json") + BODY + END, (400, "JSON_INVALID")),
        (part("metadata", b'{"a":NaN}', "application/json") + BODY + END, (400, "JSON_INVALID")),
        (part("metadata", b'{"a":1e999}', "application/json") + BODY + END, (400, "JSON_INVALID")),
        (part("metadata", b'{"a":"\\ud800"}', "application/json") + BODY + END, (400, "JSON_INVALID")),
        (part("metadata", b"\xff\xfe", "application/json") + BODY + END, (400, "JSON_INVALID")),
        (part("metadata", b'{"a":' + TOWER + b"}", "application/json") + BODY + END, (400, "JSON_INVALID")),
        (part("metadata", b"{}", "text/plain") + BODY + END, (415, "MEDIA_TYPE_UNSUPPORTED")),
        (META + part("body", b"%PDF") + END, (415, "MEDIA_TYPE_UNSUPPORTED")),
        (part("metadata", b'{"a":"' + b"x" * 5000 + b'"}', "application/json") + BODY + END, (413, "BODY_TOO_LARGE")),
        (META + part("body", b"x" * 21_000, "application/pdf") + END, (413, "BODY_TOO_LARGE")),
        (META + part("body", b"x" * 90_000, "application/pdf") + END, (413, "BODY_TOO_LARGE")),
        (META + BODY + part("hold", b"yes") + END, (422, "REQUEST_INVALID")),
        (META + BODY + part("hold", b"true") + part("send_now", b"true") + END, (422, "OPTIONS_CONTRADICTORY")),
        (META + part("body", b"", "application/pdf") + END, (422, "BODY_EMPTY")),
        (b"".join(part(f"p{n}", b"x") for n in range(50)) + END, (400, "MULTIPART_INVALID")),
    ],
)  # fmt: skip
async def test_a_bad_deposit_is_one_problem(raw: Raw, parts: bytes, expected: tuple[int, str]) -> None:
    assert await raw.refuse(raw.put(parts)) == expected


async def test_a_deposit_without_boundary_or_form_is_refused(raw: Raw) -> None:
    for kind in ("multipart/form-data", "multipart/form-data; boundary=" + "x" * 100, "application/json", "text/plain"):
        head = raw.head("PUT", "/v1/documents/x", f"Content-Type: {kind}\r\nContent-Length: 2\r\n".encode() + ACTOR)
        status, _ = await raw.refuse(head + b"{}")
        assert status in {400, 415}


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (b"", (422, "ACTOR_REQUIRED")),
        (b"Vaguemestre-Actor: user=u\r\n", (422, "REQUEST_INVALID")),
        (b"Vaguemestre-Actor: user=u&role=m&rpps=12\r\n", (422, "REQUEST_INVALID")),
        (b"Vaguemestre-Actor: user=u&role=m&name=Martin\r\n", (422, "REQUEST_INVALID")),
        (b"Vaguemestre-Actor: user=u&user=v&role=m\r\n", (422, "ACTOR_REQUIRED")),
        (b"Vaguemestre-Actor: garbage\r\n", (422, "ACTOR_REQUIRED")),
    ],
)
async def test_every_write_names_its_actor(raw: Raw, header: bytes, expected: tuple[int, str]) -> None:
    assert await raw.refuse(raw.put(META + BODY + END, header)) == expected
    assert await raw.refuse(raw.head("DELETE", "/v1/session?national_id=899700000012", header)) == expected


async def test_two_actors_are_one_too_many(raw: Raw) -> None:
    body = b'{"open": true, "actor": {"user": "other", "role": "medecin"}}'
    head = raw.head(
        "PUT",
        "/v1/context/patient",
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n".encode() + ACTOR,
    )

    assert await raw.refuse(head + body) == (422, "ACTOR_AMBIGUOUS")


async def test_schema_violations_carry_their_pointers(raw: Raw) -> None:
    status, problem = await raw.send(raw.post("/v1/reconcile", b'{"client_refs": ["a", 3, ""], "more": 1}'))

    assert (status, problem["code"]) == (422, "REQUEST_INVALID")
    errors = problem["errors"]
    assert isinstance(errors, list)
    assert {(item["pointer"], item["code"]) for item in errors} == {
        ("/client_refs/1", "SCHEMA_TYPE"),
        ("/client_refs/2", "SCHEMA_MINLENGTH"),
        ("/client_refs/2", "SCHEMA_PATTERN"),
        ("/more", "SCHEMA_ADDITIONALPROPERTIES"),
    }


@pytest.mark.parametrize(
    "query",
    ["limit=0", "limit=x", "limit=1&limit=2", "limit=%31%", "state=eaten", "unknown=1", "=", "titles=maybe", "%ff=1"],
)
async def test_bad_queries_are_refused(raw: Raw, query: str) -> None:
    status, code = await raw.refuse(raw.head("GET", f"/v1/orders?{query}"))

    assert (status, code) in {(422, "REQUEST_INVALID"), (400, "QUERY_INVALID")}


@pytest.mark.parametrize(
    "data",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GARBAGE\r\n\r\n",
        b"GET /v1/health HTTP/9.9\r\n\r\n",
        b"GET /v1/health HTTP/1.1\r\nHost localhost\r\n\r\n",
        b"GET /v1/health HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
        b"GET /v1/health HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        b"GET /v1/health HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\nabc",
        b"GET /v1/health HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 20_000 + b"\r\n\r\n",
        b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /v1/health HTTP/1.1\r\nHost: localhost\r\n" + b"".join(b"X%d: y\r\n" % n for n in range(300)) + b"\r\n",
        b"GET /v1/health HTTP/1.1\r\nHost: localhost\r\nA\x00b: c\r\n\r\n",
        b"\r\n" * 2000 + b"x y z\r\n\r\n",
    ],
)
async def test_what_is_not_http_is_told_so(raw: Raw, data: bytes) -> None:
    status, code = await raw.refuse(data)

    assert (status, code) in {(400, "HTTP_MALFORMED"), (431, "HEADERS_TOO_LARGE"), (403, "HOST_REFUSED")}


async def test_the_error_never_repeats_what_was_sent(raw: Raw) -> None:
    canary = "DUPONT-CANARI"
    for data in (
        f"GET /{canary} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode(),
        f"GET /v1/health HTTP/1.1\r\nHost: localhost\r\n{canary}\r\n\r\n".encode(),
        raw.post("/v1/reconcile", f'{{"{canary}": 1}}'.encode()),
        raw.put(part("metadata", f'{{"{canary}": }}'.encode(), "application/json") + BODY + END),
    ):
        _, problem = await raw.send(data)
        shown = json.dumps({name: value for name, value in problem.items() if name != "errors"})
        assert canary not in shown.replace(f"/{canary}", "")


@pytest.mark.parametrize(
    "chunks",
    [
        b"ZZ\r\nxx\r\n0\r\n\r\n",
        b"-5\r\nhello\r\n0\r\n\r\n",
        b"FFFFFFFFFFFFFFFFFF\r\nx",
        b"5\r\nhelloworld\r\n0\r\n\r\n",
        b"5;ext=\x01\r\nhello\r\n0\r\n\r\n",
    ],
)
async def test_chunked_nonsense_is_refused(raw: Raw, chunks: bytes) -> None:
    head = raw.head(
        "POST", "/v1/reconcile", b"Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n" + ACTOR
    )

    status, code = await raw.refuse(head, chunks)
    assert (status, code) in {(400, "HTTP_MALFORMED"), (400, "JSON_INVALID"), (408, "REQUEST_TOO_SLOW")}


async def test_an_endless_chunked_body_stops_at_the_bound(raw: Raw) -> None:
    head = raw.head("POST", "/v1/reconcile", b"Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n")
    chunk = b"1000\r\n" + b" " * 4096 + b"\r\n"

    assert await raw.refuse(head, *[chunk] * 64) == (413, "BODY_TOO_LARGE")


async def test_compressed_bodies_are_refused(raw: Raw) -> None:
    assert await raw.refuse(raw.post("/v1/reconcile", b"x", b"Content-Encoding: gzip\r\n")) == (
        415,
        "CONTENT_ENCODING_UNSUPPORTED",
    )
    encoded = b'--B\r\nContent-Disposition: form-data; name="body"\r\nContent-Transfer-Encoding: base64\r\n\r\nAA\r\n'
    assert await raw.refuse(raw.put(encoded + END)) == (415, "CONTENT_ENCODING_UNSUPPORTED")


async def test_a_slow_body_is_bounded(raw: Raw) -> None:
    whole = raw.put(META + BODY + END)

    assert await raw.refuse(whole[: len(whole) - 20]) == (408, "REQUEST_TOO_SLOW")


async def test_a_slow_head_is_bounded(raw: Raw) -> None:
    assert await raw.refuse(b"GET /v1/health HTTP/1.1\r\nHost: lo") == (0, "closed")


async def test_a_body_cut_short_changes_nothing(raw: Raw) -> None:
    before = await raw.harness.fingerprint()
    whole = raw.put(META + BODY + END)
    for cut in range(len(whole) - 120, len(whole) - 1, 7):
        _, writer = await connect(raw.socket)
        writer.write(whole[:cut])
        await writer.drain()
        writer.close()
        await writer.wait_closed()
    await raw.send(raw.head("GET", "/v1/health"))

    assert await raw.harness.fingerprint() == before


async def test_uploads_share_one_memory_budget(raw: Raw) -> None:
    held = []
    for _ in range(2):  # each announces 25 000 bytes and sends nothing of its body yet
        reader, writer = await connect(raw.socket)
        form = b"Content-Type: multipart/form-data; boundary=B\r\nContent-Length: 24000\r\n"
        writer.write(raw.head("PUT", "/v1/documents/x", form + ACTOR))
        await writer.drain()
        held.append((reader, writer))
    await raw.send(raw.head("GET", "/v1/health"))

    form = b"Content-Type: multipart/form-data; boundary=B\r\nContent-Length: 24000\r\n"
    status, problem = await raw.send(raw.head("PUT", "/v1/documents/x", form + ACTOR) + b"--B\r\n")
    for _, writer in held:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()

    assert (status, problem["code"]) == (503, "AGENT_BUSY")


async def test_too_many_connections_are_closed_and_the_others_live(socket: Path) -> None:
    harness = MemoryHarness()
    limits = ApiLimits(connections=4)
    async with serving(harness.backend, socket, limits), await paired(harness, socket) as client:
        await client.health()
        opened = [await connect(socket) for _ in range(6)]
        async with asyncio.timeout(5):
            assert await asyncio.gather(*(reader.read(1) for reader, _ in opened[3:])) == [b"", b"", b""]
        assert (await client.health()).ready
        for _, writer in opened:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()


async def test_the_wrong_system_user_is_refused(socket: Path) -> None:
    harness = MemoryHarness()
    async with (
        serving(harness.backend, socket, identify=lambda _: "uid:1001"),
        await paired(harness, socket, os_identity="uid:1000") as client,
    ):
        raw = Raw(socket, client, harness)
        assert await raw.refuse(raw.head("GET", "/v1/orders")) == (401, "CLIENT_REFUSED")


async def test_a_bug_is_a_problem_with_a_support_id_and_says_nothing_else(
    raw: Raw, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken(*_: object) -> None:
        raise RuntimeError("DUPONT Jeanne 2 85 05 78 006 084 91")

    monkeypatch.setattr(raw.harness.backend, "orders", broken)
    with caplog.at_level(logging.DEBUG):
        status, problem = await raw.send(raw.head("GET", "/v1/orders"))

    assert (status, problem["code"]) == (500, "UNEXPECTED")
    bugs = [record for record in caplog.records if record.getMessage() == "api.bug"]
    assert [record.__dict__["support_id"] for record in bugs] == [problem["support_id"]]
    assert "DUPONT" not in caplog.text + json.dumps(problem) + repr([record.__dict__ for record in caplog.records])


async def test_the_access_log_names_templates_not_paths(raw: Raw, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        await raw.send(raw.head("GET", "/v1/documents/DUPONT-1985"))
        await raw.send(raw.head("GET", "/DUPONT-1985?q=DUPONT"))

    records = [record.__dict__ for record in caplog.records if record.getMessage() == "api.request"]
    assert [record["route"] for record in records] == ["/v1/documents/{client_ref}", "-"]
    assert [record["status"] for record in records] == [404, 404]
    assert "DUPONT" not in repr([record.__dict__ for record in caplog.records])


async def test_a_thousand_random_requests_change_nothing(raw: Raw) -> None:
    dice = random.Random(20261124)
    before = await raw.harness.fingerprint()
    paths = [operation.path for operation in openapi.operations().values()] + ["/", "/v1/zzz", "*", "/v1/documents/%"]
    statuses: set[int] = set()
    for _ in range(1000):
        statuses.add((await raw.send(_random_request(dice, paths)))[0])

    assert await raw.harness.fingerprint() == before
    assert statuses <= {0, 200, 400, 401, 403, 404, 405, 408, 413, 415, 422, 431}
    assert {400, 401, 404, 405} <= statuses
    assert (await raw.send(raw.head("GET", "/v1/health")))[0] == 200


def _random_request(dice: random.Random, paths: list[str]) -> bytes:
    method = dice.choice(["GET", "PUT", "POST", "DELETE", "PATCH", "get", "G\x00T"])
    path = dice.choice(paths).replace("{", "").replace("}", "")
    if dice.random() < 0.3:
        path += dice.choice(["?", "?a=b", "?limit=-1", "/", "%00", "#x", "?after=99999999999999999999"])
    lines = [
        f"{method} {path} HTTP/1.1",
        dice.choice(["Host: localhost", "Host: vaguemestre.local", "Host: x", "Hos t: y"]),
    ]
    if dice.random() < 0.5:
        lines.append(
            dice.choice(["Authorization: Vaguemestre a:b", "Authorization: x", "Vaguemestre-Actor: user=u&role=r"])
        )
    body = dice.randbytes(dice.randrange(0, 64)) if dice.random() < 0.5 else b""
    if body:
        lines.append(f"Content-Length: {len(body)}")
        lines.append(
            dice.choice(["Content-Type: application/json", "Content-Type: multipart/form-data; boundary=B", "X: y"])
        )
    whole = "\r\n".join([*lines, "", ""]).encode("latin-1") + body
    if dice.random() < 0.2:
        spot = dice.randrange(len(whole))
        whole = whole[:spot] + dice.randbytes(3) + whole[spot + 1 :]
    return whole
