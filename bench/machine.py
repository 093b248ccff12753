"""One line that says on which machine a measure was made."""

from __future__ import annotations

import os
import platform
import sqlite3


def machine() -> str:
    """Return system, processor, cores and the versions that matter."""
    return (
        f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, "
        f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}"
    )
