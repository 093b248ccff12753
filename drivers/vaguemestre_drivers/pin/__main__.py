"""The child that asks: reads one request from its inherited pipe, asks in a window or on the terminal, answers, ends.

Owns the process. Its standard output is the answer's pipe and nothing else may write there; it leaves no core file; it
ends when its parent ends or takes the question back (end of its standard input).
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from typing import BinaryIO, Final

from vaguemestre_core.errors import InvalidInput
from vaguemestre_drivers.crashes import quiet_crash
from vaguemestre_drivers.pin.terminal import TerminalImpossible, ask_on_terminal
from vaguemestre_drivers.pin.values import PinNotGiven, wipe
from vaguemestre_drivers.pin.window import WindowImpossible, ask_in_window
from vaguemestre_drivers.pin.wire import LENGTH_BYTES, MARKS, ON_TERMINAL, REQUEST_MAX_BYTES, decode_request
from vaguemestre_drivers.pin.words import Wording, wording

_TAKEN_BACK: Final = 3
_NO_REQUEST: Final = 4


def main() -> int:
    """Ask once; return 0 when an answer was written."""
    quiet_crash()
    answering = os.dup(1)
    with open(os.devnull, "wb") as nothing:  # noqa: PTH123 - a device, by descriptor
        os.dup2(nothing.fileno(), 1)
    source = sys.stdin.buffer
    try:
        request, deadline_s = decode_request(_request(source))
    except (InvalidInput, EOFError):
        return _NO_REQUEST
    threading.Thread(target=_end_with_parent, args=(source,), name="parent", daemon=True).start()
    answer = _ask(wording(request), deadline_s, answering)
    try:
        with contextlib.suppress(OSError):  # the parent has gone: nobody wants it any more
            os.write(answering, answer)
    finally:
        wipe(answer)
    return 0


def _ask(shown: Wording, deadline_s: float, answering: int) -> bytearray:
    try:
        result = ask_in_window(shown, deadline_s=deadline_s)
    except WindowImpossible:
        try:
            result = ask_on_terminal(
                shown, deadline_s=deadline_s, using=lambda: _write_mark(answering, bytes([ON_TERMINAL]))
            )
        except TerminalImpossible:
            result = PinNotGiven.NO_WAY
    return bytearray(MARKS[result]) if isinstance(result, PinNotGiven) else result


def _write_mark(answering: int, mark: bytes) -> None:
    os.write(answering, mark)


def _request(source: BinaryIO) -> bytes:
    size = int.from_bytes(_exactly(source, LENGTH_BYTES), "big")
    if size > REQUEST_MAX_BYTES:
        raise EOFError
    return _exactly(source, size)


def _exactly(source: BinaryIO, wanted: int) -> bytes:
    data = source.read(wanted)
    if len(data) != wanted:
        raise EOFError
    return data


def _end_with_parent(source: BinaryIO) -> None:
    """End the process when the pipe ends: by a signal where the terminal must be put back first."""
    source.read()
    if sys.platform == "win32":
        os._exit(_TAKEN_BACK)
    import signal

    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    try:
        status = main()
    except SystemExit as stopped:
        status = stopped.code if isinstance(stopped.code, int) else 1
    # Threads that wait for the parent or the window system must not keep a process that is done.
    os._exit(status)
