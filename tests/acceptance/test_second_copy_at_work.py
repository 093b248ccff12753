"""The second copy with a real agent killed while it copies: nothing accepted is lost, and the place heals by itself.

Verified as a technician would: by ``vaguemestre keys second-copy verify``, in a process of its own, on the place alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from vaguemestre_agent.adapters.system.failpoints import VARIABLE
from vaguemestre_agent.practice.agent import Practice
from vaguemestre_agent.practice.home import CRASH_PACE, make_home
from vaguemestre_agent.practice.processes import Child
from vaguemestre_agent.practice.sandbox import RunningSandbox, running_sandbox
from vaguemestre_agent.practice.warming import warm_process
from vaguemestre_api.failures import ClientFailure
from vaguemestre_testkit.acceptance_kit import pdf_document, vaguemestre

SUBJECT = "vaguemestre_agent.selftest.crash.subject"
PATIENCE_S = 40.0
DOCUMENTS = 6
# Where a SIGKILL falls: the list, then copies, each written without its name, then named.
KILLS = ("copy.half:1", "copy.half:2", "copy.named:1", "copy.half:4", "copy.named:3", f"copy.named:{DOCUMENTS}")


@dataclass(slots=True)
class Desk:
    """A practice whose agent keeps a second copy on a disk; ``watched`` is the environment that sets it."""

    practice: Practice
    sandbox: RunningSandbox
    disk: Path
    watched: Mapping[str, str]
    child: Child

    async def start(self, failpoint: str = "") -> None:
        """Start the agent anew, with its second place."""
        self.child = await self.practice.start({**self.watched, **({VARIABLE: failpoint} if failpoint else {})})

    async def ready(self) -> None:
        await self.practice.wait_ready(self.child)

    async def deposit(self, number: int) -> bool:
        """Deposit a document; say whether it was accepted before the agent died."""
        try:
            async with self.practice.client(timeout_s=5.0) as client:
                await client.put_document(
                    f"cr-{number}", pdf_document(f"Pièce {number}"), idempotency_key=f"k-{number}"
                )
        except ClientFailure:
            return False
        return True

    async def copied(self, expected: int) -> dict[str, object]:
        """Wait until health says that all is there; return what the command line finds on the disk."""
        async with asyncio.timeout(PATIENCE_S), self.practice.client() as client:
            while True:
                items = {item.code: dict(item.params or {}) for item in (await client.health()).items}
                if items.get("SECOND_COPY_DONE", {}).get("there") == expected:
                    break
                await asyncio.sleep(0.05)
        status, found = await vaguemestre(
            {**self.practice.environment, **self.watched}, "keys", "second-copy", "verify"
        )
        assert status == 0, found
        return found

    async def all_sent(self, expected: int) -> None:
        """Let everything leave; each document is at the DMP once."""
        await self.practice.open_session()
        async with asyncio.timeout(PATIENCE_S), self.practice.client() as client:
            while True:
                orders = (await client.orders()).orders
                if len(orders) == expected and all(order.state == "sent" for order in orders):
                    break
                await asyncio.sleep(0.05)
        verdict = await self.sandbox.inspection.verdict()
        assert (verdict.held, verdict.complete_bodies, verdict.sent_twice) == (expected, expected, 0)


@asynccontextmanager
async def desk(folder: Path, pki: Path, *, copies: bool) -> AsyncIterator[Desk]:
    """Run a sandbox and a paired agent, whose lives one warm process forks; ``copies``: it has its second place."""
    disk = folder / "disque"
    disk.mkdir(mode=0o700)
    async with (
        warm_process(folder) as warm,
        running_sandbox(folder / "sandbox", ["--pki-dir", str(pki)]) as sandbox,
    ):
        home = folder / "agent"
        environment = make_home(home, sandbox.facts, CRASH_PACE)
        practice = Practice(home, environment, sandbox.facts, module=SUBJECT, warm=warm)
        watched = {"VAGUEMESTRE_SECOND_COPY__FOLDER": str(disk), "VAGUEMESTRE_SECOND_COPY__EVERY_S": "0.05"}
        here = Desk(practice, sandbox, disk, watched, await practice.start(watched if copies else None))
        try:
            await here.ready()
            await practice.pair()
            yield here
        finally:
            await here.child.stop()


def halves(disk: Path) -> list[Path]:
    return list(disk.rglob("*.half"))


@pytest.mark.parametrize("kill", KILLS)
async def test_a_copy_cut_at_each_step_is_made_whole_by_the_next_life(tmp_path: Path, pki: Path, kill: str) -> None:
    async with desk(tmp_path, pki, copies=False) as here:
        for number in range(DOCUMENTS):
            assert await here.deposit(number)
        await here.child.stop()
        await here.start(kill)
        assert await here.child.wait(PATIENCE_S) == -9
        left = halves(here.disk)
        await here.start()
        await here.ready()
        assert await here.deposit(DOCUMENTS)  # accepted while the place is being healed
        found = await here.copied(DOCUMENTS + 1)
        assert halves(here.disk) == []
        await here.all_sent(DOCUMENTS + 1)
    assert bool(left) is kill.startswith("copy.half")
    assert (found["whole"], found["unreadable"], found["missing"], found["unlisted"]) == (DOCUMENTS + 1, 0, 0, 0)


async def test_kills_while_documents_come_in_lose_neither_document_nor_copy(tmp_path: Path, pki: Path) -> None:
    lives, each = 5, 4
    accepted: set[int] = set()
    async with desk(tmp_path, pki, copies=True) as here:
        for life in range(lives):
            for number in range(life * each, (life + 1) * each - 1):
                if await here.deposit(number):
                    accepted.add(number)
            last = asyncio.get_running_loop().create_task(here.deposit((life + 1) * each - 1))
            await asyncio.sleep(life * 0.03)  # the instant of the kill: another one in each life
            await here.child.kill()
            if await last:
                accepted.add((life + 1) * each - 1)
            await here.start()
            await here.ready()
        async with here.practice.client() as client:
            kept = {order.client_ref for order in (await client.orders()).orders}
        assert {f"cr-{number}" for number in accepted} <= kept
        for number in range(lives * each):  # what was not answered is given again, with the same key
            assert await here.deposit(number)
        found = await here.copied(lives * each)
        await here.all_sent(lives * each)
    assert len(accepted) >= lives * (each - 1)
    assert (found["whole"], found["unreadable"], found["missing"], found["unlisted"]) == (lives * each, 0, 0, 0)


async def test_copies_lost_on_the_disk_come_back_and_a_disk_away_stops_nothing(tmp_path: Path, pki: Path) -> None:
    async with desk(tmp_path, pki, copies=True) as here:
        for number in range(3):
            assert await here.deposit(number)
        await here.copied(3)
        first, second, _ = sorted(here.disk.rglob("*.age"))
        first.unlink()
        second.write_bytes(b"")  # what a power cut leaves of a file on some disks
        away = here.disk.with_name("tiroir")
        here.disk.rename(away)
        assert await here.deposit(3)
        async with asyncio.timeout(PATIENCE_S), here.practice.client() as client:
            while not any(item.code == "SECOND_COPY_ABSENT" for item in (await client.health()).items):  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        await here.child.kill()
        away.rename(here.disk)
        await here.start()
        await here.ready()
        found = await here.copied(4)
        await here.all_sent(4)
    assert (found["whole"], found["unreadable"], found["missing"], found["unlisted"]) == (4, 0, 0, 0)
