"""The crash self-test itself: clean on the real agent, red on each seeded bug. The real processes, killed for real."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from vaguemestre_agent.adapters.system.failpoints import FAILPOINTS
from vaguemestre_agent.selftest.crash import life, seeded
from vaguemestre_agent.selftest.crash.failures import VISITS
from vaguemestre_agent.selftest.crash.report import MUST_BE_ZERO
from vaguemestre_agent.selftest.crash.run import run_crash

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL"),
]
SHARDS = 5


@pytest.mark.timeout(300)
@pytest.mark.req("SC.DMP/ALI/PROG.06", "SC.DMP/ALI/PROG.07")
async def test_an_agent_killed_at_every_step_loses_nothing_and_sends_nothing_twice(tmp_path: Path) -> None:
    report = await run_crash(len(VISITS), seed=20261124, folder=tmp_path, shards=SHARDS)
    assert report.is_clean, report
    assert report.kills == len(VISITS)
    assert {visit.name for visit in VISITS} <= set(report.at_failpoints), report.at_failpoints
    assert set(FAILPOINTS) <= set(report.at_failpoints)
    assert report.acknowledged >= report.kills
    assert report.replaced > 0
    assert report.changed > 0
    assert report.deleted > 0
    assert report.doubts > 0


@pytest.mark.timeout(120)
@pytest.mark.parametrize("bug", sorted(seeded.BUGS))
async def test_a_seeded_bug_turns_it_red(tmp_path: Path, bug: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(life, "PATIENCE_S", 3.0)
    monkeypatch.setattr(life, "VISIT_S", 4.0)
    sown = seeded.BUGS[bug]
    report = await run_crash(len(sown.visits), seed=1, folder=tmp_path, bug=bug)
    assert not report.is_clean
    assert sown.figure in MUST_BE_ZERO
    assert getattr(report, sown.figure) > 0, report
