"""Every backend that the contract tests of the local API run over."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from vaguemestre_api.client import Client
from vaguemestre_testkit.api_harness import ALL_SCOPES, ApiHarness, MemoryHarness, paired
from vaguemestre_testkit.api_server import serving

# One more implementation is one more line: the harness of the real services belongs here.
HARNESSES = {"memory": MemoryHarness}


@pytest.fixture(params=sorted(HARNESSES))
def harness(request: pytest.FixtureRequest) -> ApiHarness:
    return HARNESSES[request.param]()


@pytest.fixture
def socket() -> Iterator[Path]:
    """A short path: a socket's name holds about a hundred characters."""
    with tempfile.TemporaryDirectory(prefix="vg") as folder:
        yield Path(folder) / "run" / "a.sock"


@pytest.fixture
async def lgc(harness: ApiHarness, socket: Path) -> AsyncIterator[Client]:
    async with serving(harness.backend, socket), await paired(harness, socket) as client:
        yield client


@pytest.fixture
async def admin(harness: ApiHarness, socket: Path, lgc: Client) -> AsyncIterator[Client]:
    async with await paired(harness, socket, scopes=ALL_SCOPES, name="Administration") as client:
        yield client
