"""What every child with native code does: crash without leaving its memory on the disk."""

from __future__ import annotations

import subprocess
import sys

import pytest


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limit to ask for")
def test_a_crash_leaves_no_image_of_the_memory() -> None:
    code = (
        "from vaguemestre_drivers.crashes import quiet_crash\n"
        "import resource\n"
        "quiet_crash()\n"
        "print(resource.getrlimit(resource.RLIMIT_CORE))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "(0, 0)"
