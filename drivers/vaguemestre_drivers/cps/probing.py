"""Tries a middleware in a child process, and explains in codes what was found: the middleware part of the doctor.

Owns what the child says and the table from facts to sentences. A middleware that
crashes or hangs costs the child only. ``explain_middleware`` is pure: the facts may come from another machine.
Diagnostics: none; the caller says what it read.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum, unique
from types import MappingProxyType
from typing import IO, Final

from vaguemestre_core.cps import CpsSituation
from vaguemestre_drivers.bounded_child import bounded_child
from vaguemestre_drivers.childlines import said
from vaguemestre_drivers.cps.middleware import FileVerdict, MiddlewareSearch
from vaguemestre_drivers.cps.probe import MARK, STEPS

PROBE_TIMEOUT_S: Final = 15.0
_KILL_WAIT_S: Final = 5.0
_MAX_OUTPUT_BYTES: Final = 65536
# Windows: the loader's "not a valid application" and "a module it needs is missing".
_BAD_IMAGE: Final = 193
_OF_STEP: Final = frozenset({"step", "failed"})

Fact = str | int


@unique
class ProbeEnd(StrEnum):
    """How the child ended."""

    FINISHED = "finished"
    CRASHED = "crashed"
    SILENT = "silent"
    NOT_STARTED = "not_started"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeReport:
    """What the child said before it ended.

    Attributes:
        end: how it ended.
        step: the last step begun, one of ``probe.STEPS``; empty when none.
        failed: whether that step said that it failed.
        exit_code: of the process: negative is a signal; None when it was killed.
        facts: rv, errno, cryptoki, library, description, readers, cards: those that were reached.
    """

    end: ProbeEnd
    step: str = ""
    failed: bool = False
    exit_code: int | None = None
    facts: Mapping[str, Fact] = field(default_factory=dict)

    @property
    def version(self) -> tuple[int, int] | None:
        """The library's version, when it said one."""
        text = str(self.facts.get("library", ""))
        major, dot, minor = text.partition(".")
        return (int(major), int(minor)) if dot and major.isdigit() and minor.isdigit() else None

    def count(self, name: str) -> int | None:
        """Return a number the child said (readers, cards, rv, errno), or None."""
        value = self.facts.get(name)
        return value if isinstance(value, int) else None


def read_report(output: bytes, *, end: ProbeEnd, exit_code: int | None) -> ProbeReport:
    """Read the child's lines; whatever the middleware printed between them is skipped. Never raises."""
    step, failed = "", False
    facts: dict[str, Fact] = {}
    for line in said(output.decode("utf-8", "replace"), MARK):
        if line.get("step") in STEPS:
            step, failed = str(line["step"]), bool(line.get("failed", 0))
            facts.update({k: value for k, value in line.items() if k not in _OF_STEP and isinstance(value, str | int)})
    return ProbeReport(end=end, step=step, failed=failed, exit_code=exit_code, facts=MappingProxyType(facts))


def probe_middleware(
    path: str, *, timeout_s: float = PROBE_TIMEOUT_S, command: Sequence[str] | None = None
) -> ProbeReport:
    """Load ``path`` in a child and return what it said; blocks for ``timeout_s`` + 5 seconds at most.

    Args:
        path: the library.
        timeout_s: how long the middleware may take in all, seconds.
        command: what starts the child, for a frozen program; the path is added.
    """
    start = [*(command or (sys.executable, "-m", "vaguemestre_drivers.cps.probe")), path]
    try:
        with bounded_child(start, timeout_s=timeout_s, kill_wait_s=_KILL_WAIT_S) as ended:
            end = ProbeEnd.SILENT if ended.status is None else ProbeEnd.FINISHED
            return _judged(read_report(_tail(ended.output), end=end, exit_code=ended.status))
    except OSError:
        return ProbeReport(end=ProbeEnd.NOT_STARTED)


def _judged(report: ProbeReport) -> ProbeReport:
    """Tell a child that never began, and one that a middleware ended politely, from one that finished."""
    if report.end is not ProbeEnd.FINISHED:
        return report
    if not report.step:
        return replace(report, end=ProbeEnd.NOT_STARTED)
    has_finished = report.exit_code == 0 and (report.failed or report.step == STEPS[-1])
    return report if has_finished else replace(report, end=ProbeEnd.CRASHED)


def _tail(output: IO[bytes]) -> bytes:
    size = output.seek(0, 2)
    output.seek(max(0, size - _MAX_OUTPUT_BYTES))
    return output.read()


@unique
class TechnicalReason(StrEnum):
    """The sentence for the technician; the values are codes of the catalogue."""

    NO_FILE = "MIDDLEWARE_TECH_NO_FILE"
    OVERRIDE_MISSING = "MIDDLEWARE_TECH_OVERRIDE_MISSING"
    UNREADABLE_FILE = "MIDDLEWARE_TECH_UNREADABLE_FILE"
    NOT_A_LIBRARY = "MIDDLEWARE_TECH_NOT_A_LIBRARY"
    OTHER_ARCHITECTURE = "MIDDLEWARE_TECH_OTHER_ARCHITECTURE"
    DEPENDENCY_MISSING = "MIDDLEWARE_TECH_DEPENDENCY_MISSING"
    NO_ENTRY_POINT = "MIDDLEWARE_TECH_NO_ENTRY_POINT"
    CALL_FAILED = "MIDDLEWARE_TECH_CALL_FAILED"
    CRASHED = "MIDDLEWARE_TECH_CRASHED"
    SILENT = "MIDDLEWARE_TECH_SILENT"
    NOT_TRIED = "MIDDLEWARE_TECH_NOT_TRIED"
    TOO_OLD = "MIDDLEWARE_TECH_TOO_OLD"
    NO_READER = "MIDDLEWARE_TECH_NO_READER"
    NO_CARD = "MIDDLEWARE_TECH_NO_CARD"
    WORKS = "MIDDLEWARE_TECH_WORKS"


@dataclass(frozen=True, slots=True, kw_only=True)
class MiddlewareExplanation:
    """What the doctor says of the middleware.

    Attributes:
        situation: code of the sentence for the practice, or None when the middleware works.
        reason: code of the sentence for the technician.
        params: what both sentences may name; nothing personal.
        path: the library that was found, if any.
        version: of the library, when it was reached.
    """

    situation: CpsSituation | None
    reason: TechnicalReason
    params: Mapping[str, str | int]
    path: str | None = None
    version: tuple[int, int] | None = None


def explain_middleware(
    found: MiddlewareSearch, report: ProbeReport | None, *, minimum_version: tuple[int, int] | None = None
) -> MiddlewareExplanation:
    """Say why the middleware is not seen, or that it works.

    Args:
        found: what the file system says.
        report: what the child said of the chosen library; None when it was not tried.
        minimum_version: the oldest that reads the cards in use; None to accept any.
    """
    chosen = found.chosen
    if chosen is None:
        return _explain_file(found)
    params: dict[str, str | int] = {"path": chosen.path}
    if report is None or report.end is ProbeEnd.NOT_STARTED:
        return _said(None, TechnicalReason.NOT_TRIED, params)
    params |= {name: value for name, value in report.facts.items() if name != "rv"}
    rv = report.count("rv")
    params |= {"step": report.step, "rv": "-" if rv is None else f"0x{rv:08X}"}
    if report.end is ProbeEnd.CRASHED:
        params["exit_code"] = report.exit_code or 0
        return _said(CpsSituation.MIDDLEWARE_CRASHED, TechnicalReason.CRASHED, params, report)
    if report.end is ProbeEnd.SILENT:
        return _said(CpsSituation.MIDDLEWARE_SILENT, TechnicalReason.SILENT, params, report)
    if report.failed:
        return _explain_step(report, params)
    return _explain_working(report, params, minimum_version)


def _said(
    situation: CpsSituation | None,
    reason: TechnicalReason,
    params: Mapping[str, str | int],
    report: ProbeReport | None = None,
) -> MiddlewareExplanation:
    path = params.get("path")
    return MiddlewareExplanation(
        situation=situation,
        reason=reason,
        params=MappingProxyType(dict(params)),
        path=path if isinstance(path, str) else None,
        version=None if report is None else report.version,
    )


def _explain_file(found: MiddlewareSearch) -> MiddlewareExplanation:
    wrong = found.best_wrong
    if wrong is None:
        reason = TechnicalReason.OVERRIDE_MISSING if found.is_override else TechnicalReason.NO_FILE
        return _said(CpsSituation.MIDDLEWARE_ABSENT, reason, {"paths": ", ".join(one.path for one in found.candidates)})
    params: dict[str, str | int] = {
        "path": wrong.path,
        "found": ", ".join(wrong.made_for) or "?",
        "needed": found.needed or "?",
    }
    if wrong.verdict is FileVerdict.OTHER_ARCHITECTURE:
        return _said(CpsSituation.MIDDLEWARE_WRONG_ARCHITECTURE, TechnicalReason.OTHER_ARCHITECTURE, params)
    is_library = wrong.verdict is not FileVerdict.NOT_A_LIBRARY
    reason = TechnicalReason.UNREADABLE_FILE if is_library else TechnicalReason.NOT_A_LIBRARY
    return _said(CpsSituation.MIDDLEWARE_UNLOADABLE, reason, params)


def _explain_step(report: ProbeReport, params: Mapping[str, str | int]) -> MiddlewareExplanation:
    if report.step == "load":
        bad_image = report.count("errno") == _BAD_IMAGE
        reason = TechnicalReason.NOT_A_LIBRARY if bad_image else TechnicalReason.DEPENDENCY_MISSING
        return _said(CpsSituation.MIDDLEWARE_UNLOADABLE, reason, params, report)
    if report.step == "entry" and report.count("rv") is None:
        return _said(CpsSituation.MIDDLEWARE_UNLOADABLE, TechnicalReason.NO_ENTRY_POINT, params, report)
    return _said(CpsSituation.MIDDLEWARE_FAILED, TechnicalReason.CALL_FAILED, params, report)


def _explain_working(
    report: ProbeReport, params: dict[str, str | int], minimum_version: tuple[int, int] | None
) -> MiddlewareExplanation:
    version = report.version
    if minimum_version is not None and version is not None and version < minimum_version:
        params |= {"found": f"{version[0]}.{version[1]}", "needed": f"{minimum_version[0]}.{minimum_version[1]}"}
        return _said(CpsSituation.MIDDLEWARE_TOO_OLD, TechnicalReason.TOO_OLD, params, report)
    if report.count("readers") == 0:
        return _said(None, TechnicalReason.NO_READER, params, report)
    if report.count("cards") == 0:
        return _said(None, TechnicalReason.NO_CARD, params, report)
    return _said(None, TechnicalReason.WORKS, params, report)
