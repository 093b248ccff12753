"""One life of the readers process: started, listened to, killed when a sign of life fails, never trusted after that.

Owns the process and its frames; knows nothing of cards. A life ends when the process dies, when nothing is heard of it
for too long, when one of its threads is silent for longer than its work allows, when it swells, or when it answers
garbage. Whatever was asked and not answered then fails at once.
Security: settings, requests and answers go through pipes; nothing in arguments, files or logs.
"""

from __future__ import annotations

import asyncio
import logging
import subprocess
from asyncio.subprocess import Process
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from vaguemestre_agent.adapters.receiving import receive_frame
from vaguemestre_core.cards import CardTrouble, Situation
from vaguemestre_core.cps import CpsError, CpsSituation
from vaguemestre_core.errors import (
    Conflict,
    InvalidInput,
    NotFound,
    ServiceError,
    StoreError,
    UnexpectedError,
    VaguemestreError,
)
from vaguemestre_core.frames import Frame, FrameError, FrameLimits, encode_frame

_LOGGER = logging.getLogger(__name__)
_NO_WINDOW: Final = getattr(subprocess, "CREATE_NO_WINDOW", 0)
_LIMITS: Final = FrameLimits(json_bytes=4_000_000, content_bytes=64_000_000)
_TICK_S: Final = 0.1
_DYING_S: Final = 5.0
_DREGS_BYTES: Final = 65_536
# An answer travels for so long after the native call was allowed to end.
_ON_THE_WAY_S: Final = 2.0
_KINDS: Final[Mapping[str, type[VaguemestreError]]] = {
    kind.__name__: kind for kind in (InvalidInput, NotFound, Conflict, ServiceError, StoreError, UnexpectedError)
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """When a readers process is given up.

    Attributes:
        silent_s: longest time without any frame, seconds.
        starting_s: the same before its first frame: it is loading.
        memory_bytes: it is started anew above, as soon as it has nothing to do; at once at twice as much.
    """

    silent_s: float = 1.0
    starting_s: float = 15.0
    memory_bytes: int = 400 * 1024 * 1024


@dataclass(slots=True, kw_only=True)
class _Signs:
    """What is known of the process' health; ticks are counted, so that a stopped loop judges nobody."""

    silent_ticks: int = 0
    has_spoken: bool = False
    memory: int = 0
    stuck: str | None = None


class Life:
    """One process, from its start to its end.

    Args:
        command: how it is started.
        settings: its first frame.
        limits: when it is given up.
        on_event: called with each event but the beats; it raises nothing.
    """

    def __init__(
        self,
        command: tuple[str, ...],
        settings: Mapping[str, object],
        limits: Limits,
        on_event: Callable[[str, Frame], None],
    ) -> None:
        self._command = command
        self._settings = settings
        self._limits = limits
        self._on_event = on_event
        self._process: Process | None = None
        self._waiting: dict[str, asyncio.Future[Frame]] = {}
        self._asked = 0
        self._signs = _Signs()
        self._why = "ended"

    @property
    def pid(self) -> int | None:
        """Number of the process, None before and after."""
        process = self._process
        return None if process is None or process.returncode is not None else process.pid

    async def run(self) -> str:
        """Live; return why it ended. Cancellation: safe, the process is killed."""
        try:
            self._process = process = await asyncio.create_subprocess_exec(
                *self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                creationflags=_NO_WINDOW,
            )
        except OSError:
            return "not_started"
        try:
            assert process.stdin is not None
            process.stdin.write(encode_frame(Frame(header=self._settings)))
            async with asyncio.TaskGroup() as group:
                guard = group.create_task(self._guard(process), name="readers-guard")
                await self._listen(process)
                guard.cancel()
        finally:
            await self._bury(process)
        if self._why == "ended" and process.returncode is not None and process.returncode < 0:
            return f"signal_{-process.returncode}"
        return self._why

    async def ask(self, verb: str, arguments: Mapping[str, object], content: bytes, allowed_s: float) -> Frame:
        """Return the answer. Cancellation: safe; what was asked goes on and its answer is dropped.

        Raises:
            CardTrouble: READERS_PROCESS_DOWN, and what the verb refuses.
        """
        process = self._process
        if process is None or process.stdin is None or process.returncode is not None or self._why != "ended":
            raise CardTrouble(Situation.READERS_PROCESS_DOWN)
        self._asked += 1
        request_id = f"{self._asked}"
        answer: asyncio.Future[Frame] = asyncio.get_running_loop().create_future()
        self._waiting[request_id] = answer
        header = {"ask": request_id, "verb": verb, "allowed_s": allowed_s, "arguments": dict(arguments)}
        try:
            process.stdin.write(encode_frame(Frame(header=header, content=content)))
            async with asyncio.timeout(allowed_s + _ON_THE_WAY_S):
                await process.stdin.drain()
                return await answer
        except TimeoutError:
            self._give_up(process, "no_answer")
            raise CardTrouble(Situation.READERS_PROCESS_DOWN) from None
        except OSError:
            raise CardTrouble(Situation.READERS_PROCESS_DOWN) from None
        finally:
            self._waiting.pop(request_id, None)

    async def _listen(self, process: Process) -> None:
        assert process.stdout is not None
        try:
            while True:
                frame = await receive_frame(process.stdout, _LIMITS)
                self._signs.silent_ticks = 0
                self._signs.has_spoken = True
                self._take(frame)
        except asyncio.IncompleteReadError:
            return
        except (FrameError, OSError):
            self._give_up(process, "garbage")

    def _take(self, frame: Frame) -> None:
        event, answered = frame.header.get("event"), frame.header.get("answer")
        if event == "beat":
            self._beat(frame)
        elif isinstance(event, str):
            self._on_event(event, frame)
        elif isinstance(answered, str):
            waiting = self._waiting.get(answered)
            if waiting is not None and not waiting.done():
                if frame.header.get("ok") is True:
                    waiting.set_result(frame)
                else:
                    waiting.set_exception(refusal_of(frame))
        else:
            raise FrameError("frame")

    def _beat(self, frame: Frame) -> None:
        lanes, memory = frame.header.get("lanes"), frame.header.get("memory")
        if not isinstance(lanes, dict) or not isinstance(memory, int):
            raise FrameError("beat")
        self._signs.memory = memory
        for name, times in lanes.items():
            match times:
                case [int() | float() as silent, int() | float() as allowed]:
                    if silent > allowed:
                        self._signs.stuck = str(name)
                case _:
                    raise FrameError("beat")

    async def _guard(self, process: Process) -> None:
        while True:
            await asyncio.sleep(_TICK_S)
            self._signs.silent_ticks += 1
            why = self._fault()
            if why is not None:
                self._give_up(process, why)
                return

    def _fault(self) -> str | None:
        signs, limits = self._signs, self._limits
        longest = limits.silent_s if signs.has_spoken else limits.starting_s
        if signs.silent_ticks * _TICK_S > longest:
            return "silent"
        if signs.stuck is not None:
            return "stuck"
        bound = limits.memory_bytes if not self._waiting else 2 * limits.memory_bytes
        return "memory" if signs.memory > bound else None

    def _give_up(self, process: Process, why: str) -> None:
        """Kill it: its listener then sees the end."""
        if self._why == "ended":
            self._why = why
        if process.returncode is None:
            process.kill()

    async def _bury(self, process: Process) -> None:
        """Kill it if it lives, wait for its end, tell whoever waits."""
        if process.returncode is None:
            process.kill()
        if process.stdin is not None:
            process.stdin.close()
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_exception(CardTrouble(Situation.READERS_PROCESS_DOWN))
        cancelled: asyncio.CancelledError | None = None
        while True:
            try:
                await _ended(process)
                break
            except asyncio.CancelledError as error:  # it is killed already: whoever cancels waits for its end too
                cancelled = error
        if cancelled is not None:
            raise cancelled


async def _ended(process: Process) -> None:
    """Wait until a killed process is gone, five seconds at most. Cancellation: may be called again."""
    try:
        async with asyncio.timeout(_DYING_S):
            while process.stdout is not None and await process.stdout.read(_DREGS_BYTES):
                pass  # what it still said is dropped: only the end of the pipe lets the loop forget the process
            await process.wait()
    except TimeoutError:  # a driver of the system keeps it: nothing of ours can end it, and nobody listens to it
        _LOGGER.warning("readers.process.not_buried")


def refusal_of(frame: Frame) -> VaguemestreError:
    """Return the error of a refused answer; a code that is not ours is a bug."""
    code, kind, params = frame.header.get("code"), frame.header.get("kind"), frame.header.get("params")
    told = {
        str(name): value
        for name, value in (params.items() if isinstance(params, dict) else ())
        if value is None or isinstance(value, str | int | float | bool)
    }
    if kind == CardTrouble.__name__ and isinstance(code, str) and code in set(Situation):
        return CardTrouble(Situation(code), **told)
    if kind == CpsError.__name__ and isinstance(code, str) and code in set(CpsSituation):
        return CpsError(CpsSituation(code), **told)
    if isinstance(code, str) and isinstance(kind, str) and kind in _KINDS:
        return _KINDS[kind](code, **told)
    return UnexpectedError("READERS_BUG")
