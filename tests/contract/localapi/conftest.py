"""Every backend that the contract tests of the local API run over."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from vaguemestre_api.client import Client
from vaguemestre_testkit.api_harness import ALL_SCOPES, ApiHarness, MemoryHarness, paired
from vaguemestre_testkit.api_server import serving
from vaguemestre_testkit.raw_stream import api_address
from vaguemestre_testkit.services_harness import services_harness


@pytest.fixture(params=["memory", "services"])
async def harness(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[ApiHarness]:
    if request.param == "memory":
        yield MemoryHarness()
        return
    async with services_harness(tmp_path) as made:
        yield made


@pytest.fixture
def socket() -> Iterator[Path]:
    with api_address() as path:
        yield path


@pytest.fixture
async def lgc(harness: ApiHarness, socket: Path) -> AsyncIterator[Client]:
    async with serving(harness.backend, socket), await paired(harness, socket) as client:
        yield client


@pytest.fixture
async def admin(harness: ApiHarness, socket: Path, lgc: Client) -> AsyncIterator[Client]:
    async with await paired(harness, socket, scopes=ALL_SCOPES, name="Administration") as client:
        yield client
