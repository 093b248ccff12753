"""The desk against children of every kind: honest, dead, hanging, talkative, without any way to ask."""

from __future__ import annotations

import logging
import os
import sys
import threading

import pytest

from vaguemestre_core.cards import CardTrouble, Situation
from vaguemestre_core.cpspin import PinRequest, PinState, PinUse, Requester
from vaguemestre_core.redaction import Personal
from vaguemestre_drivers.pin.desk import PinDesk
from vaguemestre_drivers.pin.values import Pin, PinNotGiven

REQUEST = PinRequest(
    asker="Logiciel Exemple",
    use=PinUse.SIGN_DOCUMENTS,
    requester=Requester.PERSON,
    state=PinState.OK,
    holder=Personal("Dr Camille FICTIF"),
)
READ = "import sys; n = int.from_bytes(sys.stdin.buffer.read(4), 'big'); sys.stdin.buffer.read(n); "


def desk(code: str, *, deadline_s: float = 20.0, start_s: float = 5.0) -> PinDesk:
    return PinDesk(deadline_s=deadline_s, start_s=start_s, command=(sys.executable, "-S", "-c", code))


def answering(text: str) -> PinDesk:
    return desk(READ + f"sys.stdout.write({text!r})")


def test_a_pin_given_comes_in_a_buffer_that_is_wiped(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    outcome = answering("P4711").ask(REQUEST)

    assert isinstance(outcome, Pin)
    with outcome:
        assert outcome.reveal() == b"4711"
    assert outcome.reveal() == bytes(4)
    numbers = {"created", "msecs", "relativeCreated", "thread", "process"}  # their digits are chance
    told = " ".join(
        str({name: value for name, value in record.__dict__.items() if name not in numbers})
        for record in caplog.records
    )
    assert "pin.asked" in told
    assert "4711" not in told
    assert "FICTIF" not in told


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        ("C", PinNotGiven.REFUSED),
        ("D", PinNotGiven.EXPIRED),
        ("N", PinNotGiven.NO_WAY),
        ("", PinNotGiven.LOST),
        ("P47", PinNotGiven.LOST),
        ("P47x1", PinNotGiven.LOST),
        ("P4711" * 50, PinNotGiven.LOST),
    ],
)
def test_every_other_answer_has_its_verdict(text: str, verdict: PinNotGiven) -> None:
    assert answering(text).ask(REQUEST) is verdict


@pytest.mark.parametrize("code", ["import os; os._exit(7)", "import os; os.abort()", READ + "1/0"])
def test_a_child_that_dies_gives_nothing(code: str) -> None:
    assert desk(code).ask(REQUEST) is PinNotGiven.LOST


def test_a_child_that_hangs_is_ended_at_the_deadline() -> None:
    deaf = "import signal, threading; signal.signal(signal.SIGTERM, signal.SIG_IGN); threading.Event().wait()"

    assert desk(deaf, deadline_s=0.2, start_s=0.3).ask(REQUEST) is PinNotGiven.EXPIRED


def test_a_program_that_is_not_there_is_no_way() -> None:
    absent = PinDesk(command=("/nonexistent/vaguemestre-pin",))

    assert absent.ask(REQUEST) is PinNotGiven.NO_WAY


@pytest.mark.skipif(sys.platform == "win32", reason="needs a POSIX session")
def test_without_display_nor_terminal_there_is_no_way() -> None:
    alone = "import os, runpy; os.setsid(); runpy.run_module('vaguemestre_drivers.pin', run_name='__main__')"
    environment = {name: value for name, value in os.environ.items() if name not in {"DISPLAY", "WAYLAND_DISPLAY"}}
    child = PinDesk(command=(sys.executable, "-c", alone), environment=environment)

    assert child.ask(REQUEST) is PinNotGiven.NO_WAY


def test_one_question_at_a_time_and_it_can_be_taken_back() -> None:
    # The child writes nothing until its pipe ends, and then claims a PIN: it comes too late.
    waiting = desk(READ + "sys.stderr.close(); sys.stdin.buffer.read(); sys.stdout.write('P4711')")
    outcomes: list[Pin | PinNotGiven] = []
    asking = threading.Thread(target=lambda: outcomes.append(waiting.ask(REQUEST)))
    asking.start()
    while waiting._child is None:
        assert asking.is_alive()
    assert waiting.ask(REQUEST) is PinNotGiven.BUSY
    waiting.withdraw()
    asking.join(20)

    assert outcomes == [PinNotGiven.WITHDRAWN]
    waiting.withdraw()
    assert waiting._child is None


def test_the_login_gets_the_buffer_nothing_or_a_situation() -> None:
    assert answering("P4711").ask_for_login(REQUEST) == bytearray(b"4711")
    assert answering("C").ask_for_login(REQUEST) is None
    for text, reason in (("N", "no_way"), ("", "lost")):
        with pytest.raises(CardTrouble) as refused:
            answering(text).ask_for_login(REQUEST)
        assert refused.value.situation is Situation.PIN_WINDOW_ABSENT
        assert refused.value.params["reason"] == reason
