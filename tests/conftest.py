"""What every test gets: the evidence of the requirements that it proves, and one test PKI for all the sandboxes."""

from __future__ import annotations

from pathlib import Path

import pytest

from vaguemestre_sandbox.pki import open_pki

pytest_plugins = ["vaguemestre_testkit.evidence"]


@pytest.fixture(scope="session")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a sandbox's PKI, made once: making keys takes longer than everything else."""
    folder = tmp_path_factory.mktemp("pki")
    open_pki(folder)
    return folder
