"""Installs our wheel and its dependencies in the Windows Python of the test bed, runs the tests there, counts.

Owns what happens after ``run-tests.sh`` has made and verified the interpreter: wheels are downloaded on this side and
installed on the other without any index. Standard library only; runs on Linux. One wine process per suite, bounded;
what a suite leaves running ends with it. Exit status: 0 all passed, 1 something failed, 2 the bed could not be made.
"""

# ruff: noqa: INP001, S603, S607 - a script of the test bed: it starts wine, wineserver and pip, with words of its own

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import threading
import tomllib
import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

PYTHON: Final = r"C:\Python311\python.exe"
# Checks of the checkout itself, not of a system; and those whose tools have no use on Windows.
NOT_INSTALLED: Final = ("ruff", "mypy", "import-linter", "lxml-stubs", "types-")
# Wanted on Windows only, so that a download on Linux does not see them.
WINDOWS_ONLY: Final = ("colorama", "pywin32-ctypes")
# Longest time of one test, seconds: what is bound by the disk takes five to thirteen times longer in wine.
TEST_S: Final = 400
# Suite and the longest time it may take, seconds.
SUITES: Final = (
    ("tests/unit/core", 300),
    ("tests/unit/queue", 900),
    ("tests/unit/documents", 300),
    ("tests/unit/api", 300),
    ("tests/unit/agent", 300),
    ("tests/unit/adapters", 400),
    ("tests/unit/sandbox", 300),
    ("tests/contract", 600),
    ("tests/integration/localapi", 400),
    ("tests/integration/sandbox", 400),
    ("tests/integration/windows", 600),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """What a suite gave; ``ended`` is False when it was stopped or died."""

    passed: int = 0
    failed: int = 0
    skipped: int = 0
    ended: bool = False

    def __add__(self, other: Tally) -> Tally:
        return Tally(
            passed=self.passed + other.passed,
            failed=self.failed + other.failed,
            skipped=self.skipped + other.skipped,
            ended=self.ended and other.ended,
        )


def windows_path(path: Path) -> str:
    """Return a path of this side as the other side names it."""
    return "Z:" + str(path.resolve()).replace("/", "\\")


def requirements(root: Path) -> list[str]:
    """Return what must be downloaded, without environment markers: they would be judged for Linux."""
    extras = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]
    wanted = [line.partition(";")[0].strip() for name in ("agent", "sandbox", "dev") for line in extras[name]]
    return sorted({line for line in wanted if not line.startswith(NOT_INSTALLED)} | set(WINDOWS_ONLY))


def _pump(source: IO[bytes], sink: Path) -> None:
    with sink.open("wb") as file:
        while chunk := os.read(source.fileno(), 65536):
            file.write(chunk)
            file.flush()


def wine(arguments: Sequence[str], cwd: Path, log: Path, timeout_s: float) -> int | None:
    """Run the Windows Python; return its exit status, None when it was stopped. Its children end with it."""
    environment = {
        **os.environ,
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONUTF8": "1",
        "HYPOTHESIS_STORAGE_DIRECTORY": "C:\\hypothesis",
    }
    # The three streams must be open and none may be a file: Python does not start in wine otherwise.
    process = subprocess.Popen(
        ["wine", PYTHON, *arguments],
        cwd=cwd,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    assert process.stdout is not None
    pump = threading.Thread(target=_pump, args=(process.stdout, log), daemon=True)
    pump.start()
    status: int | None
    try:
        status = process.wait(timeout_s)
        if status == 0:
            # What it registered is written to disk some seconds later: killing the server would lose it.
            pump.join(5)
    except subprocess.TimeoutExpired:
        status = None
    finally:
        subprocess.run(["wineserver", "-k"], check=False)  # of this prefix only
        process.wait()
        pump.join(10)
    return status


def install(root: Path, bed: Path) -> bool:
    """Build our wheel, download the others here, install them there without an index."""
    wheels, ours, logs = bed / "wheels", bed / "ours", bed / "logs"
    for folder in (wheels, ours, logs):
        folder.mkdir(parents=True, exist_ok=True)
    for old in ours.glob("*.whl"):
        old.unlink()
    pip = [sys.executable, "-m", "pip"]
    wanted = requirements(root)
    downloaded = subprocess.run(
        [*pip, "download", "-q", "-d", str(wheels), "--platform", "win_amd64", "--python-version", "3.11",
         "--only-binary", ":all:", *wanted], check=False)  # fmt: skip
    built = subprocess.run(
        [*pip, "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", str(ours), str(root)], check=False
    )
    if downloaded.returncode or built.returncode:
        return False
    (wheel,) = ours.glob("*.whl")
    base = ["-m", "pip", "install", "-q", "--no-index", "--no-warn-script-location"]
    log = logs / "install.log"
    if wine([*base, "--find-links", windows_path(wheels), *wanted], bed, log, 600) != 0:
        return False
    return wine([*base, "--no-deps", "--force-reinstall", windows_path(wheel)], bed, log, 300) == 0


def run_suite(suite: str, timeout_s: float, root: Path, bed: Path) -> Tally:
    """Run one suite and count."""
    name = suite.replace("/", "-")
    report = bed / "logs" / f"{name}.xml"
    report.unlink(missing_ok=True)
    words = ["-m", "pytest", "-q", "-p", "no:cacheprovider", "--tb=short", f"--timeout={TEST_S}"]
    words += [f"--junitxml={windows_path(report)}", suite]
    status = wine(words, root, bed / "logs" / f"{name}.log", timeout_s)
    if not report.exists():
        return Tally()
    tally = Tally(ended=status in (0, 1))
    for case in ElementTree.parse(report).iter("testcase"):  # noqa: S314 - our own pytest wrote it
        kinds = {child.tag for child in case}
        bad, skipped = bool(kinds & {"failure", "error"}), "skipped" in kinds
        tally += Tally(passed=not bad and not skipped, failed=bad, skipped=skipped and not bad, ended=True)
    return tally


def main(arguments: Sequence[str] | None = None) -> int:
    """Install and test; return the exit status."""
    parser = argparse.ArgumentParser(prog="run-tests.sh")
    parser.add_argument("--bed", type=Path, required=True, help=argparse.SUPPRESS)
    parser.add_argument("--root", type=Path, required=True, help=argparse.SUPPRESS)
    parser.add_argument("suites", nargs="*", help="suites to run; by default all")
    options = parser.parse_args(arguments)
    if not install(options.root, options.bed):
        sys.stderr.write(f"windows: could not install; see {options.bed / 'logs'}\n")
        return 2
    total = Tally(ended=True)
    times = dict(SUITES)
    for suite in options.suites or times:
        tally = run_suite(suite, times.get(suite, 600), options.root, options.bed)
        total += tally
        said = f"{tally.passed:5} passed {tally.failed:4} failed {tally.skipped:4} skipped"
        sys.stdout.write(f"{suite:34}{said}{'' if tally.ended else '  DID NOT END'}\n")
        sys.stdout.flush()
    sys.stdout.write(f"{'total':34}{total.passed:5} passed {total.failed:4} failed {total.skipped:4} skipped\n")
    return 0 if total.ended and not total.failed else 1


if __name__ == "__main__":
    sys.exit(main())
