"""One life of the readers process: takes its pipe, reads its settings, starts its threads, serves, ends.

Ends with its parent, whatever native code is doing: the end of the pipe leaves at once, without waiting for threads.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Final, TypeAlias

from vaguemestre_core.frames import FrameError, read_frame
from vaguemestre_drivers.crashes import quiet_crash
from vaguemestre_drivers.process.outlet import Outlet
from vaguemestre_drivers.process.pipes import take_pipes
from vaguemestre_drivers.process.pulses import Pulses
from vaguemestre_drivers.process.server import Server
from vaguemestre_drivers.process.vitals import end_with_parent
from vaguemestre_drivers.process.work import Start, load_work

EXIT_FRAMES: Final = 70
Work: TypeAlias = Callable[[Mapping[str, object]], Start]
"""Given the settings: loads what they ask for and returns what starts it."""


def _say_only_the_class(kind: type[BaseException], _value: BaseException, _trace: TracebackType | None) -> None:
    sys.stderr.write(f"readers process stopped: {kind.__name__}\n")


def run(work: Work = load_work) -> int:
    """Serve the parent; return the exit status when the frames were not ours, else do not return."""
    sys.excepthook = _say_only_the_class
    end_with_parent()
    quiet_crash()
    source, sink = take_pipes()
    outlet, pulses = Outlet(sink), Pulses()
    try:
        first = read_frame(source)
        if first is not None:
            start = work(first.header)  # before the first word: the parent allows more time to a process that loads
            outlet.event("ready", {"pid": os.getpid()})  # before what it will tell of readers
            server = Server(outlet, pulses, start(outlet, pulses))
            server.beat_for_ever()
            server.serve(source)
    except FrameError as error:
        _say_only_the_class(type(error), error, None)
        os._exit(EXIT_FRAMES)
    os._exit(0)
