"""The watch against a service that does what real ones do seldom: swaps unseen, restarts unseen, lists that repeat."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from vaguemestre_core.cards import CardEvent, CardEventKind, CardKind, CardTrouble, Insertion, ReaderState, Situation
from vaguemestre_drivers.pcsc.port import CardLink, ReaderStatus, StatusFeed
from vaguemestre_drivers.pcsc.watching import SHORTEST_TURN_S, CardWatch

VITALE = bytes.fromhex("3B751300004709EA9000")
CPS3 = bytes.fromhex("3BAC00402A001225006480000310009000")
NAME = "Lecteur"


def empty(count: int = 0) -> ReaderStatus:
    return ReaderStatus(name=NAME, is_present=False, count=count, mark=count << 16 | 0x10)


def holding(count: int, atr: bytes = VITALE, *, mute: bool = False, exclusive: bool = False) -> ReaderStatus:
    return ReaderStatus(
        name=NAME, is_present=True, is_mute=mute, is_exclusive=exclusive, count=count, atr=atr, mark=count << 16 | 0x20
    )


@dataclass
class Looks:
    """One run of a service: its looks in order; then it stops, or asks the test to stop the watch."""

    looks: list[ReaderStatus | tuple[str, ...]]
    epoch_after: int | None = None


@dataclass
class ScriptedService:
    """A `PcscPort` that shows runs of a service in order, each look to one wait."""

    runs: list[Looks]
    done: list[CardWatch] = field(default_factory=list)
    number: int = 1
    waits: int = 0

    def epoch(self) -> int:
        return self.number

    def open_feed(self) -> StatusFeed:
        if not self.runs:
            self.done[0].stop()
            raise CardTrouble(Situation.PCSC_STOPPED)
        return ScriptedFeed(self, self.runs.pop(0))

    def connect(self, reader: str) -> CardLink:
        raise CardTrouble(Situation.CARD_ABSENT, reader=reader)

    def close(self) -> None:
        pass


class ScriptedFeed:
    """Shows the looks of one run."""

    def __init__(self, service: ScriptedService, run: Looks) -> None:
        self._service = service
        self._run = run
        self._names: tuple[str, ...] = (NAME,)

    def readers(self) -> tuple[str, ...]:
        return self._names

    def wait(self, known: Mapping[str, int], timeout_s: float) -> tuple[ReaderStatus, ...]:
        self._service.waits += 1
        if not self._run.looks:
            raise CardTrouble(Situation.PCSC_STOPPED)
        look = self._run.looks.pop(0)
        if not self._run.looks and self._run.epoch_after is not None:
            self._service.number = self._run.epoch_after
        if isinstance(look, tuple):
            self._names = look
            return ()
        assert look.name in known
        return (look,)

    def cancel(self) -> None:
        pass

    def close(self) -> None:
        pass


def watched(*runs: Looks) -> tuple[list[CardEvent], ScriptedService]:
    seen: list[CardEvent] = []
    service = ScriptedService(list(runs))
    watch = CardWatch(service, seen.append, first_insertion=1, retry_s=0.0)
    service.done.append(watch)
    watch.run()
    assert watch.readers() == ()
    return seen, service


def told(seen: list[CardEvent]) -> list[tuple[str, int | None]]:
    return [(event.kind.value, event.insertion) for event in seen]


def test_a_card_swapped_between_two_looks_is_another_stay() -> None:
    seen, _ = watched(Looks([empty(), holding(1), holding(3, CPS3)]))

    assert told(seen) == [
        ("service_up", None),
        ("reader_added", None),
        ("card_inserted", 1),
        ("card_removed", 1),
        ("card_inserted", 2),
        ("card_removed", 2),
        ("reader_removed", None),
        ("service_down", None),
    ]
    assert [event.card for event in seen if event.kind is CardEventKind.CARD_REMOVED] == [
        CardKind.VITALE_2,
        CardKind.CPS3,
    ]


def test_a_look_that_changes_nothing_for_a_person_tells_nothing() -> None:
    seen, _ = watched(Looks([holding(1), holding(1), holding(1)]))

    assert [kind for kind, _ in told(seen)].count("card_inserted") == 1
    assert "reader_changed" not in dict(told(seen))


def test_a_card_held_alone_and_one_that_answers_late_are_told() -> None:
    seen, _ = watched(Looks([holding(1, b"", mute=True), holding(1), holding(1, exclusive=True), holding(1)]))

    changes = [event.reader for event in seen if event.kind is CardEventKind.READER_CHANGED]
    assert [(reader.state, reader.card) for reader in changes if reader] == [
        (ReaderState.CARD, CardKind.VITALE_2),
        (ReaderState.HELD, CardKind.VITALE_2),
        (ReaderState.CARD, CardKind.VITALE_2),
    ]
    assert {insertion for _, insertion in told(seen)} == {None, Insertion(1)}


def test_a_service_started_again_unseen_ends_the_stays_of_before() -> None:
    # The second look comes from another run of the service: its count is the same, its card may be another.
    seen, _ = watched(Looks([holding(1), holding(1)], epoch_after=9), Looks([holding(1)]))

    assert told(seen) == [
        ("service_up", None),
        ("reader_added", 1),
        ("card_inserted", 1),
        ("card_removed", 1),
        ("reader_removed", None),
        ("reader_added", 2),
        ("card_inserted", 2),
        ("card_removed", 2),
        ("reader_removed", None),
        ("service_down", None),
    ]


def test_a_reader_unplugged_with_its_card_takes_the_card_along() -> None:
    seen, _ = watched(Looks([holding(1), (), (NAME,), holding(1)]))

    assert [pair for pair in told(seen) if pair[0] != "service_up"][:5] == [
        ("reader_added", 1),
        ("card_inserted", 1),
        ("card_removed", 1),
        ("reader_removed", None),
        ("reader_added", 2),
    ]
    assert ("card_inserted", 2) in told(seen)


def test_a_service_that_ends_waits_at_once_for_nothing_is_not_asked_without_pause() -> None:
    began = time.monotonic()
    seen, service = watched(Looks([holding(1), *[(NAME,)] * 5]))

    assert time.monotonic() - began >= 5 * SHORTEST_TURN_S
    assert service.waits == 7
    assert told(seen)[2] == ("card_inserted", 1)


def test_a_service_that_stops_at_once_is_told_once() -> None:
    seen, service = watched(Looks([]), Looks([]), Looks([]))

    assert told(seen) == [("service_up", None), ("service_down", None)] * 3
    assert service.waits == 3


def test_an_absent_service_is_told_once_and_tried_again() -> None:
    seen: list[CardEvent] = []
    tries: list[int] = []

    class Absent(ScriptedService):
        def epoch(self) -> int:
            tries.append(1)
            if tries.count(1) == 3:
                self.done[0].stop()
            raise CardTrouble(Situation.PCSC_ABSENT)

    service = Absent([])
    watch = CardWatch(service, seen.append, retry_s=0.0, alive=lambda: tries.append(0))
    service.done.append(watch)
    watch.run()

    assert told(seen) == [("service_down", None)]
    trouble = watch.trouble()
    assert trouble is not None
    assert trouble.situation is Situation.PCSC_ABSENT
    assert tries.count(0) >= 1
