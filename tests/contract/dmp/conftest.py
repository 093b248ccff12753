"""Every test of the contract runs on both benches."""

from __future__ import annotations

from pathlib import Path

import pytest

from vaguemestre_testkit.dmp_bench import Opener, double_bench, sandbox_bench


@pytest.fixture(params=["double", "sandbox"])
def bench(request: pytest.FixtureRequest, tmp_path: Path, pki: Path) -> Opener:
    make = double_bench if request.param == "double" else sandbox_bench
    return lambda: make(tmp_path / "state", pki)
