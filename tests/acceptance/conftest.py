"""One test PKI for all the sandboxes: making keys takes longer than everything else."""

from __future__ import annotations

from pathlib import Path

import pytest

from vaguemestre_sandbox.pki import open_pki


@pytest.fixture(scope="session")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pki")
    open_pki(folder)
    return folder
