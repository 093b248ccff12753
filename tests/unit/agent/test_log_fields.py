"""Every field that our code logs is on the formatter's list: one that is not would be dropped without a word."""

from __future__ import annotations

import ast
from pathlib import Path

import vaguemestre_agent
import vaguemestre_core
import vaguemestre_documents
import vaguemestre_queue
from vaguemestre_agent.cli.logs import FIELDS

LEVELS = {"debug", "info", "warning", "error", "exception", "critical"}


def logged_fields(source: str) -> set[str]:
    """Return the constant keys of every ``extra={…}`` in a module."""
    extras = [
        keyword.value
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in LEVELS
        for keyword in node.keywords
        if keyword.arg == "extra" and isinstance(keyword.value, ast.Dict)
    ]
    return {str(key.value) for extra in extras for key in extra.keys if isinstance(key, ast.Constant)}


def test_what_is_logged_is_written() -> None:
    packages = (vaguemestre_agent, vaguemestre_core, vaguemestre_documents, vaguemestre_queue)
    folders = [Path(str(package.__file__)).parent for package in packages]
    logged = set().union(
        *(logged_fields(path.read_text("utf-8")) for folder in folders for path in folder.rglob("*.py"))
    )

    assert {"order_id", "code", "route"} <= logged
    assert logged - FIELDS == set()
