"""pytest plugin: each test marked with requirement ids leaves a dated outcome; unknown ids fail the run.

The file is written only when ``VAGUEMESTRE_EVIDENCE`` names it, and merged with what it holds: a run of part of the
tests replaces what it ran and nothing else.
"""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Final

import pytest

ENVIRONMENT: Final = "VAGUEMESTRE_EVIDENCE"
PROPERTY: Final = "requirement"
IDS_FILE: Final = Path("docs/requirements-ids.json")
_WORST: Final = {"passed": 0, "skipped": 1, "failed": 2}


def known_ids(root: Path) -> frozenset[str]:
    """Return the ids of the requirements."""
    listed = json.loads((root / IDS_FILE).read_text("utf-8"))
    return frozenset(item["id"] for item in listed["requirements"])


def unknown_marks(root: Path, marked: Mapping[str, tuple[str, ...]]) -> dict[str, list[str]]:
    """Return, for each test, the ids it names that are no requirement."""
    known = known_ids(root)
    return {test: wrong for test, ids in marked.items() if (wrong := [one for one in ids if one not in known])}


class EvidencePlugin:
    """Collects outcomes of one run."""

    def __init__(self, root: Path, target: Path | None, now: datetime) -> None:
        self._root = root
        self._target = target
        self._now = now
        self._marks: dict[str, tuple[str, ...]] = {}  # of the tests that ran
        self._outcomes: dict[str, str] = {}

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Let each report carry the ids of its test, to another process too; refuse ids that do not exist."""
        marked: dict[str, tuple[str, ...]] = {}
        for item in items:
            ids = tuple(str(one) for mark in item.iter_markers("req") for one in mark.args)
            if ids:
                marked[item.nodeid] = ids
                item.user_properties += [(PROPERTY, one) for one in ids]
        wrong = unknown_marks(self._root, marked)
        if wrong:
            raise pytest.UsageError(f"unknown requirement ids: {wrong}")

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep the worst outcome of the phases of a test."""
        ids = tuple(str(value) for name, value in report.user_properties if name == PROPERTY)
        if not ids or (report.when != "call" and report.outcome == "passed"):
            return
        self._marks[report.nodeid] = ids
        before = self._outcomes.get(report.nodeid, "passed")
        self._outcomes[report.nodeid] = max(before, report.outcome, key=_WORST.__getitem__)

    def pytest_sessionfinish(self) -> None:
        """Write the evidence."""
        if self._target is not None and self._outcomes:
            write(self._target, self.evidence())

    def evidence(self) -> dict[str, dict[str, dict[str, str]]]:
        """Return requirement id → test → outcome."""
        found: dict[str, dict[str, dict[str, str]]] = {}
        for test, outcome in sorted(self._outcomes.items()):
            for one in self._marks[test]:
                found.setdefault(one, {})[test] = {
                    "outcome": outcome,
                    "date": self._now.isoformat(timespec="seconds"),
                    "version": metadata.version("vaguemestre"),
                    "platform": f"{platform.system()} {platform.release()}, Python {platform.python_version()}",
                }
        return found


def write(target: Path, found: Mapping[str, Mapping[str, Mapping[str, str]]]) -> None:
    """Merge into the evidence file, whole or not at all."""
    kept: dict[str, dict[str, Mapping[str, str]]] = {}
    if target.exists():
        kept = json.loads(target.read_text("utf-8"))
    for one, tests in found.items():
        kept.setdefault(one, {}).update(tests)
    target.parent.mkdir(parents=True, exist_ok=True)
    fresh = target.with_name(f"{target.name}.{os.getpid()}")
    fresh.write_text(json.dumps(kept, indent=1, sort_keys=True, ensure_ascii=False) + "\n", "utf-8")
    fresh.replace(target)


def pytest_configure(config: pytest.Config) -> None:
    """Register the collector, once for the run (not in each worker of a parallel one)."""
    target = os.environ.get(ENVIRONMENT)
    is_worker = hasattr(config, "workerinput")
    config.pluginmanager.register(
        EvidencePlugin(
            config.rootpath,
            Path(target).resolve() if target and not is_worker else None,
            datetime.now(UTC),
        ),
        "vaguemestre-evidence",
    )


@pytest.fixture
def no_evidence(monkeypatch: pytest.MonkeyPatch) -> None:
    """For tests that run pytest inside."""
    monkeypatch.delenv(ENVIRONMENT, raising=False)
