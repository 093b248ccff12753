"""The crash self-test itself: clean on the real agent, red on each seeded bug. The real processes, killed for real."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from vaguemestre_agent.adapters.system.failpoints import FAILPOINTS
from vaguemestre_agent.selftest.crash import life, seeded
from vaguemestre_agent.selftest.crash.report import CrashReport
from vaguemestre_agent.selftest.crash.run import run_crash

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL"),
]
KILLS = 40


@pytest.mark.timeout(300)
@pytest.mark.req("SC.DMP/ALI/PROG.06", "SC.DMP/ALI/PROG.07")
async def test_an_agent_killed_at_every_step_loses_nothing_and_sends_nothing_twice(tmp_path: Path) -> None:
    report = await run_crash(KILLS, seed=20261124, folder=tmp_path, shards=3)
    assert report.is_clean, report
    assert report.kills == KILLS
    assert set(FAILPOINTS) <= set(report.at_failpoints), set(FAILPOINTS) - set(report.at_failpoints)
    assert report.acknowledged >= KILLS
    assert report.sent == report.acknowledged - report.cancelled - report.refused
    assert report.doubts > 0


def _is_seen(bug: str, report: CrashReport) -> bool:
    match bug:
        case "no_recovery":
            return report.stuck > 0
        case "stops_by_itself":
            return report.lost > 0
        case "dedup_off" | "sending_after_first_byte":
            return report.sent_twice > 0
        case _:
            raise AssertionError(bug)


@pytest.mark.timeout(120)
@pytest.mark.parametrize("bug", sorted(seeded.BUGS))
async def test_a_seeded_bug_turns_it_red(tmp_path: Path, bug: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(life, "QUIET_S", 5.0)
    report = await run_crash(3, seed=1, folder=tmp_path, bug=bug)
    assert not report.is_clean
    assert _is_seen(bug, report), report
