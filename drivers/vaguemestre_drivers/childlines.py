"""What a child that may die says to its parent: one line of JSON a step, behind a mark that is its own.

Owns both ends: the line, and its reading among whatever native code printed. Imports nothing native.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping


def say(mark: str, step: str, **facts: str | int | None) -> None:
    """Write one line at once on the standard output: nothing may be lost when the next step kills us."""
    sys.stdout.write(f"{mark}{json.dumps({'step': step, **facts})}\n")
    sys.stdout.flush()


def said(text: str, mark: str) -> Iterator[Mapping[str, object]]:
    """Give what each line says; one that is not ours, or was cut, is skipped. Never raises."""
    for line in text.splitlines():
        if line.startswith(mark):
            try:
                facts = json.loads(line[len(mark) :])
            except (ValueError, RecursionError):
                continue
            if isinstance(facts, dict):
                yield facts
