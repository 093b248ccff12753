"""Fixtures of the adapters' tests."""

from __future__ import annotations

import pytest

from vaguemestre_testkit.tls_server import TestPki, make_pki


@pytest.fixture(scope="session")
def pki(tmp_path_factory: pytest.TempPathFactory) -> TestPki:
    return make_pki(tmp_path_factory.mktemp("pki"))
