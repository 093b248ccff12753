"""`python -m vaguemestre_sandbox`."""

from __future__ import annotations

import sys

from vaguemestre_sandbox.cli import main

sys.exit(main())
