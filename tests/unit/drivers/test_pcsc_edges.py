"""At the edge of the native library: its absence, its results folded into situations, and who uses its service."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from vaguemestre_core.cards import CardTrouble, Situation
from vaguemestre_drivers.pcsc import scardapi
from vaguemestre_drivers.pcsc.connection import Patience
from vaguemestre_drivers.pcsc.holding import holders
from vaguemestre_drivers.pcsc.winscard import WinscardPort, without_expected_length
from vaguemestre_drivers.pcsc.worker import BlockingWorker, Overdue


def test_a_workstation_without_the_library_is_a_situation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "smartcard.scard", None)
    for ask in (WinscardPort().open_feed, WinscardPort().epoch, lambda: WinscardPort().connect("a")):
        with pytest.raises(CardTrouble) as absent:
            ask()
        assert absent.value.situation is Situation.PCSC_ABSENT


@pytest.mark.parametrize(
    ("result", "situation"),
    [
        (scardapi.E_NO_SERVICE, Situation.PCSC_STOPPED),
        (scardapi.E_SHARING_VIOLATION, Situation.READER_HELD),
        (scardapi.W_REMOVED_CARD, Situation.CARD_REMOVED),
        (scardapi.W_UNPOWERED_CARD, Situation.CARD_MUTE),
        (scardapi.W_REMOVED_CARD - (1 << 32), Situation.CARD_REMOVED),  # some builds give it signed
        (0x8010FFFF, Situation.READER_FAILING),  # none that we know
    ],
)
def test_a_result_means_something_to_a_person(result: int, situation: Situation) -> None:
    trouble = scardapi.trouble(result, "Lecteur")

    assert trouble.situation is situation
    assert trouble.params == {"result": f"0x{result & 0xFFFFFFFF:08X}", "reader": "Lecteur"}


def test_our_constants_are_those_of_the_library() -> None:
    native = pytest.importorskip("smartcard.scard")
    ours = {name: value for name, value in vars(scardapi).items() if name.isupper() and isinstance(value, int)}
    theirs = {name: getattr(native, f"SCARD_{name}", None) for name in ours if not name.startswith("_")}
    theirs = {name: scardapi.unsigned(value) for name, value in theirs.items() if value is not None}

    assert len(theirs) > 25
    assert theirs == {name: ours[name] for name in theirs}


def test_a_call_is_given_up_at_its_deadline_and_gives_back_when_it_returns() -> None:
    release, given_back = threading.Event(), threading.Event()
    worker = BlockingWorker("tried", given_back.set)

    with pytest.raises(Overdue):
        worker.call(release.wait, 0.01)
    with pytest.raises(Overdue):
        worker.call(lambda: 1, 10.0)
    assert not given_back.is_set()
    release.set()
    assert given_back.wait(10.0)
    assert worker.finish(10.0)


def test_a_call_answers_and_fails_in_the_callers_thread() -> None:
    worker = BlockingWorker("tried", lambda: None)

    assert worker.call(threading.current_thread, 10.0) is not threading.current_thread()
    with pytest.raises(ZeroDivisionError):
        worker.call(lambda: 1 // 0, 10.0)
    assert worker.call(lambda: 2, 10.0) == 2
    assert worker.finish(10.0)


@pytest.mark.parametrize("wrong", [{"tries": 0}, {"held_s": -1.0}, {"most_commands": 0}])
def test_patience_counts_forward(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="patience"):
        Patience(**wrong)  # type: ignore[arg-type]  # the wrong ones are the point


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel of Linux tells")
def test_the_program_connected_to_the_service_is_named_and_ours_is_not(tmp_path: Path) -> None:
    path = tmp_path / "pcscd.comm"
    with socket.socket(socket.AF_UNIX) as door, socket.socket(socket.AF_UNIX) as ours:
        door.bind(str(path))
        door.listen()
        ours.connect(str(path))
        accepted = [door.accept()[0]]
        assert holders(str(path)) == ()
        code = (
            "import socket,sys; s=socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); print(1, flush=True); input()"
        )
        with subprocess.Popen(
            [sys.executable, "-c", code, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as other:
            accepted.append(door.accept()[0])
            assert other.stdout is not None
            assert other.stdout.readline() == "1\n"
            named = holders(str(path))
            other.communicate("\n")
        for line in accepted:
            line.close()
    assert len(named) == 1
    assert named[0].startswith("python")
    assert holders(str(path)) == ()


@pytest.mark.parametrize(
    ("apdu", "carried"),
    [
        ("00A40400 02 3F00 00", "00A40400 02 3F00"),  # data and expected length: GET RESPONSE gives the answer
        ("00A40400 02 3F00", "00A40400 02 3F00"),
        ("00B0820000", "00B0820000"),
        ("00B08200", "00B08200"),
        ("00B0000000 0100", "00B0000000 0100"),  # extended expected length: left to the reader
    ],
)
def test_a_command_over_t0(apdu: str, carried: str) -> None:
    assert without_expected_length(bytes.fromhex(apdu)) == bytes.fromhex(carried)


@pytest.mark.skipif(sys.platform != "win32", reason="Windows tells which programs have loaded winscard.dll")
def test_the_program_that_loaded_the_library_is_named() -> None:
    code = "import ctypes; ctypes.WinDLL('winscard.dll'); print(1, flush=True); input()"
    before = holders()
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline().strip() == "1"
        named = holders()
        other.communicate("\n")
    assert {name.lower() for name in named} - {name.lower() for name in before} == {"python.exe"}
