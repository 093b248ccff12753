"""A readers process whose PIN window is a file: what a person would type is read there; all the rest is the real one.

Started by its path. The file's name is in ``VAGUEMESTRE_TEST_PINS``: the first line is taken off at each question; the
line ``wait`` leaves the window open until it is withdrawn. What was asked is appended to the same name with ``.asked``.
"""

from __future__ import annotations

import os
import sys
import threading
from functools import partial
from pathlib import Path

from vaguemestre_core.cpspin import PinRequest
from vaguemestre_drivers.process.running import run
from vaguemestre_drivers.process.work import load_work


class TypedPins:
    """Answers for a person."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._withdrawn = threading.Event()

    def ask_for_login(self, request: PinRequest) -> bytearray | None:
        """Return the next line's digits, or None."""
        self._withdrawn.clear()
        with self._path.with_suffix(".asked").open("a", encoding="utf-8") as asked:
            asked.write(f"{request.asker}|{request.state.value}\n")
        first, _, rest = self._path.read_text("ascii").partition("\n")
        self._path.write_text(rest, "ascii")
        if first == "wait":
            self._withdrawn.wait()
            return None
        return bytearray(first, "ascii") if first else None

    def withdraw(self) -> None:
        """Close the window."""
        self._withdrawn.set()


if __name__ == "__main__":
    sys.exit(run(partial(load_work, pin=TypedPins(Path(os.environ["VAGUEMESTRE_TEST_PINS"])))))
