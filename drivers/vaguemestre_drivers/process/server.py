"""Answers the parent's requests on their lanes, and beats: says four times a second that every thread is alive.

Owns the protocol of the readers process (docs/cards.md, "The readers process"); knows no card.

* parent → child: ``{"ask": id, "verb", "allowed_s", "arguments"}`` and bytes.
* child → parent: ``{"answer": id, "ok": true, "values"}`` and bytes; ``{"answer": id, "ok": false, "kind", "code",
  "params"}``; ``{"event": name, …}``. The event ``beat`` carries ``lanes`` (name → seconds silent, seconds allowed) and
  ``memory`` (bytes).

Security: an unexpected error is told by its class alone: its text may hold what a card said.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from functools import partial
from typing import Final

from vaguemestre_core.cards import CardTrouble
from vaguemestre_core.cps import CpsError
from vaguemestre_core.errors import Conflict, InvalidInput, UnexpectedError, VaguemestreError
from vaguemestre_core.frames import ByteSource, Frame, FrameError, read_frame
from vaguemestre_drivers.process.lanes import Lane
from vaguemestre_drivers.process.outlet import Outlet
from vaguemestre_drivers.process.pulses import TICK_S, Pulses
from vaguemestre_drivers.process.verbs import Asked, Verb
from vaguemestre_drivers.process.vitals import resident_bytes

DEFAULT_ALLOWED_S: Final = 10.0
# Errors that the parent can make again: of the core, not of a driver.
_SHARED: Final = frozenset({CardTrouble.__module__, CpsError.__module__, VaguemestreError.__module__})


class Server:
    """Serves one parent until it closes the pipe."""

    def __init__(self, outlet: Outlet, pulses: Pulses, verbs: Mapping[str, Verb]) -> None:
        self._outlet = outlet
        self._pulses = pulses
        self._verbs = verbs
        self._lanes = {verb.lane: Lane(verb.lane, pulses) for verb in verbs.values()}

    def beat_for_ever(self) -> None:
        """Start the thread that beats."""
        threading.Thread(target=self._beat, name="beat", daemon=True).start()

    def serve(self, source: ByteSource) -> None:
        """Take requests until the end of the stream. Raises FrameError."""
        while (frame := read_frame(source)) is not None:
            self._take(frame)

    def _beat(self) -> None:
        pause = threading.Event()
        while True:
            lanes = {name: [item.silent_s, item.allowed_s] for name, item in self._pulses.tick().items()}
            self._outlet.event("beat", {"lanes": lanes, "memory": resident_bytes()})
            pause.wait(TICK_S)

    def _take(self, frame: Frame) -> None:
        header = frame.header
        request_id, name, arguments = header.get("ask"), header.get("verb"), header.get("arguments", {})
        if not (isinstance(request_id, str) and isinstance(name, str) and isinstance(arguments, dict)):
            raise FrameError("request")
        allowed = header.get("allowed_s", DEFAULT_ALLOWED_S)
        verb = self._verbs.get(name)
        if verb is None or not isinstance(allowed, int | float):
            self._refuse(request_id, InvalidInput("READERS_REQUEST_INVALID"))
            return
        asked = Asked(arguments=arguments, content=frame.content, allowed_s=float(allowed))
        if not self._lanes[verb.lane].submit(partial(self._act, request_id, verb, asked), asked.allowed_s):
            self._refuse(request_id, Conflict("READERS_BUSY"))

    def _act(self, request_id: str, verb: Verb, asked: Asked) -> None:
        try:
            reply = verb.act(asked)
        except VaguemestreError as error:
            self._refuse(request_id, error)
        except Exception as error:  # noqa: BLE001 - the border of the process: a bug becomes an answer with its class
            self._refuse(request_id, UnexpectedError("READERS_BUG", error=type(error).__name__))
        else:
            self._outlet.send({"answer": request_id, "ok": True, "values": reply.values}, reply.content)

    def _refuse(self, request_id: str, error: VaguemestreError) -> None:
        kind = next(item for item in type(error).__mro__ if item.__module__ in _SHARED).__name__
        self._outlet.send(
            {"answer": request_id, "ok": False, "kind": kind, "code": error.code, "params": dict(error.params)}
        )
