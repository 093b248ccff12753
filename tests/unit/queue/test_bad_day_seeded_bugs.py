"""The tests of bad days can fail: each one here runs with a bug put in on purpose, and must turn red."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import cast

import pytest

from vaguemestre_queue import opening, setaside, soundness, timekeeping
from vaguemestre_testkit.loading import loaded

RED = (AssertionError, pytest.fail.Exception)
Scenario = Callable[[Path], Awaitable[None]]


def scenario(module: str, name: str) -> Scenario:
    """Return a test of a file beside this one."""
    return cast("Scenario", getattr(loaded(Path(__file__).with_name(f"{module}.py")), name))


def nothing(*args: object, **kwargs: object) -> None:
    """Do nothing, where something must be done."""


def no(*args: object, **kwargs: object) -> bool:
    return False


BUGS = (
    (
        timekeeping,
        "keep_time",
        nothing,
        "test_bad_day_clocks",
        "test_a_clock_ahead_at_acceptance_then_corrected_makes_nobody_wait",
    ),
    (
        timekeeping,
        "_move_schedules",
        lambda *a: 0,
        "test_bad_day_clocks",
        "test_a_clock_set_ahead_lets_nothing_leave_before_its_delay",
    ),
    (
        timekeeping,
        "_move_attempts",
        lambda *a: 0,
        "test_bad_day_clocks",
        "test_an_attempt_put_off_under_a_wrong_clock_comes_when_it_should",
    ),
    (
        setaside,
        "hold_if_altered",
        no,
        "test_bad_day_altered_rows",
        "test_a_document_given_to_another_patient_in_the_file_never_leaves",
    ),
    (
        setaside,
        "believe_again",
        nothing,
        "test_bad_day_altered_rows",
        "test_a_row_set_aside_by_somebody_else_is_believed_again",
    ),
    (opening, "is_damaged", no, "test_bad_day_damaged_pages", "test_damage_in_the_log_is_no_silent_end_of_it"),
    (
        soundness.Soundness,
        "note",
        nothing,
        "test_bad_day_disk",
        "test_a_file_that_became_read_only_refuses_reads_on_and_recovers",
    ),
)


@pytest.mark.parametrize(("where", "name", "bug", "module", "test"), BUGS)
async def test_a_bug_put_in_on_purpose_turns_its_test_red(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: object, name: str, bug: object, module: str, test: str
) -> None:
    run = scenario(module, test)
    await run(tmp_path / "sound")
    monkeypatch.setattr(where, name, bug)
    with pytest.raises(RED):
        await run(tmp_path / "seeded")
