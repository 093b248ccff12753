"""The PIN asked on a real terminal (a pty): nothing echoed, every way out, and the terminal as it was afterwards."""

from __future__ import annotations

import contextlib
import os
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from vaguemestre_testkit.terminals import why_no_pty

if sys.platform == "win32":
    pytest.skip("needs a pty", allow_module_level=True)
if (reason := why_no_pty()) is not None:
    pytest.skip(reason, allow_module_level=True)

import pty
import termios

PREAMBLE = """
import fcntl, sys, termios
from vaguemestre_core.cpspin import PinRequest, PinState, PinUse, Requester
from vaguemestre_core.redaction import Personal
from vaguemestre_drivers.pin.desk import PinDesk
from vaguemestre_drivers.pin.values import Pin
REQUEST = PinRequest(asker="Logiciel Exemple", use=PinUse.SIGN_DOCUMENTS, requester=Requester.PERSON,
                     state=PinState.LOW, holder=Personal("Dr Camille FICTIF"))
def ask(deadline_s):
    outcome = PinDesk(deadline_s=deadline_s).ask(REQUEST)
    right = isinstance(outcome, Pin) and outcome.reveal() == bytearray(b"4711")
    print("OUTCOME", "right" if right else getattr(outcome, "value", "wrong"), flush=True)
"""
PROGRAM = PREAMBLE + "fcntl.ioctl(0, termios.TIOCSCTTY, 0)\nask(float(sys.argv[1]))\n"
IN_BACKGROUND = (
    "import fcntl, subprocess, sys, termios\nfcntl.ioctl(0, termios.TIOCSCTTY, 0)\n"
    "subprocess.run([sys.executable, '-c', sys.argv[2], sys.argv[1]], process_group=0, check=True)\n"
)
PATIENCE_S = 40.0


class Terminal:
    """A pty with a program on it, seen from the keyboard's side."""

    def __init__(self, folder: Path, program: str, *arguments: str) -> None:
        self.master, slave = pty.openpty()
        environment = {name: value for name, value in os.environ.items() if name not in {"DISPLAY", "WAYLAND_DISPLAY"}}
        self.program = subprocess.Popen(
            (sys.executable, "-c", program, *arguments),
            stdin=slave,
            stdout=slave,
            stderr=slave,
            cwd=folder,
            env=environment,
            start_new_session=True,
        )
        self.slave = slave
        self.seen = ""

    def wait_for(self, text: str) -> str:
        """Read the screen until it shows the text."""
        until = time.monotonic() + PATIENCE_S
        while text not in self.seen:
            left = until - time.monotonic()
            assert left > 0, self.seen
            assert select.select([self.master], [], [], left)[0], self.seen
            self.seen += os.read(self.master, 4096).decode("utf-8", "replace")
        return self.seen

    def type(self, keys: bytes) -> None:
        """Press keys."""
        os.write(self.master, keys)

    def outcome(self) -> str:
        """Return the word that the program prints at the end."""
        self.wait_for("OUTCOME ")
        return (
            self.wait_for("\n").split("OUTCOME ")[1].split()[0]
            if "\n" in self.seen.split("OUTCOME ")[1]
            else self._tail()
        )

    def _tail(self) -> str:
        while "\n" not in self.seen.split("OUTCOME ")[1]:
            self.seen += os.read(self.master, 4096).decode("utf-8", "replace")
        return self.seen.split("OUTCOME ")[1].split()[0]

    def echoes(self) -> bool:
        """Whether what is typed would be shown."""
        return bool(termios.tcgetattr(self.slave)[3] & termios.ECHO)


@contextlib.contextmanager
def terminal(folder: Path, program: str, *arguments: str) -> Iterator[Terminal]:
    """Run the program on a terminal of its own."""
    opened = Terminal(folder, program, *arguments)
    try:
        yield opened
    finally:
        if opened.program.poll() is None:
            opened.program.kill()
        opened.program.wait(10)
        os.close(opened.slave)
        os.close(opened.master)


@pytest.fixture
def asked(tmp_path: Path) -> Iterator[Terminal]:
    """A terminal on which the question is open."""
    with terminal(tmp_path, PROGRAM, "60") as opened:
        opened.wait_for("Code à 4 chiffres : ")
        yield opened


def test_the_question_is_whole_and_the_code_is_never_shown(asked: Terminal) -> None:
    for said in ("Logiciel Exemple", "signer des documents en votre nom", "Dr Camille FICTIF", "Au plus 2 essais"):
        assert said in asked.seen
    assert not asked.echoes()

    asked.type(b"4x8\x7f7\r11\r")

    assert asked.outcome() == "right"
    assert "4711" not in asked.seen
    assert "47" not in asked.seen.partition("Code à 4 chiffres : ")[2]
    assert asked.program.wait(10) == 0
    assert asked.echoes()


@pytest.mark.parametrize("key", [b"\x03", b"\x04", b"\x1b", b"47\x03"], ids=["ctrl-c", "ctrl-d", "escape", "midway"])
def test_every_cancel_key_cancels(asked: Terminal, key: bytes) -> None:
    asked.type(key)

    assert asked.outcome() == "refused"
    assert asked.program.wait(10) == 0
    assert asked.echoes()


def test_a_child_killed_while_echo_is_off_leaves_a_usable_terminal(asked: Terminal) -> None:
    (child,) = psutil.Process(asked.program.pid).children()
    asked.type(b"47")
    child.kill()

    assert asked.outcome() == "lost"
    assert asked.program.wait(10) == 0
    assert asked.echoes()


def test_the_child_puts_the_terminal_back_when_its_parent_dies(asked: Terminal) -> None:
    (child,) = psutil.Process(asked.program.pid).children()
    asked.program.kill()
    psutil.wait_procs([child], timeout=10)

    assert not child.is_running()


def test_nobody_answers(tmp_path: Path) -> None:
    with terminal(tmp_path, PROGRAM, "0.5") as opened:
        assert opened.outcome() == "expired"
        assert opened.program.wait(10) == 0
        assert opened.echoes()


def test_a_program_in_the_background_of_its_terminal_does_not_ask(tmp_path: Path) -> None:
    with terminal(tmp_path, IN_BACKGROUND, "20", PREAMBLE + "ask(float(sys.argv[1]))") as opened:
        assert opened.outcome() == "no_way"
        assert "Code à 4 chiffres" not in opened.seen
