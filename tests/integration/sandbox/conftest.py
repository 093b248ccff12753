"""A sandbox over real TLS for each test of this folder."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from vaguemestre_sandbox.sandbox import Sandbox
from vaguemestre_sandbox.settings import ProxyProfile, SandboxConfig
from vaguemestre_sandboxkit.client import Caller


@pytest.fixture
def config(tmp_path: Path, pki: Path) -> SandboxConfig:
    return SandboxConfig(
        state_dir=tmp_path / "state",
        pki_dir=pki,
        proxy=ProxyProfile(ciba_poll_interval_s=0.01, ciba_expires_in_s=5.0, backend_timeout_s=10.0),
    )


@pytest.fixture
async def sandbox(config: SandboxConfig) -> AsyncIterator[Sandbox]:
    async with Sandbox.start(config) as running:
        yield running


@pytest.fixture
async def caller(sandbox: Sandbox) -> AsyncIterator[Caller]:
    made = Caller(sandbox)
    yield made
    await made.close()
