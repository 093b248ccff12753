"""What every child with native code does: say each step, and crash without leaving its memory on the disk."""

from __future__ import annotations

import subprocess
import sys

import pytest

from vaguemestre_drivers.childlines import said, say

MARK = "mark "


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


def test_what_is_said_is_read_among_what_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    say(MARK, "load")
    sys.stdout.write("hello from a library\nmark {\nmark 7\n" + MARK + "[" * 60_000 + "\n")
    say(MARK, "status", reader="A\nB", shared=True, card=None)
    sys.stdout.write('mark {"step": "cut')
    assert list(said(capsys.readouterr().out, MARK)) == [
        {"step": "load"},
        {"step": "status", "reader": "A\nB", "shared": True, "card": None},
    ]
