"""Evidence: what a run leaves, what it refuses, and that nothing is written unless asked."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SUPPORT = Path(__file__).resolve().parents[2] / "support"
SUITE = """
import pytest

@pytest.mark.req("R.1")
def test_good():
    assert 1 + 1 == 2

@pytest.mark.req("R.1", "R.2")
def test_bad():
    assert False

@pytest.mark.req("R.2")
@pytest.mark.skipif(1 == 1, reason="later")
def test_later():
    assert 1 + 1 == 2

def test_unmarked():
    assert 1 + 1 == 2
"""


def run(folder: Path, suite: str, evidence: Path | None, *words: str) -> subprocess.CompletedProcess[str]:
    (folder / "docs").mkdir(exist_ok=True)
    ids = {"requirements": [{"id": "R.1", "chapter": 1}, {"id": "R.2", "chapter": 1}]}
    (folder / "docs" / "requirements-ids.json").write_text(json.dumps(ids))
    (folder / "pytest.ini").write_text("[pytest]\nmarkers =\n    req(*ids): proves\n")
    (folder / "test_suite.py").write_text(suite)
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("VAGUEMESTRE_", "PYTEST_"))
    }
    environment["PYTHONPATH"] = str(SUPPORT)
    if evidence is not None:
        environment["VAGUEMESTRE_EVIDENCE"] = str(evidence)
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "vaguemestre_testkit.evidence",
        "-p",
        "no:cacheprovider",
        *words,
    ]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=["one-process", "workers"])
def test_outcomes_are_kept_by_requirement_and_merged(tmp_path: Path, workers: tuple[str, ...]) -> None:
    target = tmp_path / "evidence" / "requirements.json"
    run(tmp_path, SUITE, target, *workers)
    first = json.loads(target.read_text())
    run(tmp_path, SUITE.replace("assert False", "assert 1 == 1"), target, "-k", "bad", *workers)
    second = json.loads(target.read_text())

    def outcomes(kept: dict[str, dict[str, dict[str, str]]]) -> dict[str, dict[str, str]]:
        return {
            one: {test.split("::")[1]: left["outcome"] for test, left in tests.items()} for one, tests in kept.items()
        }

    assert outcomes(first) == {
        "R.1": {"test_good": "passed", "test_bad": "failed"},
        "R.2": {"test_bad": "failed", "test_later": "skipped"},
    }
    assert outcomes(second)["R.1"] == {"test_good": "passed", "test_bad": "passed"}
    assert set(first["R.1"]["test_suite.py::test_good"]) == {"outcome", "date", "version", "platform"}


def test_nothing_is_written_unless_asked(tmp_path: Path) -> None:
    run(tmp_path, SUITE, None)

    assert sorted(path.name for path in tmp_path.iterdir() if path.suffix == ".json") == []
    assert not (tmp_path / "evidence").exists()


def test_an_unknown_id_stops_the_run(tmp_path: Path) -> None:
    done = run(tmp_path, SUITE.replace('"R.2")\n@', '"R.99")\n@'), tmp_path / "e.json")

    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert "R.99" in done.stderr + done.stdout
    assert not (tmp_path / "e.json").exists()
