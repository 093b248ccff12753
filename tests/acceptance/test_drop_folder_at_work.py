"""The drop folder with a real agent killed at each step, and a real sandbox: one document, one sending, one receipt."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from vaguemestre_agent.adapters.system.failpoints import VARIABLE
from vaguemestre_agent.practice.agent import Practice
from vaguemestre_agent.practice.documents import metadata, tiny_pdf
from vaguemestre_agent.practice.home import CRASH_PACE, make_home
from vaguemestre_agent.practice.sandbox import running_sandbox
from vaguemestre_agent.practice.warming import warm_process

SUBJECT = "vaguemestre_agent.selftest.crash.subject"
PATIENCE_S = 30.0
# Where a SIGKILL falls: after reading, after acceptance, in the writing of tracking, answer, receipt, in each move.
KILLS = ("drop.read", "drop.accepted", "drop.written:2", "drop.moved:1", "drop.moved:2", "drop.told")


async def until_file(path: Path) -> dict[str, object]:
    """Wait for a reply of the agent, as a program does that can only look."""
    async with asyncio.timeout(PATIENCE_S):
        while not path.exists():  # noqa: ASYNC110 - a file gives no event
            await asyncio.sleep(0.05)
    found: dict[str, object] = json.loads(path.read_text("utf-8"))
    return found


@pytest.mark.parametrize("kill", KILLS)
async def test_a_killed_agent_takes_the_pair_once(tmp_path: Path, pki: Path, kill: str) -> None:
    depot = tmp_path / "depot"
    depot.mkdir(mode=0o700)
    async with (
        warm_process(tmp_path) as warm,
        running_sandbox(tmp_path / "sandbox", ["--pki-dir", str(pki)]) as sandbox,
    ):
        home = tmp_path / "agent"
        environment = make_home(home, sandbox.facts, CRASH_PACE)
        practice = Practice(home, environment, sandbox.facts, module=SUBJECT, warm=warm)
        child = await practice.start()
        try:
            await practice.wait_ready(child)
            await practice.pair()
            assert practice.credentials is not None
            await child.stop()
            watched = {
                "VAGUEMESTRE_DROPFOLDER__PATH": str(depot),
                "VAGUEMESTRE_DROPFOLDER__CLIENT_ID": practice.credentials.client_id,
                "VAGUEMESTRE_DROPFOLDER__POLL_S": "0.05",
                "VAGUEMESTRE_DROPFOLDER__SETTLE_S": "0.1",
            }
            (depot / "lettre.pdf").write_bytes(tiny_pdf("Lettre"))
            request = {"client_ref": "cr-1", "actor": {"user": "u-1", "role": "medecin"}}
            request |= {"metadata": json.loads(metadata("Lettre"))}
            (depot / "lettre.json").write_text(json.dumps(request), encoding="utf-8")

            child = await practice.start({**watched, VARIABLE: kill})
            if kill == "drop.told":  # reached when the document has left: it needs a session
                await practice.wait_ready(child)
                await practice.open_session()
            assert await child.wait(PATIENCE_S) == -9
            child = await practice.start(watched)
            await practice.wait_ready(child)
            answer = await until_file(depot / "lettre.answer.json")
            await practice.open_session()
            receipt = await until_file(depot / "lettre.receipt.json")
            async with practice.client() as client:
                orders = (await client.orders()).orders
                items = {item.code: item.ok for item in (await client.health()).items}
            assert (await sandbox.inspection.verdict()).complete_bodies == 1
        finally:
            await child.stop()
    assert [order.order_id for order in orders] == [answer["order_id"]]
    assert receipt["unique_id"] == orders[0].unique_id
    assert items["DROP_FOLDER_WATCHED"] is True
    assert sorted(path.suffix for path in (depot / "done").iterdir()) == [".json", ".pdf"]
    assert {path.name for path in depot.iterdir() if path.is_file()} == {"lettre.answer.json", "lettre.receipt.json"}
