"""The PIN window under a virtual display, driven by its keyboard alone."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator

import psutil
import pytest

from vaguemestre_core.cpspin import PinRequest, PinState, PinUse, Requester
from vaguemestre_core.redaction import Personal
from vaguemestre_drivers.pin import words
from vaguemestre_drivers.pin.desk import PinDesk
from vaguemestre_drivers.pin.values import Pin, PinNotGiven

pytestmark = pytest.mark.skipif(
    sys.platform == "win32" or shutil.which("Xvfb") is None or shutil.which("xdotool") is None,
    reason="needs Xvfb and xdotool",
)
pytest.importorskip("tkinter")

PATIENCE_S = 40.0
HOLDER = "Dr Camille FICTIF"
REQUEST = PinRequest(
    asker="Logiciel Exemple",
    use=PinUse.OPEN_SESSION,
    requester=Requester.PERSON,
    state=PinState.OK,
    holder=Personal(HOLDER),
)


@pytest.fixture(scope="module")
def display() -> Iterator[str]:
    """A display of our own."""
    reading, writing = os.pipe()
    command = ["Xvfb", "-displayfd", str(writing), "-screen", "0", "900x700x24", "-nolisten", "tcp"]
    server = subprocess.Popen(command, pass_fds=(writing,), stderr=subprocess.DEVNULL)
    os.close(writing)
    try:
        with os.fdopen(reading) as told:
            number = told.readline().strip()
        assert number, "Xvfb did not start"
        yield f":{number}"
    finally:
        server.terminate()
        server.wait(10)


class Asked:
    """A question open on the display, answered in another thread."""

    def __init__(self, display: str, *, deadline_s: float = 60.0) -> None:
        self._environment = {**os.environ, "DISPLAY": display}
        self.desk = PinDesk(deadline_s=deadline_s, environment=self._environment)
        self._outcomes: list[Pin | PinNotGiven] = []
        self._thread = threading.Thread(target=lambda: self._outcomes.append(self.desk.ask(REQUEST)))
        self._thread.start()

    def wait_for_window(self) -> str:
        """Return the window's number once it is shown and has the keyboard."""
        window = self._xdotool("search", "--sync", "--onlyvisible", "--name", words.TITLE).split()[0]
        self._xdotool("windowfocus", "--sync", window)
        return window

    def press(self, *keys: str) -> None:
        """Press keys in the window that has the keyboard."""
        self._xdotool("key", "--delay", "30", *keys)

    def close(self, window: str) -> None:
        """Close the window as a killed connection does: no window manager runs here."""
        self._xdotool("windowkill", window)

    def outcome(self) -> Pin | PinNotGiven:
        """Return the answer."""
        self._thread.join(PATIENCE_S)
        assert not self._thread.is_alive()
        return self._outcomes[0]

    def children(self) -> list[psutil.Process]:
        """Return the child that asks."""
        mine = psutil.Process().children(recursive=True)
        return [child for child in mine if "vaguemestre_drivers.pin" in child.cmdline()]

    def _xdotool(self, *arguments: str) -> str:
        done = subprocess.run(
            ("xdotool", *arguments),
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=True,
        )
        return done.stdout


@contextlib.contextmanager
def question(display: str, *, deadline_s: float = 60.0) -> Iterator[Asked]:
    """Ask, and take the question back at the end whatever happened."""
    asked = Asked(display, deadline_s=deadline_s)
    try:
        yield asked
    finally:
        asked.desk.withdraw()
        asked.outcome()


def test_digits_then_enter_give_the_pin(display: str) -> None:
    with question(display) as asked:
        asked.wait_for_window()
        asked.press("4", "7", "x", "2", "BackSpace", "KP_1", "Return", "1", "9", "Return")
        outcome = asked.outcome()

    assert isinstance(outcome, Pin)
    with outcome:
        # Enter with three digits did nothing, and a fifth digit was not taken.
        assert outcome.reveal() == b"4711"


@pytest.mark.parametrize(
    "keys", [["Escape"], ["4", "Escape"], ["alt+a"], ["Tab", "space"], ["Tab", "Return"]], ids="+".join
)
def test_it_is_cancelled_by_keyboard(display: str, keys: list[str]) -> None:
    with question(display) as asked:
        asked.wait_for_window()
        asked.press(*keys)
        assert asked.outcome() is PinNotGiven.REFUSED


@pytest.mark.parametrize("keys", [["alt+v"], ["Tab", "Tab", "space"], ["Tab", "Tab", "Return"]], ids="+".join)
def test_it_is_accepted_by_keyboard(display: str, keys: list[str]) -> None:
    with question(display) as asked:
        asked.wait_for_window()
        asked.press("4", "7", "1", "1", *keys)
        outcome = asked.outcome()

    assert isinstance(outcome, Pin)
    assert outcome.reveal() == b"4711"


def test_nobody_answers(display: str) -> None:
    with question(display, deadline_s=1.0) as asked:
        assert asked.outcome() is PinNotGiven.EXPIRED


def test_a_card_pulled_out_closes_the_window(display: str) -> None:
    with question(display) as asked:
        asked.wait_for_window()
        asked.press("4", "7")
        asked.desk.withdraw()
        assert asked.outcome() is PinNotGiven.WITHDRAWN
        assert asked.children() == []


def test_a_window_killed_gives_nothing(display: str) -> None:
    with question(display) as asked:
        asked.close(asked.wait_for_window())
        assert asked.outcome() in {PinNotGiven.LOST, PinNotGiven.REFUSED}


def test_nothing_of_the_question_is_in_arguments_or_environment(display: str) -> None:
    with question(display) as asked:
        asked.wait_for_window()
        (child,) = asked.children()
        told = " ".join([*child.cmdline(), *child.environ().values()])
        asked.press("Escape")
        asked.outcome()

    assert HOLDER not in told
    assert "Logiciel Exemple" not in told


def test_no_display_where_one_is_named_falls_back(display: str) -> None:
    del display
    child = PinDesk(
        deadline_s=20,
        environment={**os.environ, "DISPLAY": ":65500"},
        command=(
            sys.executable,
            "-c",
            "import os, runpy; os.setsid(); runpy.run_module('vaguemestre_drivers.pin', run_name='__main__')",
        ),
    )
    assert child.ask(REQUEST) is PinNotGiven.NO_WAY
