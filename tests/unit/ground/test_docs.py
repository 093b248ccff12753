"""What the pages say is true: generated blocks, files named, commands named, one spelling of the official terms."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from vaguemestre_testkit.loading import loaded

ROOT = Path(__file__).resolve().parents[3]
GENERATE = ROOT / "docs" / "generate.py"
FOLDERS = ("agent", "queue", "drivers", "tray", "sandbox", "tests", "bench", "docs", "installer", ".ci")
CODE = re.compile(r"`([^`\n]+)`")
LINK = re.compile(r"\]\(([^)#\s]+)[^)]*\)")


def pages() -> list[Path]:
    """Return the pages that a reader of the repository meets first."""
    return sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *ROOT.glob("*/README.md")])


def missing_files(page: Path) -> list[str]:
    """Return what a page names and the checkout has not."""
    text = page.read_text(encoding="utf-8")
    named = [page.parent / link for link in LINK.findall(text) if "://" not in link and not link.startswith("mailto:")]
    for code in CODE.findall(text):
        first, slash, _ = code.partition("/")
        if slash and first in FOLDERS and not re.search(r"[*<{ …]", code):
            named.append(ROOT / code)
    return [str(path.relative_to(ROOT)) for path in named if not path.exists()]


def test_the_generated_blocks_are_those_of_the_code() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    assert loaded(GENERATE).rendered("architecture.md", page) == page, "run: python docs/generate.py"


def test_a_page_without_its_markers_is_refused() -> None:
    with pytest.raises(ValueError, match="order-diagram"):
        loaded(GENERATE).rendered("architecture.md", "no block here")


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_the_files_a_page_names_exist(page: Path) -> None:
    assert missing_files(page) == []


def test_a_file_that_does_not_exist_is_seen(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("See `docs/adr/9999-absent.md` and `docs/<any>/x`.", encoding="utf-8")
    assert missing_files(page) == ["docs/adr/9999-absent.md"]


def test_the_readme_names_the_commands_and_ci_runs_one_of_them() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert "./run demo" in readme
    assert "./run test" in readme
    assert "VAGUEMESTRE_LAB=1" in readme
    commands = [
        line
        for line in (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()
        if line.strip() and not line.startswith(("#", "set "))
    ]
    assert commands == ['cd -- "$(dirname -- "$0")/.."', 'exec env VAGUEMESTRE_LAB=1 ./run test "$@"']


def test_every_record_is_in_the_list_of_records() -> None:
    listed = (ROOT / "docs" / "adr" / "README.md").read_text(encoding="utf-8")
    for record in (ROOT / "docs" / "adr").glob("[0-9]*.md"):
        assert f"]({record.name})" in listed
        assert "\n## How we would notice that we were wrong\n" in record.read_text(encoding="utf-8"), record.name


def test_the_glossary_has_each_term_once() -> None:
    rows = [
        line.split("|")[1].strip()
        for line in (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8").splitlines()
        if line.startswith("| ") and not line.startswith("| Term |")
    ]
    assert len(rows) > 30
    assert sorted(rows, key=str.casefold) == rows, "alphabetical"
    assert len({row.casefold() for row in rows}) == len(rows)
