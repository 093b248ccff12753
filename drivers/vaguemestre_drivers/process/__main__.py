"""``python -m vaguemestre_drivers.process``: the readers process, on the pipe of its parent, until the pipe closes."""

from __future__ import annotations

import sys

from vaguemestre_drivers.process.running import run

if __name__ == "__main__":
    sys.exit(run())
