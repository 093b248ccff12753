"""Every code a person can meet has its French sentence, and no sentence is left without a code."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from vaguemestre_api.messages import CODE, CatalogueBroken, catalogue, fill, merge, message

ROOT = Path(__file__).resolve().parents[3]
SOURCES = ("agent", "queue", "drivers", "tray")
# Calls whose first argument, or ``code`` argument, is a code of ours.
CARRIERS = frozenset({"GuardAnswer", "Outcome", "ExistenceAnswer", "ReferenceAnswer", "HealthItem", "ConnectRefused"})
CARRIERS_BY_KEYWORD = frozenset({"PreparationRefusal", "Why"})
CODES = r"[A-Z][A-Z0-9]*(_[A-Z0-9]+)+"
KEYWORDS = frozenset({"code", "blocking", "would_let_it_leave", "failure_code"})


def _trees() -> Iterator[tuple[Path, ast.Module]]:
    for folder in SOURCES:
        for path in sorted((ROOT / folder).rglob("*.py")):
            yield path, ast.parse(path.read_text("utf-8"))


def _error_classes() -> frozenset[str]:
    """Names of VaguemestreError and everything that inherits from it, by source, so that nothing need be imported."""
    bases: dict[str, set[str]] = {}
    for _, tree in _trees():
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                bases.setdefault(node.name, set()).update(_name(base) for base in node.bases)
    found = {"VaguemestreError"}
    while True:
        more = {name for name, parents in bases.items() if parents & found} - found
        if not more:
            return frozenset(found)
        found |= more


def _name(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def _literals(node: ast.expr) -> Iterator[str]:
    for inner in ast.walk(node):
        if isinstance(inner, ast.Constant) and isinstance(inner.value, str) and CODE.fullmatch(inner.value):
            yield inner.value


def codes_used() -> dict[str, str]:
    """Return each code constructed in the sources with one place where it is."""
    errors = _error_classes()
    found: dict[str, str] = {}
    for path, tree in _trees():
        for node in ast.walk(tree):
            carried: list[ast.expr] = []
            if isinstance(node, ast.Call) and _name(node.func) in errors | CARRIERS:
                carried = node.args[:1] + [word.value for word in node.keywords if word.arg in KEYWORDS]
            elif isinstance(node, ast.Call) and _name(node.func) in CARRIERS_BY_KEYWORD:
                carried = [word.value for word in node.keywords if word.arg in KEYWORDS]
            elif isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                if any(_name(target) in {"default_code", "code"} for target in targets):
                    carried = [node.value]
            for expression in carried:
                for code in _literals(expression):
                    found.setdefault(code, f"{path.relative_to(ROOT)}:{expression.lineno}")
    return found


def service_words() -> dict[str, str]:
    """Return what looks like a code in the services, whose tables hold codes and little else of that shape."""
    found: dict[str, str] = {}
    for path, tree in _trees():
        if "services" in path.parts:
            for node in ast.walk(tree):
                if isinstance(node, ast.Constant) and isinstance(node.value, str) and re.fullmatch(CODES, node.value):
                    found.setdefault(node.value, f"{path.relative_to(ROOT)}:{node.lineno}")
    return found


def test_every_code_of_the_services_tables_is_in_the_catalogue() -> None:
    assert {code: place for code, place in service_words().items() if code not in catalogue()} == {}


def test_every_code_used_is_in_the_catalogue() -> None:
    missing = {code: place for code, place in codes_used().items() if code not in catalogue()}

    assert missing == {}


def test_no_catalogue_code_is_unused() -> None:
    words: set[str] = set()
    for path, _ in _trees():
        words.update(re.findall(r"[A-Z][A-Z0-9_]+", path.read_text("utf-8")))
    schema_keywords = {f"SCHEMA_{name.upper()}" for name in _schema_constraints()}

    assert set(catalogue()) - words - schema_keywords == set()


def _schema_constraints() -> frozenset[str]:
    from vaguemestre_api.schema import CONSTRAINTS

    return CONSTRAINTS


def test_every_schema_violation_has_a_sentence() -> None:
    structural = {"$ref", "items", "properties"}

    assert {f"SCHEMA_{name.upper()}" for name in _schema_constraints() - structural} <= set(catalogue())


def test_sentences_are_french_sentences() -> None:
    for entry in catalogue().values():
        assert entry.title[0].isupper(), entry.code
        assert entry.title.endswith((".", "?")), entry.code
        assert not entry.action or entry.action.endswith((".", "?")), entry.code


def test_a_code_in_two_files_is_refused() -> None:
    one = b'{"A_CODE": {"title": "Un."}}'

    with pytest.raises(CatalogueBroken, match="twice"):
        merge({"a.json": one, "b.json": one})


@pytest.mark.parametrize(
    "entry",
    [
        '{"a_code": {"title": "x"}}',
        '{"A": {"title": ""}}',
        '{"A": {"titre": "x"}}',
        '{"A": {"title": "x", "http_status": 200}}',
        '{"A": 1}',
    ],
)
def test_a_broken_entry_is_refused(entry: str) -> None:
    with pytest.raises(CatalogueBroken):
        merge({"a.json": entry.encode()})


def test_an_unknown_code_still_says_something() -> None:
    assert "NO_SUCH_CODE" in message("NO_SUCH_CODE").title


def test_a_sentence_shows_its_parameters_and_never_fails() -> None:
    assert fill("{a} et {b}, {c}", {"a": 3, "c": True}) == "3 et ?, oui"
