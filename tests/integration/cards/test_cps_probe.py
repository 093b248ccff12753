"""A middleware that hangs, crashes, refuses or prints costs its child only, and is told from one that works."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest

from vaguemestre_cardkit.building import built
from vaguemestre_cardkit.fault_modules import compiled
from vaguemestre_core.cps import CpsSituation
from vaguemestre_drivers.cps.middleware import Architecture, program_architecture, read_head, search
from vaguemestre_drivers.cps.middleware import HostSystem as System
from vaguemestre_drivers.cps.probing import (
    MiddlewareExplanation,
    ProbeEnd,
    ProbeReport,
    TechnicalReason,
    explain_middleware,
    probe_middleware,
)

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the faulty libraries are compiled for Linux or macOS")


def explained(library: Path, report: ProbeReport) -> MiddlewareExplanation:
    found = search([str(library)], system=System.LINUX, needed=program_architecture(), read_head=read_head)
    return explain_middleware(found, report)


@pytest.mark.parametrize("step", ["load", "entry", "initialize", "info", "slots"])
def test_a_crash_is_survived_and_named(tmp_path: Path, step: str) -> None:
    library = compiled(tmp_path, "crash", step)
    report = probe_middleware(str(library))
    assert (report.end, report.step) == (ProbeEnd.CRASHED, step)
    assert explained(library, report).situation is CpsSituation.MIDDLEWARE_CRASHED


@pytest.mark.parametrize("step", ["load", "entry", "initialize", "slots"])
def test_a_hang_is_ended_and_named(tmp_path: Path, step: str) -> None:
    library = compiled(tmp_path, "hang", step)
    begun = time.monotonic()
    report = probe_middleware(str(library), timeout_s=1.5)
    assert time.monotonic() - begun < 6
    # A slow machine may not reach the step in time: what is sure is that the child is ended.
    assert report.end in {ProbeEnd.SILENT}
    assert report.step in {"", "load", "entry", "initialize", "info", "slots"}
    assert explained(library, report).situation is CpsSituation.MIDDLEWARE_SILENT


def test_a_refusal_gives_its_code(tmp_path: Path) -> None:
    library = compiled(tmp_path, "refuse", "initialize")
    said = explained(library, probe_middleware(str(library)))
    assert (said.situation, said.reason) == (CpsSituation.MIDDLEWARE_FAILED, TechnicalReason.CALL_FAILED)
    assert (said.params["rv"], said.params["step"]) == ("0x00000030", "initialize")


def test_what_the_library_prints_is_not_believed(tmp_path: Path) -> None:
    library = compiled(tmp_path, "print", "initialize")
    said = explained(library, probe_middleware(str(library)))
    assert (said.reason, said.params["step"]) == (TechnicalReason.CALL_FAILED, "initialize")


def test_a_library_that_ends_the_process_is_a_crash(tmp_path: Path) -> None:
    library = compiled(tmp_path, "leave", "slots")
    assert explained(library, probe_middleware(str(library))).situation is CpsSituation.MIDDLEWARE_CRASHED


def test_a_library_that_works_and_sees_nothing(tmp_path: Path) -> None:
    library = compiled(tmp_path, "none", "none")
    said = explained(library, probe_middleware(str(library)))
    assert (said.situation, said.reason, said.version) == (None, TechnicalReason.NO_READER, (5, 2))


def test_a_library_that_is_no_pkcs11(tmp_path: Path) -> None:
    library = built(tmp_path, "plain", "int nothing(void) { return 0; }\n")
    said = explained(library, probe_middleware(str(library)))
    assert said.reason is TechnicalReason.NO_ENTRY_POINT


def test_a_child_that_cannot_start_is_not_the_library_s_fault(tmp_path: Path) -> None:
    library = compiled(tmp_path, "none", "none")
    for command in ((str(tmp_path / "absent"),), (sys.executable, "-c", "import absent_module")):
        report = probe_middleware(str(library), command=command)
        assert report.end is ProbeEnd.NOT_STARTED
        assert explained(library, report).reason is TechnicalReason.NOT_TRIED


def test_the_architecture_of_what_was_compiled_is_read(tmp_path: Path) -> None:
    needed = program_architecture()
    library = compiled(tmp_path, "none", "none")
    found = search([str(library)], system=System.LINUX, needed=needed, read_head=read_head)
    assert found.chosen is not None
    other = next(one for one in Architecture if one is not needed)
    assert search([str(library)], system=System.LINUX, needed=other, read_head=read_head).chosen is None
