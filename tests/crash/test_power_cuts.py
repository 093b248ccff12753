"""A power cut at any point of a working day loses nothing that was acknowledged."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import pytest

from vaguemestre_agent.selftest.power.command import EXIT_CLEAN, EXIT_FAULTY, add_arguments, as_text, run
from vaguemestre_agent.selftest.power.images import KINDS
from vaguemestre_agent.selftest.power.run import run_power


def test_nothing_acknowledged_is_lost_at_any_cut(tmp_path: Path) -> None:
    report = run_power(300, 1, folder=tmp_path)
    assert report.clean, report.findings
    # The test means something: most cuts come after an answer was given, all kinds were tried, flushes were cut around.
    assert report.checked > 250
    assert {count.kind for count in report.by_kind if count.cuts} == {kind.value for kind in KINDS}
    assert report.flushes > 40
    assert report.acknowledgements > 150
    assert list(tmp_path.iterdir()) == []


def test_another_seed_is_another_day(tmp_path: Path) -> None:
    report = run_power(100, 20261124, folder=tmp_path)
    assert report.clean, report.findings


def _arguments(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return parser.parse_args(words)


def test_the_command_tells_what_was_found_and_says_it_by_its_exit_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    assert run(_arguments("--cuts", "12", "--folder", str(tmp_path), "--json"), told.append) == EXIT_CLEAN
    report = json.loads(told[0])
    assert (report["cuts"], report["clean"], report["lost"]) == (12, True, 0)
    faulty = run_power(30, 1, recovering=False, folder=tmp_path)
    monkeypatch.setattr("vaguemestre_agent.selftest.power.run.run_power", lambda *_a, **_k: faulty)
    assert run(_arguments("--cuts", "12"), told.append) == EXIT_FAULTY
    assert "Des pertes ont été constatées." in told[1]
    assert as_text(faulty) == told[1]
