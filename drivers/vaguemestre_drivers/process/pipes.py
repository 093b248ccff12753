"""The two ends of the pipe to the parent, taken away from everybody else in the process.

A native library that prints, or a child that inherits standard input, must not break the frames: standard input and
output are put aside under other numbers, which no child inherits, and replaced by nothing.
"""

from __future__ import annotations

import os
import sys
from typing import BinaryIO

_FIRST_FREE = 3


def take_pipes() -> tuple[BinaryIO, BinaryIO]:
    """Return the stream of requests and that of answers; call once, before anything is printed."""
    source, sink = os.dup(sys.stdin.fileno()), os.dup(sys.stdout.fileno())
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    os.dup2(nothing, 1)
    if nothing >= _FIRST_FREE:
        os.close(nothing)
    if sys.platform == "win32":
        import msvcrt

        msvcrt.setmode(source, os.O_BINARY)
        msvcrt.setmode(sink, os.O_BINARY)
    return os.fdopen(source, "rb"), os.fdopen(sink, "wb")
