"""A real agent process, a real sandbox process and an LGC on the socket, for the acceptance tests.

Waiting is for the agent's own event stream; nothing polls.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import psutil

from vaguemestre_agent.cli.connection import CLIENT_VARIABLE
from vaguemestre_agent.practice.agent import Practice
from vaguemestre_agent.practice.documents import metadata, tiny_pdf
from vaguemestre_agent.practice.home import CRASH_PACE, Pace, make_home
from vaguemestre_agent.practice.processes import Child
from vaguemestre_agent.practice.sandbox import RunningSandbox, running_sandbox
from vaguemestre_api import wire, wire_readers
from vaguemestre_api.client import Client, DocumentBody

PATIENCE_S = 20.0  # reached only by a failure
QUICK = CRASH_PACE


def pdf_document(
    title: str = "Compte rendu", patient: int = 0, changes: Mapping[str, object] | None = None
) -> DocumentBody:
    """Return a consultation report; ``changes`` replace members of its metadata."""
    value = json.loads(metadata(title, patient)) | dict(changes or {})
    return DocumentBody(
        metadata=json.dumps(value, ensure_ascii=False).encode(), body=tiny_pdf(title), media_type="application/pdf"
    )


@dataclass(slots=True)
class Life:
    """A practice at work.

    Attributes:
        folder: everything of it is under it.
        sandbox: the national services.
        practice: the agent's home and the LGC's credentials.
        child: the agent process of now.
        lgc: the LGC's connection.
        extra: environment of the agent.
    """

    folder: Path
    sandbox: RunningSandbox
    practice: Practice
    child: Child
    lgc: Client
    extra: Mapping[str, str]

    @property
    def state(self) -> Path:
        """The agent's state folder."""
        return self.practice.home / "state"

    @property
    def environment(self) -> dict[str, str]:
        """What makes the command line speak to the agent as the paired software."""
        credentials = self.practice.credentials
        assert credentials is not None
        return {**self.practice.environment, CLIENT_VARIABLE: f"{credentials.client_id}:{credentials.secret}"}

    def readers_pid(self) -> int | None:
        """Return the number of the agent's readers process, while there is one."""
        for child in psutil.Process(self.child.pid).children(recursive=True):
            with contextlib.suppress(psutil.NoSuchProcess, psutil.ZombieProcess):
                if any("vaguemestre_drivers" in word for word in child.cmdline()):
                    return int(child.pid)
        return None

    async def readers_until(
        self, holds: Callable[[wire_readers.Readers], bool], within_s: float = PATIENCE_S
    ) -> wire_readers.Readers:
        """Follow the events until that holds for the readers; return them."""
        async with asyncio.timeout(within_s), aclosing(self.lgc.events()) as items:
            async for item in items:
                if isinstance(item.content, wire_readers.Readers) and holds(item.content):
                    return item.content
        raise AssertionError("the stream ended")

    async def until(self, holds: Callable[[wire.Order], bool], client_ref: str = "cr-1") -> wire.Order:
        """Follow the events until that holds for the newest order of a document."""
        async with asyncio.timeout(PATIENCE_S), aclosing(self.lgc.follow()) as items:
            async for item in items:
                content = item.content
                if isinstance(content, wire.Change) and (
                    content.order is None or content.order.client_ref != client_ref
                ):
                    continue
                now = (await self.lgc.document(client_ref)).orders[0]
                if holds(now):
                    return now
        raise AssertionError("the stream ended")

    async def reaches(self, state: str, client_ref: str = "cr-1") -> wire.Order:
        """Follow the events until a document's newest order is in a state."""
        return await self.until(lambda order: order.state == state, client_ref)

    async def waits(self, reason: str, client_ref: str = "cr-1") -> wire.Order:
        """Follow the events until it waits for that."""
        return await self.until(lambda order: order.state == "ready" and order.waiting == reason, client_ref)

    async def kill_and_restart(self) -> None:
        """Cut the agent's power, and start it again."""
        await self.child.kill()
        self.child = await self.practice.start(self.extra)
        await self.practice.wait_ready(self.child)

    async def ask(self, method: str, path: str, body: object = None) -> object:
        """Call the sandbox's inspection."""
        return await self.sandbox.inspection.call(method, path, body)

    async def fetch(self, path: str) -> bytes:
        """Return bytes that the sandbox holds."""
        address = f"{self.sandbox.facts.inspection.rstrip('/')}{path}"
        async with aiohttp.ClientSession() as session, session.get(address) as answer:
            assert answer.status == 200, answer.status
            return await answer.read()

    async def cda(self, order: wire.Order) -> bytes:
        """Return the document as the DMP holds it."""
        return await self.fetch(f"/documents/{order.unique_id}/cda")

    async def entry(self, order: wire.Order) -> str:
        """Return its entry as the DMP holds it."""
        return (await self.fetch(f"/api/documents/{order.unique_id}/entry")).decode()

    async def fail(self, target: str, action: str, **more: object) -> int:
        """Script a failure; return its number."""
        answer = await self.ask("POST", "/api/rules", {"target": target, "action": action, **more})
        assert isinstance(answer, dict)
        return int(answer["rule_id"])

    async def bodies(self) -> list[str]:
        """Return the uniqueId of each complete body received at the wire, in order."""
        answer = await self.ask("GET", "/api/bodies")
        assert isinstance(answer, dict)
        return [str(body["unique_id"]) for body in answer["bodies"]]

    async def kinds(self, order: wire.Order) -> list[str]:
        """Return the kinds of an order's ledger lines."""
        return [line.kind for line in (await self.lgc.ledger(limit=1000)).lines if line.order_id == order.order_id]


async def vaguemestre(environment: Mapping[str, str], *words: str) -> tuple[int, dict[str, object]]:
    """Run the command line in an environment; return its status and its answer, or its error."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "vaguemestre_agent.cli.main",
        "--json",
        *words,
        env={**os.environ, **environment},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    return process.returncode or 0, json.loads(out or err)


@asynccontextmanager
async def living(
    folder: Path,
    pki: Path,
    pace: Pace = QUICK,
    *,
    session: bool = True,
    extra: Mapping[str, str] | None = None,
    sandbox_arguments: Sequence[str] = (),
) -> AsyncIterator[Life]:
    """Run a sandbox and an agent, paired, with the LGC's session adopted, while the block runs."""
    async with running_sandbox(folder / "sandbox", ["--pki-dir", str(pki), *sandbox_arguments]) as sandbox:
        home = folder / "agent"
        practice = Practice(home, make_home(home, sandbox.facts, pace), sandbox.facts)
        child = await practice.start(extra)
        life: Life | None = None
        try:
            await practice.wait_ready(child)
            await practice.pair()
            if session:
                await practice.open_session()
            async with practice.client() as lgc:
                life = Life(folder, sandbox, practice, child, lgc, extra or {})
                yield life
        finally:
            await (child if life is None else life.child).stop()
