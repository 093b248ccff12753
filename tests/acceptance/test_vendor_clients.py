"""The vendors' clients as vendors run them: examples and abuse, in JavaScript and in C#, on a real agent and sandbox.

A language is tested where its runtime is (``node``; ``mcs`` and ``mono``, or ``dotnet``), and skipped elsewhere.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import shutil
import subprocess
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from vaguemestre_agent.practice.documents import metadata, tiny_pdf
from vaguemestre_testkit.acceptance_kit import Life, living, pdf_document

ROOT = Path(__file__).parents[2]
INTEGRATE = ROOT / "docs" / "integrate"
HERE = Path(__file__).parent / "vendors"
PATIENCE_S = 60.0  # reached only by a failure
pytestmark = pytest.mark.skipif(os.name != "posix", reason="the runtimes are looked for on a POSIX machine")

_PROJECT = """<Project Sdk="Microsoft.NET.Sdk"><PropertyGroup><OutputType>Exe</OutputType>
<TargetFramework>net{version}</TargetFramework><RollForward>Major</RollForward></PropertyGroup></Project>"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Language:
    """How to run the example and the abuse driver of one language."""

    name: str
    example: Sequence[str]
    abuse: Sequence[str]


def _javascript() -> Language:
    node = shutil.which("node")
    if node is None:
        pytest.skip("no node on this machine")
    return Language(
        name="javascript",
        example=[node, str(INTEGRATE / "javascript" / "exemple.mjs")],
        abuse=[node, str(HERE / "abuse.mjs")],
    )


def _csharp(folder: Path) -> Language:
    sources = {"Exemple": INTEGRATE / "csharp" / "Exemple.cs", "Abuse": HERE / "Abuse.cs"}
    client = INTEGRATE / "csharp" / "Vaguemestre.cs"
    if (mcs := shutil.which("mcs")) and (mono := shutil.which("mono")):
        for name, source in sources.items():
            target = folder / f"{name}.exe"
            subprocess.run(
                [mcs, "-langversion:7", "-warnaserror", f"-out:{target}", "-r:System.Core", str(client), str(source)],
                check=True,
                capture_output=True,
                timeout=120,
            )
        return Language(
            name="csharp", example=[mono, str(folder / "Exemple.exe")], abuse=[mono, str(folder / "Abuse.exe")]
        )
    if dotnet := shutil.which("dotnet"):
        version = subprocess.run([dotnet, "--version"], check=True, capture_output=True, text=True, timeout=60).stdout
        for name, source in sources.items():
            project = folder / name
            project.mkdir()
            for file in (client, source):
                shutil.copy2(file, project / file.name)
            text = _PROJECT.format(version=".".join(version.split(".")[:2]))
            (project / f"{name}.csproj").write_text(text, encoding="utf-8")
            command = [dotnet, "build", "-o", str(folder / "out"), str(project)]
            subprocess.run(command, check=True, capture_output=True, timeout=300)
        return Language(
            name="csharp",
            example=[dotnet, str(folder / "out" / "Exemple.dll")],
            abuse=[dotnet, str(folder / "out" / "Abuse.dll")],
        )
    pytest.skip("neither mcs and mono nor dotnet on this machine")


@pytest.fixture(scope="module", params=["javascript", "csharp"])
def language(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Language:
    if request.param == "javascript":
        return _javascript()
    return _csharp(tmp_path_factory.mktemp("csharp"))


@asynccontextmanager
async def running(
    command: Sequence[str], given: object = None, environment: Mapping[str, str] | None = None
) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run a program with a JSON value on its input; kill it when the block ends before it."""
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, **(environment or {})},
        limit=2**22,
    )
    assert process.stdin is not None
    try:
        process.stdin.write(json.dumps(given).encode())
        process.stdin.close()
        async with asyncio.timeout(PATIENCE_S):
            yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def outcomes(language: Language, plan: Mapping[str, object]) -> dict[str, object]:
    """Run cases of the driver; return each outcome by its name."""
    async with running(language.abuse, plan) as process:
        out, errors = await process.communicate()
    assert process.returncode == 0, errors.decode()
    lines = [json.loads(line) for line in out.decode().splitlines()]
    return {line["case"]: line["outcome"] for line in lines}


async def credentials(life: Life) -> list[str]:
    """Pair one more program, as a vendor does; it may neither pair others nor see them."""
    code = await life.lgc.open_pairing(["read", "enqueue", "control"])
    new = await life.lgc.pair(code.code, "Abus", (await life.lgc.clients())[0].product)
    return [new.client.client_id, new.secret]


def address(life: Life) -> str:
    """Return where the agent listens."""
    return str(life.practice.home / "run" / "agent.sock")


def plan(life: Life, run: str, **more: object) -> dict[str, object]:
    """Return what the driver is asked."""
    return {
        "run": run,
        "address": address(life),
        "metadata": json.loads(metadata("Compte rendu")),
        "pdf": base64.b64encode(tiny_pdf("Compte rendu")).decode(),
        **more,
    }


def problem(code: str, status: int, *pointers: str) -> dict[str, object]:
    """Return the outcome of a refusal that says all it must say."""
    return {"problem": code, "status": status, "complete": True, "pointers": list(pointers)}


async def test_the_example_pairs_deposits_and_prints_the_receipt(language: Language, tmp_path: Path, pki: Path) -> None:
    (tmp_path / "metadata.json").write_bytes(metadata("Compte rendu"))
    (tmp_path / "document.pdf").write_bytes(tiny_pdf("Compte rendu"))
    async with living(tmp_path, pki, session=False) as life:
        code = await life.lgc.open_pairing(["read", "enqueue", "control"])
        environment = {
            **life.practice.environment,
            "VAGUEMESTRE_CODE": code.code,
            "VAGUEMESTRE_PROXY_CLIENT": life.sandbox.facts.client_id,
        }
        command = [*language.example, str(tmp_path / "metadata.json"), str(tmp_path / "document.pdf")]
        async with running(command, None, environment) as process:
            out, errors = await process.communicate()
        assert process.returncode == 0, errors.decode()
        printed = out.decode()
        assert (await life.sandbox.inspection.verdict()).complete_bodies == 1
        (there,) = await life.sandbox.inspection.held()
    assert printed.splitlines()[0].startswith("accepté : o-")
    assert "état : sent" in printed
    receipt = printed.splitlines()[-1]
    assert receipt.startswith("accusé : ")
    assert there in receipt
    assert "Success" in receipt


async def test_a_wrong_code_ends_the_example_with_words_for_a_person(
    language: Language, tmp_path: Path, pki: Path
) -> None:
    (tmp_path / "metadata.json").write_bytes(metadata("Compte rendu"))
    (tmp_path / "document.pdf").write_bytes(tiny_pdf("Compte rendu"))
    async with living(tmp_path, pki, session=False) as life:
        command = [*language.example, str(tmp_path / "metadata.json"), str(tmp_path / "document.pdf")]
        environment = {**life.practice.environment, "VAGUEMESTRE_CODE": "0000-0000"}
        async with running(command, None, environment) as process:
            _, errors = await process.communicate()
    assert process.returncode == 1
    assert errors.decode().startswith("PAIRING_CODE_REFUSED : ")


async def test_every_refusal_is_a_typed_problem(language: Language, tmp_path: Path, pki: Path) -> None:
    async with living(tmp_path, pki, session=False) as life:
        found = await outcomes(language, plan(life, "problems", credentials=await credentials(life)))
    pointers = found["metadata refused"]["pointers"]  # type: ignore[index]
    assert found == {
        "unpaired health": {"ready": True},
        "no credentials": problem("AUTHENTICATION_REQUIRED", 401),
        "wrong secret": problem("CLIENT_REFUSED", 401),
        "scope missing": problem("SCOPE_MISSING", 403),
        "unknown order": problem("ORDER_UNKNOWN", 404),
        "no actor": problem("ACTOR_REQUIRED", 422, "/actor"),
        "metadata refused": problem("METADATA_INVALID", 422, *pointers),
        "strange reference": {"replayed": False, "ref": "é /?#%2F+&\U0001f600"},
        "strange reference again": {"replayed": True, "ref": "é /?#%2F+&\U0001f600"},
        "same key, other content": problem("IDEMPOTENCY_MISMATCH", 409),
        "strange reference read": {"orders": 1},
        "title read": {"title": 'Étrange \U0001f600 "\\'},
        "too large": problem("BODY_TOO_LARGE", 413),
        "query refused": problem("REQUEST_INVALID", 422, "/query/limit"),
        "pairing code wrong": problem("PAIRING_CODE_REFUSED", 403),
        "nobody there": {"error": "AgentNotRunning"},
    }
    assert any(pointer.endswith("/type_code") for pointer in pointers), pointers


async def test_a_stream_resumes_where_it_was(language: Language, tmp_path: Path, pki: Path) -> None:
    async with living(tmp_path, pki, session=False) as life:
        own = await credentials(life)
        await outcomes(language, plan(life, "problems", credentials=own))  # leaves changes of its own
        seen = [line.seq for line in (await life.lgc.ledger(after=1)).lines if line.client_id == own[0]]
        found = await outcomes(language, plan(life, "resume", credentials=own))
    assert found == {"from the second change": seen[:2], "ahead": {"event": "resync", "reason": "ahead"}}


async def test_following_outlives_the_agent(language: Language, tmp_path: Path, pki: Path) -> None:
    async with living(tmp_path, pki, session=False) as life:
        assert life.practice.credentials is not None
        own = [life.practice.credentials.client_id, life.practice.credentials.secret]
        async with running(language.abuse, plan(life, "follow", credentials=own, until="cr-after")) as process:
            assert process.stdout is not None
            ready = json.loads(await process.stdout.readline())
            await life.lgc.put_document("cr-before", pdf_document("Avant"))
            seen = [json.loads(await process.stdout.readline())["outcome"]]
            await life.kill_and_restart()
            await life.lgc.put_document("cr-after", pdf_document("Apres"))
            out, errors = await process.communicate()
            assert process.returncode == 0, errors.decode()
        seen += [json.loads(line)["outcome"] for line in out.decode().splitlines()]
    assert ready["case"] == "ready"
    assert seen == list(range(seen[0], seen[0] + len(seen)))
    assert seen[0] == ready["outcome"] + 1


HEALTH = json.dumps({"version": "9", "ready": True, "items": []}).encode()
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
STREAM = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
EVENTS = 'event: resync\r\nid: 7\r\n: é\r\ndata: {"reason":\r\ndata: "gap"}\r\n\r\n: ping\nid: 9\n\n'.encode()


def chunked(content: bytes, size: int) -> bytes:
    """Return a body in chunks of that size."""
    pieces = [content[start : start + size] for start in range(0, len(content), size)]
    return b"".join(f"{len(p):x};x=y\r\n".encode() + p + b"\r\n" for p in pieces)


# What a server may do, the bytes it writes (None: nothing, and it holds the line), and what a client makes of it.
SCRIPTS: Mapping[str, tuple[bytes | None, object]] = {
    "plain": (HEAD + f"Content-Length: {len(HEALTH)}\r\n\r\n".encode() + HEALTH, {"version": "9"}),
    "chunked by one": (
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + chunked(HEALTH, 1) + b"0\r\n\r\n",
        {"version": "9"},
    ),
    "until closed": (HEAD + b"Connection: close\r\n\r\n" + HEALTH, {"version": "9"}),
    "after a 100": (
        b"HTTP/1.1 100 Continue\r\n\r\n" + HEAD + f"Content-Length: {len(HEALTH)}\r\n\r\n".encode() + HEALTH,
        {"version": "9"},
    ),
    "cut in the body": (HEAD + b"Content-Length: 500\r\n\r\n" + HEALTH, {"error": "AgentSilent"}),
    "cut in a chunk": (HEAD + b"Transfer-Encoding: chunked\r\n\r\n40\r\n{", {"error": "AgentSilent"}),
    "closed at once": (b"", {"error": "AgentSilent"}),
    "never answers": (None, {"error": "AgentSilent"}),
    "not JSON": (HEAD + b"Content-Length: 5\r\n\r\n{]]]]", {"error": "AnswerUnreadable"}),
    "a refusal without a problem": (
        b"HTTP/1.1 502 Bad\r\nContent-Length: 4\r\n\r\nnope",
        {"error": "AnswerUnreadable"},
    ),
    "stream by one": (STREAM + chunked(EVENTS, 1) + b"0\r\n\r\n", [["resync", "gap", 7]]),
    "stream whole": (STREAM + chunked(EVENTS, 4096) + b"0\r\n\r\n", [["resync", "gap", 7]]),
    "stream cut": (STREAM + chunked(EVENTS, 5), {"error": "AgentSilent"}),
    "stream of strangers": (
        STREAM + chunked(b"event: other\ndata: {}\n\n", 99) + b"0\r\n\r\n",
        {"error": "AnswerUnreadable"},
    ),
}


async def test_what_a_server_may_do_ends_in_the_right_error(language: Language, tmp_path: Path) -> None:
    addresses: list[tuple[str, str]] = []
    held = asyncio.Event()
    servers: list[asyncio.Server] = []
    for number, (name, (answer, _)) in enumerate(SCRIPTS.items()):

        async def serve(
            reader: asyncio.StreamReader, writer: asyncio.StreamWriter, answer: bytes | None = answer
        ) -> None:
            await reader.readuntil(b"\r\n\r\n")
            if answer is None:
                await held.wait()
            else:
                writer.write(answer)
            writer.close()

        path = str(tmp_path / f"{number}.sock")
        servers.append(await asyncio.start_unix_server(serve, path))
        addresses.append((name, path))
    try:
        found = await outcomes(language, {"run": "scripted", "address": "", "addresses": addresses})
    finally:
        held.set()
        for server in servers:
            server.close()
            await server.wait_closed()
    assert found == {name: expected for name, (_, expected) in SCRIPTS.items()}
