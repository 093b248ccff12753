"""``python -m vaguemestre_agent``: the same as the command ``vaguemestre``."""

from __future__ import annotations

import sys

from vaguemestre_agent.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
