"""The socket file: who may use it, what becomes of a dead one, and that a living agent is never disturbed."""

from __future__ import annotations

import asyncio
import os
import socket as sockets
import stat
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from vaguemestre_agent.localapi.firstpairing import keep_first_code, write_private
from vaguemestre_agent.localapi.lock import AgentLock
from vaguemestre_api.client import Client
from vaguemestre_api.endpoint import Endpoint
from vaguemestre_api.failures import AgentNotRunning
from vaguemestre_core.errors import Conflict, StoreError
from vaguemestre_core.records import Actor
from vaguemestre_testkit.api_harness import ALL_SCOPES, MemoryHarness, paired
from vaguemestre_testkit.api_server import serving
from vaguemestre_testkit.memory_backend import MemoryBackend

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Unix sockets")


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="vg") as name:
        yield Path(name)


async def test_only_the_owner_may_use_it(folder: Path) -> None:
    path = folder / "run" / "a.sock"
    async with serving(MemoryBackend(), path):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert not path.exists()


async def test_an_open_folder_is_closed(folder: Path) -> None:
    run = folder / "run"
    run.mkdir(mode=0o777)
    async with serving(MemoryBackend(), run / "a.sock"):
        assert stat.S_IMODE(run.stat().st_mode) == 0o700


async def test_the_peer_is_who_the_system_says(folder: Path) -> None:
    harness = MemoryHarness()
    path = folder / "a.sock"
    identity = f"uid:{os.getuid()}"
    async with serving(harness.backend, path), await paired(harness, path, os_identity=identity) as client:
        assert (await client.orders()).orders == ()


async def test_a_dead_agents_socket_is_replaced(folder: Path) -> None:
    path = folder / "a.sock"
    dead = sockets.socket(sockets.AF_UNIX)
    dead.bind(str(path))
    dead.close()

    async with serving(MemoryBackend(), path), Client(Endpoint(address=str(path))) as client:
        assert (await client.health()).ready


async def test_a_living_agent_is_not_disturbed(folder: Path) -> None:
    path = folder / "a.sock"
    async with serving(MemoryBackend(), path):
        with pytest.raises(Conflict, match="AGENT_ALREADY_RUNNING"):
            async with serving(MemoryBackend(), path):
                pytest.fail("a second agent listens")
        async with Client(Endpoint(address=str(path))) as client:
            assert (await client.health()).ready


async def test_what_is_no_socket_is_left_alone(folder: Path) -> None:
    path = folder / "a.sock"
    path.write_text("notes")

    with pytest.raises(StoreError, match="not_a_socket"):
        async with serving(MemoryBackend(), path):
            pytest.fail("it listens")
    assert path.read_text() == "notes"


async def test_a_path_too_long_is_said(folder: Path) -> None:
    with pytest.raises(StoreError, match="path_too_long"):
        async with serving(MemoryBackend(), folder / ("x" * 120) / "a.sock"):
            pytest.fail("it listens")


async def test_without_an_agent_the_client_says_so_at_once(folder: Path) -> None:
    async with Client(Endpoint(address=str(folder / "a.sock"), lock=folder / "lock"), start_grace_s=60) as client:
        with pytest.raises(AgentNotRunning):
            await client.health()


async def test_a_client_waits_while_an_agent_is_starting(folder: Path) -> None:
    path = folder / "a.sock"
    lock = AgentLock(folder / "lock")
    lock.take()
    client = Client(Endpoint(address=str(path), lock=lock.path), start_grace_s=10)
    try:
        async with client, asyncio.timeout(10), asyncio.TaskGroup() as group:
            waiting = group.create_task(client.health())
            for _ in range(5):  # it begins to try, and finds nobody
                await asyncio.sleep(0)
            assert not waiting.done()
            async with serving(MemoryBackend(), path):
                assert (await waiting).ready
    finally:
        lock.free()


def test_the_lock_is_for_one(folder: Path) -> None:
    first, second = AgentLock(folder / "lock"), AgentLock(folder / "lock")
    endpoint = Endpoint(address="x", lock=folder / "lock")
    assert not endpoint.agent_lives()

    first.take()
    assert endpoint.agent_lives()
    with pytest.raises(Conflict, match="AGENT_ALREADY_RUNNING"):
        second.take()
    first.free()
    second.take()
    second.free()
    assert not endpoint.agent_lives()


def test_a_private_file_is_private_from_its_first_byte(folder: Path) -> None:
    path = folder / "secret"
    before = os.umask(0)
    try:
        write_private(path, b"one")
        write_private(path, b"two")
    finally:
        os.umask(before)

    assert path.read_bytes() == b"two"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


class SteppingClock:
    """A boot-time clock that moves when somebody sleeps, and does something at a given step."""

    def __init__(self, backend: MemoryBackend, path: Path) -> None:
        self._backend = backend
        self._path = path
        self._boot_s = 0.0
        self.codes: list[str] = []

    def now(self) -> object:
        return self._backend.now

    def boot_s(self) -> float:
        return self._boot_s

    def boot_id(self) -> str:
        return "boot"

    async def sleep(self, seconds: float) -> None:
        self._boot_s += seconds
        code = self._path.read_text()
        if code not in self.codes:
            self.codes.append(code)
        if len(self.codes) == 3:
            await self._backend.pair("LGC", ALL_SCOPES, None, None, Actor(user="test"))


async def test_the_first_code_is_renewed_until_somebody_is_paired(folder: Path) -> None:
    backend = MemoryBackend()
    path = folder / "first-pairing-code"
    clock = SteppingClock(backend, path)

    await keep_first_code(backend, path, clock)  # type: ignore[arg-type]

    assert len(clock.codes) == 3
    assert not path.exists()
