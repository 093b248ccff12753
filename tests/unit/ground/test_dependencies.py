"""Every dependency is named, with its licence, in the decision record; contracts between packages hold."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
ADR = ROOT / "docs" / "adr" / "0002-dependencies.md"


def declared() -> dict[str, set[str]]:
    """Return the distribution names by extra, build requirements included."""
    with (ROOT / "pyproject.toml").open("rb") as file:
        content = tomllib.load(file)
    extras = {**content["project"]["optional-dependencies"], "build": content["build-system"]["requires"]}
    extras["base"] = content["project"]["dependencies"]
    return {
        extra: {re.split(r"[^A-Za-z0-9._-]", requirement, maxsplit=1)[0] for requirement in requirements}
        for extra, requirements in extras.items()
    }


def recorded() -> dict[str, list[str]]:
    """Return the rows of the record's tables by distribution name."""
    rows = (
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in ADR.read_text(encoding="utf-8").splitlines()
        if line.startswith("| `")
    )
    return {row[0].strip("`"): row for row in rows}


def test_every_dependency_has_a_row_with_a_licence_and_a_reason() -> None:
    rows = recorded()
    for extra, names in declared().items():
        for name in names:
            assert name in rows, f"{name} ({extra}) is not in {ADR.name}"
            _, _, licence, why, *_ = rows[name]
            assert licence
            assert len(why.split()) >= 2


def test_no_row_outlives_its_dependency() -> None:
    assert set(recorded()) <= set().union(*declared().values())


def test_import_contracts_hold() -> None:
    child = subprocess.run(
        [
            sys.executable,
            "-c",
            "from importlinter.cli import lint_imports; raise SystemExit(lint_imports(no_cache=True))",
        ],
        cwd=ROOT,
        env={**os.environ, "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert child.returncode == 0, child.stdout + child.stderr
