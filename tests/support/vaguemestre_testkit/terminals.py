"""Whether pseudo-terminals can be had here: a container without a devpts file system has none."""

from __future__ import annotations

import os
import sys


def why_no_pty() -> str | None:
    """Return why there is none, or None when there is."""
    if sys.platform == "win32":
        return "pseudo-terminals are POSIX"
    try:
        ends = os.openpty()
        os.ttyname(ends[1])
    except OSError:
        return "this machine gives no pseudo-terminal"
    for end in ends:
        os.close(end)
    return None
