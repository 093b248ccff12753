"""A serial scanner behind a pseudo-terminal: codes, unplugged, plugged in again on another port, held by another."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from vaguemestre_core.cards import CardTrouble, Situation
from vaguemestre_core.scans import RawScan
from vaguemestre_drivers.process.pulses import Pulses
from vaguemestre_drivers.scanners.attaching import keep_attached
from vaguemestre_drivers.scanners.serialscanner import SerialChoice, open_serial
from vaguemestre_drivers.scanners.starting import scanners_of, start_scanners
from vaguemestre_testkit.code_samples import INS
from vaguemestre_testkit.scanner_doubles import WAIT_S, PtyScanner, Told
from vaguemestre_testkit.terminals import why_no_pty

pytest.importorskip("serial", reason="pyserial is not installed")
pytestmark = pytest.mark.skipif(why_no_pty() is not None, reason=str(why_no_pty()))


@pytest.fixture
def scanner(tmp_path: Path) -> PtyScanner:
    return PtyScanner(tmp_path / "ttyACM0")


@pytest.fixture
def told(scanner: PtyScanner) -> Iterator[Told]:
    told, stop = Told(), threading.Event()
    choice = SerialChoice(port=str(scanner.port))
    thread = threading.Thread(
        target=keep_attached, args=(lambda: open_serial(choice), told, stop), kwargs={"retry_s": 0.02}
    )
    thread.start()
    yield told
    stop.set()
    thread.join(WAIT_S)
    assert not thread.is_alive()


def test_codes_come_exact_whatever_ends_them(scanner: PtyScanner, told: Told) -> None:
    told.wait_for(lambda: told.events == ["SCANNER_ABSENT"])
    scanner.plug()
    told.wait_for(lambda: told.events[-1] == "attached")
    scanner.send(INS + b"\r\n3400930000021\r")
    told.wait_for(lambda: len(told.scans) == 2)
    scanner.send(b"no suffix")
    told.wait_for(lambda: len(told.scans) == 3)
    assert told.contents() == [INS, b"3400930000021", b"no suffix"]
    scanner.unplug()
    told.wait_for(lambda: told.events[-1] == "SCANNER_ABSENT")


def test_it_is_read_again_after_it_was_unplugged(scanner: PtyScanner, told: Told) -> None:
    for time in range(3):
        scanner.plug()
        told.wait_for(lambda: told.events[-1:] == ["attached"])
        scanner.send(b"BEFORE %d\rhalf a co" % time)
        told.wait_for(lambda: b"BEFORE %d" % time in told.contents())  # noqa: B023 - waited for within the turn
        scanner.unplug()
        told.wait_for(lambda: told.events[-1] == "SCANNER_ABSENT")
    assert [content for content in told.contents() if content.startswith(b"BEFORE")] == [
        b"BEFORE %d" % n for n in range(3)
    ]


def test_a_port_that_another_program_holds_is_a_situation(scanner: PtyScanner) -> None:
    scanner.plug()
    choice = SerialChoice(port=str(scanner.port))
    holder = open_serial(choice)
    with pytest.raises(CardTrouble) as trouble:
        open_serial(choice)
    assert trouble.value.situation is Situation.SCANNER_HELD
    holder.close()
    open_serial(choice).close()
    scanner.unplug()


def test_the_scanners_of_the_settings_run_side_by_side_and_end(tmp_path: Path) -> None:
    first, second = PtyScanner(tmp_path / "ttyACM0"), PtyScanner(tmp_path / "ttyACM1")
    first.plug()
    told, stop, pulses = Teller(), threading.Event(), Pulses()
    settings = [
        {"name": "accueil", "kind": "serial", "port": str(first.port)},
        {"name": "soins", "kind": "serial", "port": str(second.port)},
    ]
    threads = start_scanners(scanners_of(settings), told, stop, pulses.of)
    told.wait_for(("accueil", None))
    told.wait_for(("soins", "SCANNER_ABSENT"))
    first.send(INS + b"\r")
    told.wait_for(("accueil", INS))
    assert set(pulses.tick()) == {"scanner:accueil", "scanner:soins"}
    stop.set()
    for thread in threads:
        thread.join(WAIT_S)
        assert not thread.is_alive()
    assert pulses.tick() == {}
    first.unplug()


class Teller:
    """Remembers what it was told, and can be waited for."""

    def __init__(self) -> None:
        self._told: list[tuple[str, str | bytes | None]] = []
        self._changed = threading.Condition()

    def state(self, scanner: str, situation: Situation | None) -> None:
        self._note((scanner, None if situation is None else situation.value))

    def scanned(self, scanner: str, raw: RawScan) -> None:
        self._note((scanner, raw.content.reveal()))

    def _note(self, told: tuple[str, str | bytes | None]) -> None:
        with self._changed:
            self._told.append(told)
            self._changed.notify_all()

    def wait_for(self, told: tuple[str, str | bytes | None]) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: told in self._told, WAIT_S)
