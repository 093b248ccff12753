"""Rules of the repository as tests: source roots, packages, and what a file may contain."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
SOURCE_ROOTS = ("agent", "queue", "drivers", "tray", "sandbox")
NOT_OURS = {"build", "dist", "evidence", "node_modules", "__pycache__"}
TEXT_SUFFIXES = {".py", ".sql", ".md", ".toml", ".json", ".yaml", ".yml", ".html", ".css", ".js", ".sh", ".txt", ""}
MAX_LINES = 500

# Written in pieces so that this file does not break its own rules.
PLACEHOLDERS = re.compile(
    "|".join(
        (
            "Not" + "ImplementedError",
            r"\bTO" + r"DO\b",
            r"\bFIX" + r"ME\b",
            r"#.*\bX" + r"XX\b",
            "pragma: no " + "cover",
            r"\bassert " + r"True\b",
            r"pytest\.mark\.sk" + r"ip\b",
        )
    )
)
MACHINE_PATHS = re.compile(r"(?<![\w.~-])/(?:" + "wo" + "rk|ro" + "ot|ho" + r"me/\w+|Us" + r"ers/\w+)/")
REGISTRY_HOSTS = re.compile(
    "|".join(
        re.escape(host)
        for host in (
            "pypi." + "org",
            "pythonhosted." + "org",
            "npmjs." + "org",
            "deb.debian." + "org",
            "ubuntu." + "com",
        )
    )
)


def settings() -> dict[str, dict[str, object]]:
    """Return the ``tool`` part of pyproject.toml."""
    with (ROOT / "pyproject.toml").open("rb") as file:
        tool: dict[str, dict[str, object]] = tomllib.load(file)["tool"]
    return tool


def project_files() -> Iterator[Path]:
    """Yield the files a developer writes: neither hidden, nor built."""
    for path in sorted(ROOT.rglob("*")):
        parts = path.relative_to(ROOT).parts
        hidden = any(part.startswith(".") and part != ".ci" for part in parts)
        if path.is_file() and not hidden and NOT_OURS.isdisjoint(parts):
            yield path


def text_files() -> Iterator[Path]:
    """Yield the files read as text."""
    return (path for path in project_files() if path.suffix in TEXT_SUFFIXES)


def python_files() -> list[Path]:
    """Return all Python files."""
    return [path for path in project_files() if path.suffix == ".py"]


def packages() -> set[str]:
    """Return the packages found in the source roots, as ``folder/package``."""
    return {f"{root}/{init.parent.name}" for root in SOURCE_ROOTS for init in (ROOT / root).glob("*/__init__.py")}


def offenders(pattern: re.Pattern[str]) -> list[str]:
    """Return ``file:line`` of each match in the project's text."""
    return [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()[:100]}"
        for path in text_files()
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if pattern.search(line)
    ]


def test_the_imposed_folders_are_never_packages() -> None:
    stray = [folder.name for folder in ROOT.iterdir() if folder.is_dir() and (folder / "__init__.py").exists()]
    assert stray == []
    outside_support = [
        path for path in (ROOT / "tests").rglob("__init__.py") if (ROOT / "tests" / "support") not in path.parents
    ]
    assert outside_support == []


def test_queue_is_the_standard_library_at_the_root() -> None:
    code = "import queue; print(queue.SimpleQueue.__module__, queue.__file__)"
    child = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert child.returncode == 0, child.stderr
    assert str(ROOT / "queue") not in child.stdout


def test_every_list_of_packages_names_the_packages_found() -> None:
    tool = settings()
    names = {package.partition("/")[2] for package in packages()}
    wheel = tool["hatch"]["build"]["targets"]["wheel"]["packages"]  # type: ignore[index]
    assert set(wheel) == packages()
    assert set(tool["hatch"]["build"]["dev-mode-dirs"]) == set(SOURCE_ROOTS)  # type: ignore[index]
    assert set(tool["importlinter"]["root_packages"]) == names  # type: ignore[call-overload]
    for package in packages():
        assert (ROOT / package / "py.typed").exists(), package


@pytest.mark.parametrize("path", python_files(), ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_says_its_purpose_and_stays_small(path: Path) -> None:
    source = path.read_text(encoding="utf-8")
    tree = ast.parse(source)
    purpose = (ast.get_docstring(tree) or "").partition("\n\n")[0]
    assert len(purpose.split()) >= 3, "no sentence of purpose"
    assert purpose.rstrip().endswith((".", ":", "?")), "the purpose is a sentence"
    futures = [
        alias.name
        for node in tree.body
        if isinstance(node, ast.ImportFrom) and node.module == "__future__"
        for alias in node.names
    ]
    assert "annotations" in futures
    assert source.count("\n") <= MAX_LINES, "more than one reason to change?"


def test_nothing_is_left_for_later() -> None:
    assert offenders(PLACEHOLDERS) == []


def test_nothing_names_a_machine_or_a_registry() -> None:
    assert offenders(MACHINE_PATHS) == []
    assert offenders(REGISTRY_HOSTS) == []


def test_the_patterns_can_fail() -> None:
    assert PLACEHOLDERS.search("    # TO" + "DO later")
    assert MACHINE_PATHS.search('path = "/ho' + 'me/someone/x"')
    assert not MACHINE_PATHS.search("docs/wo" + "rk/x")
    assert REGISTRY_HOSTS.search("https://pypi." + "org/simple")
