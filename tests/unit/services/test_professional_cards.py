"""Professionals' cards shown: whose, for whom, how a login goes, what is said of its end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from vaguemestre_agent.services.professionals import LOST_MAX, CardSession
from vaguemestre_agent.services.readers import ReadersService, SeenCard
from vaguemestre_core.cardholders import HolderCard, OpenedCard, structure_of
from vaguemestre_core.cards import CardKind, CardReader, CardTrouble, Insertion, ReaderState, Situation
from vaguemestre_core.cps import CardCategory, CardValidity, CpsError, CpsSituation, ExpiryNotice, NationalIdentifier
from vaguemestre_core.cpspin import PinState
from vaguemestre_core.errors import Conflict, NotFound, VaguemestreError
from vaguemestre_core.orders import ClientId
from vaguemestre_core.readerports import ProcessState, ReadersOff, ReadersPicture
from vaguemestre_core.records import Client, Scope
from vaguemestre_testkit.clocks import FakeClock, SeededRandom

START = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
HOLDER = HolderCard(
    national_id=NationalIdentifier.parse("899700000012"),
    family_name="ESSAI",
    given_name="CAMILLE",
    title="Médecin",
    profession=10,
    specialty="SM26",
    category=CardCategory.CPS,
    is_test=True,
    validity=CardValidity(begins_at=START - timedelta(days=5000), ends_at=START + timedelta(days=5000)),
    pin=PinState.OK,
)


class ScriptedReaders(ReadersOff):
    """A readers process that a test moves."""

    def __init__(self) -> None:
        self.shown = ReadersPicture(state=ProcessState.RUNNING, life=1)
        self.held: tuple[OpenedCard, ...] = ()
        self.holders: list[HolderCard | VaguemestreError] = []
        self.answers: asyncio.Queue[VaguemestreError | None] = asyncio.Queue()
        self.askers: list[str] = []
        self.reads = 0
        self._listeners: list[Callable[[ReadersPicture], None]] = []

    @property
    def picture(self) -> ReadersPicture:
        return self.shown

    def listen(self, listener: Callable[[ReadersPicture], None]) -> Callable[[], None]:
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def opened(self) -> Sequence[OpenedCard]:
        return self.held

    async def read_holder(self, stay: Insertion) -> HolderCard:
        self.reads += 1
        answer = self.holders.pop(0) if len(self.holders) > 1 else self.holders[0]
        if isinstance(answer, VaguemestreError):
            raise answer
        return answer

    async def log_in(self, stay: Insertion, asker: str) -> OpenedCard:
        self.askers.append(asker)
        refused = await self.answers.get()
        if refused is not None:
            raise refused
        opened = OpenedCard(
            stay=stay,
            key="k",
            category=CardCategory.CPS,
            holder=HOLDER.national_id.value,
            structure=None,
            until=HOLDER.validity.ends_at,
            certificate=b"",
        )
        self.hold((opened,))
        return opened

    async def log_out(self, stay: Insertion) -> None:
        self.hold(())

    def hold(self, opened: tuple[OpenedCard, ...]) -> None:
        self.held = opened
        self._tell()

    def put_in(self, *stays: int, kind: CardKind = CardKind.CPS3) -> None:
        readers = tuple(
            CardReader(name=f"R{stay}", state=ReaderState.CARD, card=kind, insertion=Insertion(stay)) for stay in stays
        )
        self.shown = replace(self.shown, readers=readers)
        self.held = tuple(card for card in self.held if card.stay in stays)
        self._tell()

    def _tell(self) -> None:
        for listener in tuple(self._listeners):
            listener(self.shown)


class Bench:
    """The service over it."""

    def __init__(self, port: ScriptedReaders, service: ReadersService, clock: FakeClock) -> None:
        self.port = port
        self.clock = clock
        self.service = service

    def card(self, *scopes: Scope) -> SeenCard:
        [card] = self.service.cards(client(*(scopes or (Scope.CONTROL,))))
        return card

    async def until(self, holds: Callable[[], bool]) -> None:
        changed = asyncio.Event()
        stop = self.service.listen(changed.set)
        try:
            async with asyncio.timeout(5.0):
                while not holds():
                    changed.clear()
                    await changed.wait()
        finally:
            stop()

    def session(self) -> CardSession:
        professional = self.card().professional
        assert professional is not None
        return professional.session

    def failure(self) -> str | None:
        professional = self.card().professional
        assert professional is not None
        return professional.failure

    def unread(self) -> str | None:
        professional = self.card().professional
        assert professional is not None
        return professional.unread

    def holder(self) -> HolderCard | None:
        professional = self.card().professional
        return None if professional is None else professional.holder


def client(*scopes: Scope) -> Client:
    return Client(
        client_id=ClientId("c"),
        name="Logiciel du cabinet",
        secret_digest="0" * 64,
        os_identity=None,
        scopes=frozenset(scopes),
        product=None,
        created_at=START,
    )


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    port = ScriptedReaders()
    port.holders = [HOLDER]
    clock = FakeClock(START)
    service = ReadersService(port, clock, SeededRandom())
    async with asyncio.TaskGroup() as group:
        task = group.create_task(service.run())
        await asyncio.sleep(0)
        yield Bench(port, service, clock)
        task.cancel()


async def test_the_holder_is_shown_to_who_acts_for_the_practice_only(bench: Bench) -> None:
    bench.port.put_in(7)
    await bench.until(lambda: bench.holder() is not None)
    seen = bench.card().professional
    assert seen is not None
    assert (seen.holder, seen.notice, seen.session) == (HOLDER, ExpiryNotice.NONE, CardSession.CLOSED)
    assert bench.card(Scope.ADMIN).professional == seen
    withheld = bench.card(Scope.READ, Scope.ENQUEUE, Scope.IDENTITY)
    assert withheld.is_withheld
    assert withheld.professional is not None
    assert (withheld.professional.holder, withheld.professional.session) == (None, CardSession.CLOSED)
    assert "ESSAI" not in repr(seen)


async def test_a_login_asks_in_the_programs_name_and_says_how_it_ends(bench: Bench) -> None:
    bench.port.put_in(7)
    await bench.until(lambda: bench.holder() is not None)
    card_id = bench.card().card_id
    first = bench.service.log_in(client(Scope.CONTROL), card_id)
    assert bench.session() is CardSession.ASKING
    with pytest.raises(Conflict, match="CARD_LOGIN_OPEN"):
        bench.service.log_in(client(Scope.CONTROL), card_id)
    bench.port.answers.put_nowait(CpsError(CpsSituation.PIN_WRONG, state="low"))
    await bench.until(lambda: bench.failure() == "PIN_WRONG")
    assert bench.session() is CardSession.CLOSED

    second = bench.service.log_in(client(Scope.CONTROL), card_id)
    assert second > first
    bench.port.answers.put_nowait(None)
    await bench.until(lambda: bench.session() is CardSession.OPEN)
    assert bench.failure() is None
    assert bench.port.askers == ["Logiciel du cabinet"] * 2
    await bench.service.log_out(card_id)
    assert bench.session() is CardSession.CLOSED


async def test_a_stay_that_is_over_is_never_taken_for_the_next_one(bench: Bench) -> None:
    bench.port.put_in(7)
    card_id = bench.card().card_id
    bench.port.put_in(8)
    assert bench.card().card_id != card_id
    with pytest.raises(NotFound, match="CARD_STAY_OVER"):
        bench.service.log_in(client(Scope.CONTROL), card_id)
    bench.port.put_in(9, kind=CardKind.VITALE_2)
    assert bench.card().professional is None
    with pytest.raises(Conflict, match="CARD_NOT_PROFESSIONAL"):
        bench.service.log_in(client(Scope.CONTROL), bench.card().card_id)
    with pytest.raises(Conflict, match="CARD_NOT_PROFESSIONAL"):
        await bench.service.log_out(bench.card().card_id)


@pytest.mark.parametrize(
    ("days", "code"),
    [(100, None), (60, "CPS_ENDS_SOON"), (30, "CPS_ENDS_SOON"), (7, "CPS_ENDS_SOON"), (-1, "CPS_EXPIRED")],
)
async def test_health_says_when_a_card_ends_and_nothing_of_the_person(
    bench: Bench, days: int, code: str | None
) -> None:
    validity = CardValidity(begins_at=START - timedelta(days=900), ends_at=START + timedelta(days=days))
    bench.port.holders = [replace(HOLDER, validity=validity)]
    bench.port.put_in(7)
    await bench.until(lambda: bench.holder() is not None)
    told = [(item.code, item.params["days"]) for item in bench.service.health_items() if not item.ok]
    assert told == ([] if code is None else [(code, days)])


async def test_what_passes_by_itself_is_read_again_and_the_rest_is_told(bench: Bench) -> None:
    bench.port.holders = [CpsError(CpsSituation.MIDDLEWARE_BUSY), HOLDER]
    bench.port.put_in(7)
    await bench.until(lambda: bench.unread() == "MIDDLEWARE_BUSY")
    bench.clock.advance(2.0)
    await bench.until(lambda: bench.holder() is not None)
    assert (bench.port.reads, bench.unread()) == (2, None)
    bench.port.holders = [CpsError(CpsSituation.MIDDLEWARE_ABSENT)]
    bench.port.put_in(8)
    await bench.until(lambda: bench.unread() == "MIDDLEWARE_ABSENT")
    assert bench.port.reads == 3
    assert [item.code for item in bench.service.health_items() if not item.ok] == ["MIDDLEWARE_ABSENT"]


async def test_a_middleware_that_takes_the_process_down_is_not_asked_for_ever(bench: Bench) -> None:
    bench.port.holders = [CardTrouble(Situation.READERS_PROCESS_DOWN)]
    for stay in range(LOST_MAX):
        bench.port.put_in(stay)
        await bench.until(lambda: bench.unread() == "READERS_PROCESS_DOWN")
    bench.port.put_in(LOST_MAX)
    assert bench.unread() == "MIDDLEWARE_CRASHED"
    bench.clock.advance(60.0)
    await asyncio.sleep(0)
    assert bench.port.reads == LOST_MAX


@pytest.mark.parametrize(
    ("identifier", "structure"),
    [
        ("3750000001/0000000017", "1750000001"),
        ("499700000012003/17", None),
        ("699700000012003/17", "499700000012003"),
        ("899700000012", None),
    ],
)
def test_the_structure_of_an_employee_is_in_the_identifier(identifier: str, structure: str | None) -> None:
    assert structure_of(NationalIdentifier.parse(identifier)) == structure
