"""The pages about the API and the command line say what the code does."""

from __future__ import annotations

from pathlib import Path

from vaguemestre_agent.cli.commands import COMMANDS
from vaguemestre_agent.cli.console import Exit
from vaguemestre_testkit.loading import loaded

DOCS = Path(__file__).resolve().parents[3] / "docs"


def test_the_table_of_routes_is_the_one_of_the_openapi_document() -> None:
    page = (DOCS / "api.md").read_text("utf-8")

    assert loaded(DOCS / "generate.py").rendered("api.md", page) == page


def test_every_command_and_status_is_documented() -> None:
    page = (DOCS / "cli.md").read_text("utf-8")

    assert [name for name in COMMANDS if f"`{name}" not in page] == []
    assert [status.value for status in Exit if f"| {status.value} |" not in page] == []
