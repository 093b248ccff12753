"""Asks a person for a PIN through a child process: one question at a time, with a deadline, whatever the child does.

Owns the child and its two inherited pipes. The PIN comes up one pipe into one buffer: never in arguments, environment,
files or logs. A child that dies, hangs or answers nonsense gives no PIN, and the terminal is put back.
"""

from __future__ import annotations

import contextlib
import logging
import subprocess
import sys
import threading
from collections.abc import Mapping
from typing import Final

from vaguemestre_core.cards import CardTrouble, Situation
from vaguemestre_core.cpspin import PinRequest
from vaguemestre_drivers.pin.values import Pin, PinNotGiven, wipe
from vaguemestre_drivers.pin.wire import ANSWER_MAX_BYTES, ON_TERMINAL, decode_answer, encode_request

_LOGGER = logging.getLogger(__name__)
DEADLINE_S: Final = 120.0
START_S: Final = 10.0  # beyond the person's time, for the child to start and to end
STOP_S: Final = 2.0

# ``login`` takes the buffer itself: AskPin of the card's login.
_AS_CANCELLED: Final = frozenset({PinNotGiven.REFUSED, PinNotGiven.EXPIRED, PinNotGiven.WITHDRAWN, PinNotGiven.BUSY})


class PinDesk:
    """Where PINs are asked for. Thread safe; a second question while one is open is answered BUSY at once.

    Args:
        deadline_s: time given to the person, seconds.
        start_s: more time for the process itself, seconds.
        command: how the child is started; by default this interpreter and the package.
        environment: the child's environment; None for ours.
    """

    def __init__(
        self,
        *,
        deadline_s: float = DEADLINE_S,
        start_s: float = START_S,
        command: tuple[str, ...] | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self._deadline_s = deadline_s
        self._start_s = start_s
        self._command = (sys.executable, "-m", "vaguemestre_drivers.pin") if command is None else command
        self._environment = environment
        self._one_at_a_time = threading.Lock()
        self._state = threading.Lock()
        self._child: subprocess.Popen[bytes] | None = None
        self._is_withdrawn = False

    def ask(self, request: PinRequest) -> Pin | PinNotGiven:
        """Ask and wait: at most ``deadline_s`` + ``start_s`` + a few seconds to stop the child.

        Returns:
            The PIN, which the caller wipes (``with``), or why there is none.
        """
        if not self._one_at_a_time.acquire(blocking=False):
            return PinNotGiven.BUSY
        try:
            outcome = self._ask(request)
        finally:
            self._one_at_a_time.release()
        _LOGGER.info(
            "pin.asked",
            extra={"outcome": outcome.value if isinstance(outcome, PinNotGiven) else "given", "use": request.use.value},
        )
        return outcome

    def ask_for_login(self, request: PinRequest) -> bytearray | None:
        """Ask as the card's login wants it: the buffer, which it wipes, or None when the person gave nothing.

        Raises:
            CardTrouble: PIN_WINDOW_ABSENT, with ``reason`` no_way or lost: nobody could be asked.
        """
        outcome = self.ask(request)
        if isinstance(outcome, Pin):
            return outcome.reveal()
        if outcome in _AS_CANCELLED:
            return None
        raise CardTrouble(Situation.PIN_WINDOW_ABSENT, reason=outcome.value)

    def withdraw(self) -> None:
        """Take the open question back (card out, stop), from any thread; harmless without one."""
        with self._state:
            if self._child is not None:
                self._is_withdrawn = True
                _close_pipe_down(self._child)

    def _ask(self, request: PinRequest) -> Pin | PinNotGiven:
        frame = encode_request(request, deadline_s=self._deadline_s)
        try:
            child = subprocess.Popen(  # noqa: S603 - our own module, a fixed command
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                bufsize=0,
                env=None if self._environment is None else dict(self._environment),
                creationflags=_creation_flags(),
            )
        except OSError:
            return PinNotGiven.NO_WAY
        with self._state:
            self._child, self._is_withdrawn = child, False
        answer = bytearray(ANSWER_MAX_BYTES)
        reading = _Reading(child, answer)
        try:
            _send(child, frame)
            has_ended = reading.wait(self._deadline_s + self._start_s)
            with self._state:
                was_withdrawn = self._is_withdrawn
            if not has_ended:
                return PinNotGiven.EXPIRED
            outcome = decode_answer(answer[: reading.received])
            if was_withdrawn:
                if isinstance(outcome, Pin):
                    outcome.wipe()
                return PinNotGiven.WITHDRAWN
            return outcome
        finally:
            with self._state:
                self._child = None
            _end(child, reading)
            if answer[0] == ON_TERMINAL and child.returncode != 0:
                _put_terminal_back()
            wipe(answer)


class _Reading:
    """Reads all that the child writes into the buffer, in a thread that ends with the pipe."""

    def __init__(self, child: subprocess.Popen[bytes], answer: bytearray) -> None:
        self.received = 0
        self._child = child
        self._answer = answer
        self._thread = threading.Thread(target=self._read, name="pin-answer", daemon=True)
        self._thread.start()

    def wait(self, timeout_s: float) -> bool:
        """Return whether the pipe ended in time."""
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _read(self) -> None:
        stream = self._child.stdout
        assert stream is not None
        view = memoryview(self._answer)
        with contextlib.suppress(OSError, ValueError):  # closed under us while the child is ended
            while self.received < len(view):
                count = stream.readinto(view[self.received :])  # type: ignore[attr-defined]  # a raw file: bufsize=0
                if not count:
                    break
                self.received += count
        view.release()


def _send(child: subprocess.Popen[bytes], frame: bytes) -> None:
    """Write the request; a child that died already is seen by its silence."""
    assert child.stdin is not None
    with contextlib.suppress(OSError, ValueError):
        child.stdin.write(frame)


def _close_pipe_down(child: subprocess.Popen[bytes]) -> None:
    assert child.stdin is not None
    with contextlib.suppress(OSError):
        child.stdin.close()


def _end(child: subprocess.Popen[bytes], reading: _Reading) -> None:
    """End the child: its pipe, then a signal, then the signal that cannot be ignored."""
    _close_pipe_down(child)
    for stop in (child.terminate, child.kill):
        try:
            child.wait(STOP_S)
            break
        except subprocess.TimeoutExpired:
            stop()
    child.wait(STOP_S)
    reading.wait(STOP_S)
    assert child.stdout is not None
    child.stdout.close()


def _put_terminal_back() -> None:
    """Switch echo on again after a child that could not do it."""
    if sys.platform != "win32":
        import os
        import termios

        with contextlib.suppress(OSError, termios.error):  # no terminal any more: nothing to put back
            terminal = os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY)
            try:
                settings = termios.tcgetattr(terminal)
                settings[3] |= termios.ECHO | termios.ICANON | termios.ISIG | termios.IEXTEN
                termios.tcsetattr(terminal, termios.TCSADRAIN, settings)
            finally:
                os.close(terminal)


def _creation_flags() -> int:
    """Return flags that keep Windows from opening a console for the child when we have none ourselves."""
    if sys.platform == "win32":
        import ctypes

        if not ctypes.windll.kernel32.GetConsoleWindow():
            return subprocess.CREATE_NO_WINDOW
    return 0
