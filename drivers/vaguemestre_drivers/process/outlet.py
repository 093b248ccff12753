"""The way out of the readers process: whole frames from any thread, on a pipe that nobody else can write to."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from typing import BinaryIO

from vaguemestre_core.frames import Frame, encode_frame


class Outlet:
    """Writes frames. A parent that is gone ends the process: there is nobody left to serve."""

    def __init__(self, pipe: BinaryIO) -> None:
        self._pipe = pipe
        self._lock = threading.Lock()

    def send(self, header: Mapping[str, object], content: bytes = b"") -> None:
        """Write one frame."""
        data = encode_frame(Frame(header=header, content=content))
        with self._lock:
            try:
                self._pipe.write(data)
                self._pipe.flush()
            except OSError:
                os._exit(0)

    def event(self, name: str, values: Mapping[str, object], content: bytes = b"") -> None:
        """Push an event."""
        self.send({"event": name, **values}, content)
