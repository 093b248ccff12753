"""What the command line prints and how it ends: French sentences or JSON, and the table of exit statuses.

Owns the streams and the statuses. Nothing here is personal unless the person asked for a document's title.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from enum import IntEnum, unique
from typing import TextIO

from vaguemestre_api.codec import to_json
from vaguemestre_api.jsontypes import Json, JsonScalar
from vaguemestre_api.messages import fill, message


@unique
class Exit(IntEnum):
    """Exit statuses, documented in docs/cli.md."""

    OK = 0
    REFUSED = 1  # the answer is no: refused, not found, not conforming
    USAGE = 2
    NOT_RUNNING = 3
    UNKNOWN_OUTCOME = 4  # no answer: what was asked may have been done
    NOT_PAIRED = 5
    UNAVAILABLE = 6  # a part is not installed
    BUG = 70
    INTERRUPTED = 130


class Console:
    """Where a command writes.

    Args:
        as_json: machine-readable answers and errors.
        out, err: streams.
    """

    def __init__(self, *, as_json: bool, out: TextIO | None = None, err: TextIO | None = None) -> None:
        self.as_json = as_json
        self._out = out or sys.stdout
        self._err = err or sys.stderr

    def say(self, text: str) -> None:
        """Print a line for a person; nothing with ``--json``."""
        if not self.as_json:
            print(text, file=self._out, flush=True)

    def note(self, text: str) -> None:
        """Print a line beside the answer, for a person."""
        print(text, file=self._err, flush=True)

    def give(self, value: object, text: str) -> None:
        """Print the answer: the wire value with ``--json``, else the sentence."""
        if self.as_json:
            self.give_json(to_json(value))
        else:
            print(text, file=self._out, flush=True)

    def give_json(self, value: Json) -> None:
        """Print one JSON value on one line."""
        print(json.dumps(value, ensure_ascii=False), file=self._out, flush=True)

    def print_text(self, text: str) -> None:
        """Print a text that is the same for persons and machines."""
        print(text, end="" if text.endswith("\n") else "\n", file=self._out, flush=True)

    def give_table(self, value: object, header: Sequence[str], rows: Sequence[Sequence[str]], empty: str) -> None:
        """Print a table, or its JSON."""
        if self.as_json:
            self.give_json(to_json(value))
            return
        if not rows:
            print(empty, file=self._out)
            return
        widths = [max(len(row[column]) for row in (header, *rows)) for column in range(len(header))]
        for row in (header, *rows):
            cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
            print("  ".join(cells).rstrip(), file=self._out)
        self._out.flush()

    def fail(
        self,
        code: str,
        params: Mapping[str, JsonScalar] | None = None,
        *,
        support_id: str | None = None,
        errors: Sequence[tuple[str, str]] = (),
    ) -> None:
        """Tell what went wrong: title, detail, action, and where."""
        text, given = message(code), params or {}
        if self.as_json:
            problem: dict[str, Json] = {
                "code": code,
                "title": fill(text.title, given),
                "detail": fill(text.detail, given),
                "action": fill(text.action, given),
                "params": dict(given),
            }
            if support_id is not None:
                problem["support_id"] = support_id
            if errors:
                problem["errors"] = [{"pointer": pointer, "title": title} for pointer, title in errors]
            print(json.dumps(problem, ensure_ascii=False), file=self._err, flush=True)
            return
        lines = [f"{fill(text.title, given)} [{code}]", fill(text.detail, given)]
        lines += [f"  {pointer or '/'} : {title}" for pointer, title in errors]
        action = fill(text.action, given)
        lines.append(f"→ {action}" if action else "")
        if support_id is not None:
            lines.append(f"Numéro de support : {support_id}")
        print("\n".join(line for line in lines if line), file=self._err, flush=True)
