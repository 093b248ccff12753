"""A practice on Windows from end to end: sandbox, agent and LGC are three processes; the LGC speaks over the pipe.

Runs under a Windows Python only (docs/windows.md); elsewhere skipped.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from vaguemestre_agent.practice.agent import Practice
from vaguemestre_agent.practice.documents import OID_ROOT, metadata, tiny_pdf
from vaguemestre_agent.practice.home import CRASH_PACE, make_home
from vaguemestre_agent.practice.processes import stopped_at_the_end
from vaguemestre_agent.practice.sandbox import RunningSandbox, running_sandbox
from vaguemestre_api.client import DocumentBody
from vaguemestre_api.failures import ClientFailure

pytestmark = [
    pytest.mark.skipif(sys.platform != "win32", reason="needs a Windows Python (docs/windows.md)"),
    pytest.mark.slow,
    pytest.mark.timeout(300),
]


@pytest.fixture
async def sandbox(tmp_path: Path) -> AsyncIterator[RunningSandbox]:
    async with running_sandbox(tmp_path / "sandbox") as running:
        yield running


@pytest.fixture
def practice(sandbox: RunningSandbox, tmp_path: Path) -> Practice:
    home = tmp_path / "home"
    return Practice(home=home, environment=make_home(home, sandbox.facts, CRASH_PACE), facts=sandbox.facts)


def report(title: str) -> DocumentBody:
    return DocumentBody(metadata=metadata(title), body=tiny_pdf(title), media_type="application/pdf")


async def reaches(practice: Practice, order_id: str, state: str) -> None:
    """Wait until an order is in a state."""
    async with asyncio.timeout(60), practice.client() as client:
        while (await client.order(order_id)).state != state:  # noqa: ASYNC110 - the agent may be gone meanwhile
            await asyncio.sleep(0.05)


async def vaguemestre(practice: Practice, *words: str) -> tuple[int | None, bytes]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "vaguemestre_agent", "--home", str(practice.home), *words,
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    async with asyncio.timeout(60):
        output, _ = await process.communicate()
    return process.returncode, output


async def test_one_document_from_a_pdf_to_sent(practice: Practice, sandbox: RunningSandbox) -> None:
    async with stopped_at_the_end(await practice.start()) as agent:
        await practice.wait_ready(agent)
        await practice.pair()
        await practice.open_session()
        async with practice.client() as client:
            accepted = await client.put_document("cr-1", report("Compte rendu"), send_now=True)
        await reaches(practice, accepted.order.order_id, "sent")
        status, output = await vaguemestre(practice, "--json", "health")
        assert status == 0
        assert json.loads(output)["ready"] is True
    verdict = await sandbox.inspection.verdict()
    assert (verdict.held, verdict.complete_bodies, verdict.sent_twice) == (1, 1, 0)


@pytest.mark.parametrize("failpoint", ["accept.durable", "send.sending", "send.all_sent", "send.answered"])
async def test_a_killed_agent_recovers(practice: Practice, sandbox: RunningSandbox, failpoint: str) -> None:
    async with stopped_at_the_end(await practice.start({"VAGUEMESTRE_FAILPOINT": failpoint})) as first:
        await practice.wait_ready(first)
        await practice.pair()
        await practice.open_session()
        async with practice.client(timeout_s=5) as client:
            try:
                await client.put_document("cr-1", report("Compte rendu"), send_now=True, idempotency_key="one")
            except ClientFailure:
                assert failpoint == "accept.durable"  # the agent died before it answered
        assert await first.wait(60) == 137
    async with stopped_at_the_end(await practice.start()) as second:
        await practice.wait_ready(second)
        await practice.open_session()
        async with practice.client() as client:
            again = await client.put_document("cr-1", report("Compte rendu"), send_now=True, idempotency_key="one")
        await reaches(practice, again.order.order_id, "sent")
    verdict = await sandbox.inspection.verdict()
    assert (verdict.held, verdict.sent_twice) == (1, 0)


async def test_the_command_line_builds_a_document(tmp_path: Path) -> None:
    body, described = tmp_path / "cr.pdf", tmp_path / "cr.json"
    body.write_bytes(tiny_pdf("Compte rendu"))
    described.write_bytes(metadata("Compte rendu"))
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "vaguemestre_agent", "documents", "build",
        str(body), "--metadata", str(described), "--oid-root", OID_ROOT, "--output", str(tmp_path / "built"),
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    async with asyncio.timeout(60):
        output, errors = await process.communicate()
    assert process.returncode == 0, (output, errors)
    (built,) = (tmp_path / "built").glob("*.xml")
    assert b"<ClinicalDocument" in built.read_bytes()
