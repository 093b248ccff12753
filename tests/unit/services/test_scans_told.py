"""Codes of scanners: who is told what, and what health and the picture say of a scanner that is not there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime

import pytest

from vaguemestre_agent.services.readers import ReadersService, ScanEvent
from vaguemestre_core.cards import Situation
from vaguemestre_core.orders import ClientId
from vaguemestre_core.readerports import ProcessState, ReadersOff, ReadersPicture, ScannedCode, Scanner
from vaguemestre_core.records import Client, Scope
from vaguemestre_core.redaction import SecretBytes
from vaguemestre_core.scannersettings import ScannerKind
from vaguemestre_core.scans import OpaqueRule, RawScan, ScanKind, ScanSource
from vaguemestre_testkit.clocks import FakeClock, SeededRandom
from vaguemestre_testkit.code_samples import BOX, INS

RULES = (OpaqueRule(kind=ScanKind.APCV, prefix=b"VIT", symbologies=frozenset("Q")),)


class Workstation(ReadersOff):
    """A readers process that shows a given picture and scans when told to."""

    def __init__(self, *scanners: Scanner) -> None:
        self.shown = ReadersPicture(state=ProcessState.RUNNING, scanners=scanners)
        self.listeners: list[Callable[[ScannedCode], None]] = []

    @property
    def picture(self) -> ReadersPicture:
        return self.shown

    def listen_scans(self, listener: Callable[[ScannedCode], None]) -> Callable[[], None]:
        self.listeners.append(listener)
        return lambda: self.listeners.remove(listener)

    def scan(self, *contents: bytes) -> None:
        for content in contents:
            raw = RawScan(content=SecretBytes(content), source=ScanSource.SERIAL)
            for listener in tuple(self.listeners):
                listener(ScannedCode(scanner="serial COM3", raw=raw))


def client(*scopes: Scope) -> Client:
    return Client(
        client_id=ClientId("c"),
        name="LGC",
        secret_digest="0",
        os_identity=None,
        scopes=frozenset(scopes),
        product=None,
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
    )


def told(workstation: Workstation, *scopes: Scope) -> list[ScanEvent]:
    events: list[ScanEvent] = []
    ReadersService(workstation, FakeClock(), SeededRandom(), RULES).listen_scans(client(*scopes), events.append)
    return events


def kinds(events: Sequence[ScanEvent]) -> list[ScanKind | None]:
    return [event.code.kind for event in events]


def test_a_code_goes_to_every_client_that_may_see_it_and_to_no_other() -> None:
    workstation = Workstation()
    one, two = told(workstation, Scope.READ, Scope.IDENTITY), told(workstation, Scope.READ, Scope.IDENTITY)
    boxes_only = told(workstation, Scope.READ)
    workstation.scan(INS, b"]Q1VIT1", b"DC04 autre", BOX)
    assert kinds(one) == kinds(two) == [ScanKind.INS, ScanKind.APCV, ScanKind.UNKNOWN, ScanKind.BOX]
    assert all(event.code.scan is not None for event in one)
    assert kinds(boxes_only) == [ScanKind.BOX]


def test_a_code_that_cannot_be_read_is_told_as_its_kind_would_be() -> None:
    workstation = Workstation()
    entitled, boxes_only = told(workstation, Scope.READ, Scope.IDENTITY), told(workstation, Scope.READ)
    workstation.scan(INS.replace(b"IS01", b"IS02"), BOX.replace(b"0000014", b"0000015"))
    assert [event.code.failure for event in entitled] == ["INS_CODE_INVALID", "BOX_CODE_INVALID"]
    assert [event.code.failure for event in boxes_only] == ["BOX_CODE_INVALID"]


def test_who_stops_listening_is_told_no_more() -> None:
    workstation = Workstation()
    events: list[ScanEvent] = []
    service = ReadersService(workstation, FakeClock(), SeededRandom())
    stop = service.listen_scans(client(Scope.READ), events.append)
    workstation.scan(BOX)
    stop()
    workstation.scan(BOX)
    assert len(events) == 1
    assert workstation.listeners == []


def test_nothing_of_a_code_is_in_a_representation() -> None:
    workstation = Workstation()
    events = told(workstation, Scope.READ, Scope.IDENTITY)
    workstation.scan(INS, b"]Q1VIT1")
    assert not [word for word in ("ADRUN", "ZOE", "275126322074974", "VIT1") if word in repr(events)]


@pytest.mark.parametrize("situation", [Situation.SCANNER_ABSENT, Situation.SCANNER_HELD, Situation.SCANNER_DENIED])
def test_health_says_once_what_scanners_miss(situation: Situation) -> None:
    scanners = (
        Scanner(name="serial COM3", kind=ScannerKind.SERIAL, situation=situation),
        Scanner(name="serial COM4", kind=ScannerKind.SERIAL, situation=situation),
        Scanner(name="camera 0", kind=ScannerKind.CAMERA, is_ready=True),
    )
    workstation = Workstation(*scanners)
    service = ReadersService(workstation, FakeClock(), SeededRandom())
    assert [(item.code, item.ok) for item in service.health_items()] == [("READERS_OK", True), (situation.value, False)]
    assert service.now().scanners == scanners
