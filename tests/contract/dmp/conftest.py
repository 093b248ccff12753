"""Every test of the contract runs on both benches."""

from __future__ import annotations

from pathlib import Path

import pytest

from vaguemestre_testkit.dmp_bench import Opener, double_bench, sandbox_bench


@pytest.fixture(scope="session")
def pki_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("sandbox-pki")


@pytest.fixture(params=["double", "sandbox"])
def bench(request: pytest.FixtureRequest, tmp_path: Path, pki_dir: Path) -> Opener:
    make = double_bench if request.param == "double" else sandbox_bench
    return lambda: make(tmp_path / "state", pki_dir)
