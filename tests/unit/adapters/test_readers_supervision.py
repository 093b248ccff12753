"""A real readers process, killed, frozen, crashed and hung: what was asked fails at once, and it is back in time."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import psutil
import pytest

from vaguemestre_agent.adapters.readers.life import Limits
from vaguemestre_agent.adapters.readers.supervision import Supervised
from vaguemestre_agent.adapters.system.clock import SystemClock
from vaguemestre_core.cards import CardTrouble, Situation
from vaguemestre_core.errors import Conflict, InvalidInput, UnexpectedError, VaguemestreError
from vaguemestre_core.frames import Frame
from vaguemestre_testkit import ill_readers

# By its path: a child process finds the test kit on no path of its own.
ILL = (sys.executable, str(Path(ill_readers.__file__)))
BACK_S = 2.0  # the figure
POSIX_ONLY = pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")


class Watched:
    """What the supervision said, and waiting for it."""

    def __init__(self) -> None:
        self.events: list[tuple[int, str]] = []
        self._news = asyncio.Event()

    def __call__(self, life: int, name: str, frame: Frame) -> None:
        self.events.append((life, name))
        self._news.set()

    async def until(self, life: int, name: str, within_s: float) -> None:
        async with asyncio.timeout(within_s):
            while (life, name) not in self.events:
                self._news.clear()
                await self._news.wait()


def is_gone(pid: int) -> bool:
    """Say whether the process ends within five seconds; one that nobody buries is gone too."""
    pause, tries = threading.Event(), 250
    while tries and psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
        pause.wait(0.02)
        tries -= 1
    return tries > 0


@asynccontextmanager
async def readers(
    settings: Mapping[str, object] | None = None, limits: Limits | None = None, command: tuple[str, ...] = ILL
) -> AsyncIterator[tuple[Supervised, Watched]]:
    watched = Watched()
    supervised = Supervised(settings or {}, SystemClock(), limits or Limits(), watched, command)
    async with asyncio.TaskGroup() as group:
        living = group.create_task(supervised.run())
        await watched.until(1, "ready", 20)
        yield supervised, watched
        living.cancel()


async def test_settings_arguments_and_bytes_arrive_whole() -> None:
    async with readers({"source": "pcsc"}) as (supervised, _):
        answer = await supervised.ask("echo", {}, b"\0" * 3_000_000, allowed_s=5)
    assert answer.header["values"] == {"source": "pcsc"}
    assert len(answer.content) == 3_000_000


@pytest.mark.alone
@POSIX_ONLY
@pytest.mark.parametrize("number", ["SIGKILL", "SIGSTOP", "SIGSEGV"])
async def test_killed_frozen_or_crashed_it_is_back_within_two_seconds(number: str) -> None:
    async with readers() as (supervised, watched):
        pid = supervised.pid
        assert pid is not None
        os.kill(pid, getattr(signal, number))
        await watched.until(2, "ready", BACK_S)
        assert (await supervised.ask("echo", allowed_s=5)).header["ok"] is True
        assert not psutil.pid_exists(pid)


@pytest.mark.alone
@pytest.mark.parametrize(
    ("verb", "reason"),
    [
        pytest.param("segfault", "native code crashes", marks=POSIX_ONLY),
        pytest.param("hang", "native code never returns"),
        pytest.param("hold", "native code stops every thread of Python", marks=POSIX_ONLY),
        pytest.param("lie", "what it says is no frame of ours"),
    ],
)
async def test_what_was_asked_fails_and_the_next_life_answers(verb: str, reason: str) -> None:
    async with readers() as (supervised, watched):
        with pytest.raises(CardTrouble) as refused:
            await supervised.ask(verb, allowed_s=0.3)
        assert refused.value.situation is Situation.READERS_PROCESS_DOWN, reason
        await watched.until(2, "ready", BACK_S)
        assert (await supervised.ask("echo", allowed_s=5)).header["ok"] is True


async def test_a_hung_lane_delays_no_other() -> None:
    async with readers() as (supervised, _), asyncio.TaskGroup() as group:
        hanging = group.create_task(supervised.ask("hang", allowed_s=30))
        assert (await supervised.ask("echo", allowed_s=5)).header["ok"] is True
        assert not hanging.done()
        hanging.cancel()


async def test_beyond_its_memory_it_is_started_anew() -> None:
    limits = Limits(memory_bytes=90 * 1024 * 1024)
    async with readers(limits=limits) as (supervised, watched):
        await supervised.ask("swell", {"bytes": 100 * 1024 * 1024}, allowed_s=5)
        await watched.until(2, "ready", 5)
        assert (await supervised.ask("echo", allowed_s=5)).header["ok"] is True


async def test_native_code_that_prints_and_children_that_read_break_no_frame() -> None:
    async with readers() as (supervised, watched):
        answer = await supervised.ask("print", allowed_s=20)
        assert answer.header["values"] == {"printed": True}
        assert (2, "ready") not in watched.events


@pytest.mark.parametrize(
    ("verb", "kind", "code"),
    [
        ("refuse", CardTrouble, "CARD_CHANGED"),
        ("break", UnexpectedError, "READERS_BUG"),
        ("no such verb", InvalidInput, "READERS_REQUEST_INVALID"),
    ],
)
async def test_refusals_come_back_as_they_were_and_bugs_say_nothing(
    verb: str, kind: type[VaguemestreError], code: str
) -> None:
    async with readers() as (supervised, _):
        with pytest.raises(kind) as refused:
            await supervised.ask(verb, allowed_s=5)
    assert refused.value.code == code
    assert "DUPONT" not in str(refused.value)
    assert refused.value.params == ({"tries_left": 2} if code == "CARD_CHANGED" else refused.value.params)


async def test_a_lane_with_too_much_to_do_refuses() -> None:
    async with readers() as (supervised, _):
        asked = [supervised.ask("hang", allowed_s=0.5) for _ in range(70)]
        refusals = await asyncio.gather(*asked, return_exceptions=True)
    codes = [refusal.code for refusal in refusals if isinstance(refusal, VaguemestreError)]
    assert set(codes) == {"READERS_BUSY", "READERS_PROCESS_DOWN"}
    assert len(codes) == 70
    assert isinstance(next(item for item in refusals if str(item) == "READERS_BUSY"), Conflict)


async def test_without_a_program_to_start_the_agent_only_waits() -> None:
    watched = Watched()
    supervised = Supervised({}, SystemClock(), Limits(), watched, ("/nonexistent/readers",))
    async with asyncio.TaskGroup() as group:
        living = group.create_task(supervised.run())
        await watched.until(2, "down", 5)
        with pytest.raises(CardTrouble):
            await supervised.ask("echo", allowed_s=1)
        living.cancel()


@POSIX_ONLY
async def test_it_ends_with_its_parent() -> None:
    script = (
        "import subprocess, sys, os, signal\n"
        "from vaguemestre_core.frames import Frame, encode_frame, read_frame\n"
        f"child = subprocess.Popen({ILL!r}, stdin=subprocess.PIPE, stdout=subprocess.PIPE)\n"
        "child.stdin.write(encode_frame(Frame(header={})))\n"
        "child.stdin.flush()\n"
        "read_frame(child.stdout)\n"
        "child.stdin.write(encode_frame(Frame(header={'ask': '1', 'verb': 'hold', 'allowed_s': 60})))\n"
        "child.stdin.flush()\n"
        "print(child.pid, flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    parent = await asyncio.create_subprocess_exec(sys.executable, "-c", script, stdout=asyncio.subprocess.PIPE)
    said, _ = await parent.communicate()
    child = int(said)
    assert await asyncio.to_thread(is_gone, child)
