"""Bad days at the start: an agent whose store cannot be opened answers, says why, refuses, and recovers by itself."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from vaguemestre_agent.composition import running_agent
from vaguemestre_agent.parts import Parts
from vaguemestre_agent.paths import AgentPaths, agent_paths
from vaguemestre_agent.settings import AgentSettings, KeyStoreKind, Settings
from vaguemestre_api.client import Client, Credentials
from vaguemestre_api.failures import ApiProblem
from vaguemestre_core.errors import StoreError
from vaguemestre_testkit.clocks import FakeClock


class WatchedClock(FakeClock):
    """Says when somebody begins to wait."""

    def __init__(self) -> None:
        super().__init__()
        self.slept = asyncio.Event()

    async def sleep(self, seconds: float) -> None:
        self.slept.set()
        await super().sleep(seconds)


SETTINGS = Settings(agent=AgentSettings(key_store=KeyStoreKind.FILE, station="POSTE-1"))
NOBODY = Credentials(client_id="lgc", secret="secret")


@asynccontextmanager
async def starting(paths: AgentPaths, clock: FakeClock) -> AsyncIterator[asyncio.Event]:
    """An agent on its way up; the event is set once it is ready."""
    ready, stop = asyncio.Event(), asyncio.Event()

    async def live() -> None:
        async with running_agent(SETTINGS, paths, Parts(clock=clock)):
            ready.set()
            await stop.wait()

    async with asyncio.TaskGroup() as group:
        task = group.create_task(live())
        try:
            yield ready
        finally:
            stop.set()
            if not ready.is_set():
                task.cancel()


@pytest.fixture
async def home(tmp_path: Path) -> AgentPaths:
    """A home that an agent has lived in."""
    paths = agent_paths({"VAGUEMESTRE_HOME": str(tmp_path)})
    async with starting(paths, FakeClock()) as ready, asyncio.timeout(20):
        await ready.wait()
    return paths


def too_new(file: Path) -> None:
    raw = sqlite3.connect(file)
    raw.execute("PRAGMA user_version = 99")
    raw.close()


def torn(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[4096 : 4096 * 4] = bytes(4096 * 3)
    file.write_bytes(content)


def no_database(file: Path) -> None:
    file.write_bytes(b"not a database" * 1000)


async def codes(paths: AgentPaths, credentials: Credentials | None = None) -> tuple[bool, list[str]]:
    async with Client(paths.endpoint, credentials) as client:
        health = await client.health()
    assert all(item.title and item.action for item in health.items if not item.ok)
    return health.ready, [item.code for item in health.items if not item.ok]


@pytest.mark.parametrize(
    ("spoil", "code"), [(too_new, "STORE_TOO_NEW"), (torn, "STORE_CORRUPT"), (no_database, "STORE_CORRUPT")]
)
async def test_a_store_that_cannot_be_opened_is_explained_refused_and_tried_again(
    home: AgentPaths, spoil: object, code: str
) -> None:
    database = home.state / "queue.db"
    good = database.read_bytes()
    assert callable(spoil)
    spoil(database)
    spoiled = database.read_bytes()
    clock = WatchedClock()
    async with starting(home, clock) as ready, asyncio.timeout(30):
        await clock.slept.wait()  # it listens, and waits for its next try
        assert await codes(home) == (False, [code])
        assert await codes(home, NOBODY) == (False, [code])  # health answers those it cannot know too
        async with Client(home.endpoint, NOBODY) as client:
            with pytest.raises(ApiProblem) as refused:
                await client.orders()
        assert refused.value.code == code
        assert not ready.is_set()
        assert database.read_bytes() == spoiled  # left as it is, byte for byte
        database.write_bytes(good)
        clock.advance(16)
        await ready.wait()
        is_ready, ailing = await codes(home)
    assert is_ready
    assert code not in ailing


async def test_lost_keys_still_prevent_the_start(home: AgentPaths) -> None:
    (home.state / "keys.json").unlink()
    with pytest.raises((StoreError, BaseExceptionGroup)):
        async with running_agent(SETTINGS, home, Parts(clock=FakeClock())):
            pass
