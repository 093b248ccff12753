"""``vaguemestre requirements``: each requirement, the tests that name it and the evidence they left.

Reads a checkout: ``docs/requirements-ids.json``, the ``@pytest.mark.req`` markers under ``tests/`` (by syntax, nothing
is run) and ``evidence/requirements.json`` when it is there.
"""

from __future__ import annotations

import argparse
import ast
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from vaguemestre_agent.cli.console import Console, Exit
from vaguemestre_api.jsontypes import Json, JsonRefused, parse_json
from vaguemestre_core.errors import InvalidInput

IDS_FILE: Final = Path("docs/requirements-ids.json")
EVIDENCE_FILE: Final = Path("evidence/requirements.json")
TESTS: Final = Path("tests")


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """One test's last outcome for a requirement."""

    test: str
    outcome: str
    date: str
    version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Requirement:
    """One requirement, the tests that name it, and what they left."""

    id: str
    chapter: int
    label: str
    tests: tuple[str, ...]
    evidence: tuple[Evidence, ...]

    @property
    def status(self) -> str:
        """``sans test``, ``sans preuve``, ``échec`` or ``prouvée``."""
        if not self.tests:
            return "sans test"
        if any(item.outcome == "failed" for item in self.evidence):
            return "échec"
        return "prouvée" if any(item.outcome == "passed" for item in self.evidence) else "sans preuve"


def configure(parser: argparse.ArgumentParser, common: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("--root", type=Path, default=Path(), metavar="DOSSIER", help="racine du projet")
    parser.add_argument("--chapter", type=int, help="un seul chapitre")
    parser.add_argument("--tested", action="store_true", help="seulement celles qu'un test nomme")
    parser.add_argument("ids", nargs="*", metavar="EXIGENCE")


def run(arguments: argparse.Namespace, console: Console) -> int:
    """Show them; status 1 when one of those shown has failed."""
    found = [
        item
        for item in requirements(arguments.root)
        if (not arguments.ids or item.id in arguments.ids)
        and (arguments.chapter is None or item.chapter == arguments.chapter)
        and (not arguments.tested or item.tests)
    ]
    if console.as_json:
        console.give_json([_as_json(item) for item in found])
    else:
        rows = [(item.id, item.status, str(len(item.tests)), _latest(item), item.label) for item in found]
        console.give_table(found, ("EXIGENCE", "ÉTAT", "TESTS", "PREUVE", "OBJET"), rows, "Aucune exigence.")
        proven = sum(item.status == "prouvée" for item in found)
        console.say(f"{len(found)} exigences, {sum(bool(item.tests) for item in found)} testées, {proven} prouvées.")
    return Exit.REFUSED if any(item.status == "échec" for item in found) else Exit.OK


def requirements(root: Path) -> list[Requirement]:
    """Return every requirement of a checkout.

    Raises:
        InvalidInput: FILE_UNREADABLE (no checkout there).
    """
    listed = _read(root / IDS_FILE)
    tests = tests_by_id(root / TESTS, root)
    evidence = _evidence(root / EVIDENCE_FILE)
    found: list[Requirement] = []
    for entry in _sequence(_mapping(listed).get("requirements")):
        item = _mapping(entry)
        one = str(item["id"])
        chapter = item["chapter"]
        found.append(
            Requirement(
                id=one,
                chapter=chapter if isinstance(chapter, int) else 0,
                label=str(item.get("label", "")),
                tests=tuple(tests.get(one, ())),
                evidence=tuple(evidence.get(one, ())),
            )
        )
    return found


def tests_by_id(folder: Path, root: Path) -> Mapping[str, list[str]]:
    """Return, for each id, the tests marked with it; a mark on a class or module counts for its tests."""
    found: dict[str, list[str]] = {}
    for path in sorted(folder.rglob("test_*.py")):
        tree = ast.parse(path.read_text("utf-8"))
        inherited = tuple(_module_ids(tree))
        for name, ids in _marked(tree.body, inherited, ""):
            for one in dict.fromkeys(ids):
                found.setdefault(one, []).append(f"{path.relative_to(root).as_posix()}::{name}")
    return found


def _marked(body: Sequence[ast.stmt], inherited: tuple[str, ...], prefix: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    for node in body:
        if isinstance(node, ast.ClassDef) and node.name.startswith("Test"):
            ids = inherited + tuple(_ids(node.decorator_list))
            yield from _marked(node.body, ids, f"{prefix}{node.name}::")
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
            yield f"{prefix}{node.name}", inherited + tuple(_ids(node.decorator_list))


def _module_ids(tree: ast.Module) -> Iterator[str]:
    for node in tree.body:
        if isinstance(node, ast.Assign) and any(
            isinstance(target, ast.Name) and target.id == "pytestmark" for target in node.targets
        ):
            yield from _ids([item for item in ast.walk(node.value) if isinstance(item, ast.Call)])


def _ids(calls: Sequence[ast.expr]) -> Iterator[str]:
    for call in calls:
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr == "req":
            for argument in call.args:
                if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
                    yield argument.value


def _evidence(path: Path) -> Mapping[str, list[Evidence]]:
    if not path.exists():
        return {}
    found: dict[str, list[Evidence]] = {}
    for one, tests in _mapping(_read(path)).items():
        for test, left in _mapping(tests).items():
            facts = _mapping(left)
            found.setdefault(one, []).append(
                Evidence(
                    test=test,
                    outcome=str(facts.get("outcome", "")),
                    date=str(facts.get("date", "")),
                    version=str(facts.get("version", "")),
                )
            )
    return found


def _latest(item: Requirement) -> str:
    return max((one.date for one in item.evidence if one.outcome == "passed"), default="-")


def _as_json(item: Requirement) -> Json:
    evidence: list[Json] = [
        {"test": one.test, "outcome": one.outcome, "date": one.date, "version": one.version} for one in item.evidence
    ]
    return {
        "id": item.id,
        "chapter": item.chapter,
        "label": item.label,
        "status": item.status,
        "tests": list(item.tests),
        "evidence": evidence,
    }


def _read(path: Path) -> Json:
    try:
        return parse_json(path.read_bytes())
    except (OSError, JsonRefused):
        raise InvalidInput("FILE_UNREADABLE") from None


def _mapping(value: Json) -> Mapping[str, Json]:
    if not isinstance(value, Mapping):
        raise InvalidInput("FILE_UNREADABLE")
    return value


def _sequence(value: Json) -> Sequence[Json]:
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise InvalidInput("FILE_UNREADABLE")
    return value
