"""The question on the terminal, when there is no display: /dev/tty, or the console on Windows. Nothing typed is echoed.

Owns the terminal's settings while it asks, and puts them back whatever happens. A program in the background of its
terminal does not ask: reading there would stop it.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Callable, Iterator
from typing import Final

from vaguemestre_drivers.pin import words
from vaguemestre_drivers.pin.typing_buffer import TypedDigits
from vaguemestre_drivers.pin.values import PinNotGiven
from vaguemestre_drivers.pin.wire import GIVEN

_ENTER: Final = frozenset({0x0A, 0x0D})
_CANCEL: Final = frozenset({0x03, 0x04, 0x1B})  # Ctrl-C, Ctrl-D, Échap
_ERASE: Final = frozenset({0x08, 0x7F})
_CONSOLE_POLL_S: Final = 0.05


class TerminalImpossible(Exception):
    """No terminal, or one that is not ours to read from."""


def ask_on_terminal(wording: words.Wording, *, deadline_s: float, using: Callable[[], None]) -> bytearray | PinNotGiven:
    """Ask until the person answers; return the answer's bytes (to be wiped) or why there are none.

    Args:
        wording: what to write.
        deadline_s: longest wait, seconds.
        using: called once the terminal is ours, before echo is switched off.

    Raises:
        TerminalImpossible: no controlling terminal, or in its background.
    """
    with _opened(using) as (read, write):
        write("\r\n" + "\r\n".join(wording.lines()) + "\r\n" + words.TERMINAL_HELP + "\r\n" + words.FIELD + " : ")
        typed = TypedDigits()
        try:
            return _typing(typed, read, write, until=time.monotonic() + deadline_s)
        finally:
            typed.wipe()
            write("\r\n")


def _typing(
    typed: TypedDigits, read: Callable[[float], int | None], write: Callable[[str], None], *, until: float
) -> bytearray | PinNotGiven:
    while True:
        left = until - time.monotonic()
        code = read(left) if left > 0 else None
        if code is None:
            return PinNotGiven.EXPIRED
        if code < 0 or code in _CANCEL:
            return PinNotGiven.REFUSED
        if code in _ENTER and typed.is_complete:
            return typed.answer(GIVEN)
        if code in _ERASE and typed.count:
            typed.erase_last()
            write("\b \b")
        elif typed.add(code):
            write("*")


if sys.platform == "win32":
    import msvcrt

    @contextlib.contextmanager
    def _opened(using: Callable[[], None]) -> Iterator[tuple[Callable[[float], int | None], Callable[[str], None]]]:
        """Give (read, write) on the console of this process."""
        try:
            with open("CONIN$", encoding="utf-8"), open("CONOUT$", "w", encoding="utf-8") as out:  # noqa: PTH123 - devices

                def read(wait_s: float) -> int | None:
                    until = time.monotonic() + wait_s
                    while not msvcrt.kbhit():
                        if time.monotonic() >= until:
                            return None
                        time.sleep(_CONSOLE_POLL_S)
                    return ord(msvcrt.getwch())

                def write(text: str) -> None:
                    out.write(text)
                    out.flush()

                using()
                yield read, write
        except OSError as error:
            raise TerminalImpossible from error

else:
    import select
    import signal
    import termios

    @contextlib.contextmanager
    def _opened(using: Callable[[], None]) -> Iterator[tuple[Callable[[float], int | None], Callable[[str], None]]]:
        """Give (read, write) on the controlling terminal; a termination signal puts the settings back first."""
        try:
            terminal = os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY)
        except OSError as error:
            raise TerminalImpossible from error
        try:
            if os.tcgetpgrp(terminal) != os.getpgrp():
                raise TerminalImpossible
            before = termios.tcgetattr(terminal)
            using()
            woken = _wake_on_signals()
            try:
                termios.tcsetattr(terminal, termios.TCSAFLUSH, _silent(before))
                yield (lambda wait_s: _read_byte(terminal, woken, wait_s)), (lambda text: _write(terminal, text))
            finally:
                termios.tcsetattr(terminal, termios.TCSAFLUSH, before)
        except (OSError, termios.error) as error:
            raise TerminalImpossible from error
        finally:
            os.close(terminal)

    def _wake_on_signals() -> int:
        """Make termination signals end the question; return a descriptor that becomes readable with one.

        The system may give a signal to another thread, or just before the wait begins: without it the wait goes on.
        """
        woken, waking = os.pipe()
        os.set_blocking(waking, False)
        signal.set_wakeup_fd(waking)
        for stopping in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(stopping, _stop)
        return woken

    def _stop(number: int, _: object) -> None:
        raise SystemExit(128 + number)

    def _silent(before: list[int | list[bytes | int]]) -> list[int | list[bytes | int]]:
        """Return settings without echo, lines or signals: each key comes at once, Ctrl-C as a key."""
        settings = list(before)
        local = settings[3]
        assert isinstance(local, int)
        settings[3] = local & ~(termios.ECHO | termios.ECHONL | termios.ICANON | termios.ISIG | termios.IEXTEN)
        return settings

    def _read_byte(terminal: int, woken: int, wait_s: float) -> int | None:
        ready = select.select([terminal, woken], [], [], wait_s)[0]
        if terminal not in ready:
            return None if not ready else -1
        data = os.read(terminal, 1)
        return data[0] if data else -1

    def _write(terminal: int, text: str) -> None:
        os.write(terminal, text.encode("utf-8", "replace"))
