"""The services of an agent over a real store, with doubles for what is outside: DMP, proxy, preparation, time.

Owns the doubles of ``ProxyPort`` and ``PreparerPort`` (their contracts: tests/contract/services), a store that fails on
demand, and the wiring. Nothing here sleeps: waiting is for a change that the store tells.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import cast
from zoneinfo import ZoneInfo

from vaguemestre_agent.adapters.backup.files import FileBackups
from vaguemestre_agent.practice.documents import DOCTOR, metadata, tiny_pdf
from vaguemestre_agent.services.announcements import AnnouncementService
from vaguemestre_agent.services.authorities import Authorities
from vaguemestre_agent.services.backups import BackupService
from vaguemestre_agent.services.cardauthorities import AuthoritySettings, CardAuthorities, StructureCertificate
from vaguemestre_agent.services.changes import ChangeService
from vaguemestre_agent.services.clients import ClientService
from vaguemestre_agent.services.dispatch import SERVICE, DispatchService, DispatchSettings
from vaguemestre_agent.services.facade import AgentBackend
from vaguemestre_agent.services.facts import FactService
from vaguemestre_agent.services.history import HistoryService
from vaguemestre_agent.services.indicators import IndicatorService
from vaguemestre_agent.services.intake import IntakeService
from vaguemestre_agent.services.keeping import KeepingService
from vaguemestre_agent.services.orders import OrderService
from vaguemestre_agent.services.outages import Outages, outage_item
from vaguemestre_agent.services.preparation import PreparationService
from vaguemestre_agent.services.readers import ReadersService
from vaguemestre_agent.services.sessions import SessionService
from vaguemestre_agent.services.values import DocumentUpload, HealthItem
from vaguemestre_core.announcements import AnnouncementSettings
from vaguemestre_core.breaker import BreakerPolicy
from vaguemestre_core.deferral import DeferralPolicy, evening_of
from vaguemestre_core.keeping import BackupSettings, RetentionSettings
from vaguemestre_core.orders import HoldKind, OrderState
from vaguemestre_core.ports import ConnectRefused, StorePort
from vaguemestre_core.readerports import ReadersOff
from vaguemestre_core.records import Actor, Change, Client, Order, ProxySession, Scope
from vaguemestre_core.redaction import Secret
from vaguemestre_core.retry import RetryPolicy
from vaguemestre_core.turns import SendingRight
from vaguemestre_queue.opening import Surroundings, open_store
from vaguemestre_queue.sealing import StoreKeys
from vaguemestre_testkit.clocks import FakeClock, NoFailpoints, SeededRandom
from vaguemestre_testkit.observed_wake import ObservedWake
from vaguemestre_testkit.orders import PRODUCT, rights, test_keys
from vaguemestre_testkit.scripted_cards import ScriptedCards
from vaguemestre_testkit.scripted_dmp import ScriptedDmp
from vaguemestre_testkit.scripted_preparer import ScriptedPreparer
from vaguemestre_testkit.scripted_witness import ScriptedWitness

SECRETARY = Actor(user="sec-1", role="secretaire")
STATION = "POSTE-1"
PATIENCE_S = 15.0  # of the tests, on the machine's clock: reached only by a failure


class ScriptedProxy:
    """ProxyPort in memory.

    Attributes:
        answers: what the next connects meet, in order; when empty, the professional accepts.
        gate: when set, a connect waits for it: the professional has not answered yet.
        asked: (professional, binding message, clientId, channel) of each connect: a prompt the professional saw.
        open_cookies: sessions it knows.
        disconnect_error: raised by the next disconnects.
    """

    def __init__(self, clock: FakeClock, life_s: float = 4 * 3600.0) -> None:
        self.answers: deque[ConnectRefused | Exception] = deque()
        self.gate: asyncio.Event | None = None
        self.asked: list[tuple[str, str, str, str]] = []
        self.open_cookies: set[str] = set()
        self.disconnect_error: Exception | None = None
        self._clock = clock
        self._life_s = life_s

    async def connect(
        self, national_id: str, binding_message: str, proxy_client_id: str, channel: str
    ) -> ProxySession | ConnectRefused:
        """Open a session, or do what the next answer says."""
        self.asked.append((national_id, binding_message, proxy_client_id, channel))
        if self.gate is not None:
            await self.gate.wait()
        if self.answers:
            answer = self.answers.popleft()
            if isinstance(answer, Exception):
                raise answer
            return answer
        cookie = f"cookie-{len(self.asked)}"
        self.open_cookies.add(cookie)
        now = self._clock.now()
        return ProxySession(
            national_id=national_id,
            cookie=Secret(cookie),
            session_state=f"state-{len(self.asked)}",
            opened_at=now,
            until=now + timedelta(seconds=self._life_s),
            adopted=False,
            proxy_client_id=proxy_client_id,
        )

    async def disconnect(self, session: ProxySession) -> None:
        """Close a session; one already gone is no error."""
        if self.disconnect_error is not None:
            raise self.disconnect_error
        self.open_cookies.discard(session.cookie.reveal())


class FailingStore:
    """A store in front of the real one, whose methods raise when told, before doing anything."""

    def __init__(self, inner: StorePort) -> None:
        self._inner = inner
        self._failures: dict[str, deque[Exception]] = {}
        self.refused: Counter[str] = Counter()
        self.listening = 0

    def listen(self, listener: Callable[[Change], None]) -> Callable[[], None]:
        """Listen to the real one, counted."""
        stop = self._inner.listen(listener)
        self.listening += 1

        def stopped() -> None:
            self.listening -= 1
            stop()

        return stopped

    def fail(self, method: str, error: Exception, times: int = 1) -> None:
        """Let the next calls of that method raise."""
        self._failures.setdefault(method, deque()).extend([error] * times)

    def __getattr__(self, name: str) -> object:
        found = getattr(self._inner, name)
        failures = self._failures.get(name)
        if not failures:
            return found

        async def failing(*args: object, **kwargs: object) -> object:
            if failures:
                self.refused[name] += 1
                raise failures.popleft()
            return await found(*args, **kwargs)

        return failing


@dataclass(frozen=True, slots=True, kw_only=True)
class Office:
    """An agent's services, wired as the composition root does, with doubles around."""

    clock: FakeClock
    random: SeededRandom
    failpoints: NoFailpoints
    store: StorePort
    real: StorePort
    failing: FailingStore
    dmp: ScriptedDmp
    proxy: ScriptedProxy
    preparer: ScriptedPreparer
    sessions: SessionService
    cards: ScriptedCards
    card_authorities: CardAuthorities
    preparation: PreparationService
    dispatch: DispatchService
    outages: Outages
    witness: ScriptedWitness
    prepare_wake: ObservedWake
    dispatch_wake: ObservedWake
    backend: AgentBackend
    client: Client
    secret: Secret
    told: list[Change]
    news: asyncio.Event

    async def deposit(
        self,
        ref: str = "cr-1",
        *,
        title: str = "Compte rendu",
        patient: int = 0,
        client: Client | None = None,
        body: bytes | None = None,
        change: Mapping[str, object] | None = None,
        **options: object,
    ) -> Order:
        """Deposit a document as the LGC does; return its order."""
        value = json.loads(metadata(title, patient)) | dict(change or {})
        upload = DocumentUpload(
            client_ref=ref,
            metadata=json.dumps(value).encode(),
            body=tiny_pdf(title) if body is None else body,
            media_type="application/pdf",
            actor=SECRETARY,
        )
        upload = replace(upload, **options)  # type: ignore[arg-type]  # tests name the members they change
        return (await self.backend.put_document(client or self.client, upload)).order

    async def ready(self, ref: str = "cr-1", **options: object) -> Order:
        """Deposit, prepare and let the deferral pass, without any loop."""
        order = await self.deposit(ref, **options)  # type: ignore[arg-type]  # the options of deposit
        await self.preparation.prepare(order)
        self.clock.advance(1000)
        await self.store.due(self.clock.now(), self.clock.boot_s(), self.clock.boot_id(), 100)
        return await self.store.order(order.order_id)

    async def claimed(self, ref: str = "cr-1", **options: object) -> Order:
        """Bring an order to CLAIMED, with a session open."""
        await self.adopt()
        await self.ready(ref, **options)
        order = await self.store.claim("dmp", self.rights(), self.clock.now())
        assert order is not None
        return order

    async def adopt(
        self, cookie: str = "biscuit", until_s: float | None = None, *, client: Client | None = None, who: str = DOCTOR
    ) -> None:
        """Give the LGC's own session."""
        await self.sessions.adopt(client or self.client, who, Secret(cookie), "state", until_s, SECRETARY)

    def rights(self, client: Client | None = None) -> tuple[SendingRight, ...]:
        """Return the right to send an LGC's orders for the doctor."""
        return rights(DOCTOR, client_id=(client or self.client).client_id)

    def session(self) -> ProxySession:
        """Return the doctor's open session."""
        session = self.sessions.session_for(DOCTOR, self.client)
        assert session is not None
        return session

    async def now(self, order: Order) -> Order:
        """Return an order as it is now."""
        return await self.store.order(order.order_id)

    async def until(self, holds: Callable[[Order], bool], order: Order) -> Order:
        """Wait for a change of the store after which that holds for an order."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                self.news.clear()
                now = await self.now(order)
                if holds(now):
                    return now
                await self.news.wait()

    async def reaches(self, order: Order, state: OrderState) -> Order:
        """Wait until an order is in a state."""
        return await self.until(lambda now: now.state is state, order)

    async def advance(self, seconds: float) -> None:
        """Advance the clock of services at work, once they all wait."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                await self.real.last_line()  # what was committed before has been told
                await self.prepare_wake.asleep()
                await self.dispatch_wake.asleep()
                for _ in range(3):  # and those who wait have reached the clock
                    await asyncio.sleep(0)
                if self.prepare_wake.is_asleep and self.dispatch_wake.is_asleep:
                    break
        self.clock.advance(seconds)

    async def pass_time(self, step_s: float, enough: Callable[[], bool]) -> None:
        """Advance the clock step by step, letting the services work in between, until that holds."""
        async with asyncio.timeout(PATIENCE_S):
            while not enough():
                self.clock.advance(step_s)
                for _ in range(5):
                    await self.real.last_line()

    async def kinds(self, order: Order) -> list[str]:
        """Return the kinds of an order's ledger lines."""
        return [line.kind for line in await self.store.ledger(0) if line.order_id == order.order_id]

    @asynccontextmanager
    async def at_work(self) -> AsyncIterator[None]:
        """Run preparation, sessions and dispatch as the agent does; a service that dies fails the block."""
        async with asyncio.TaskGroup() as group:
            started = asyncio.Event()
            tasks = [
                group.create_task(self.sessions.run(started)),
                group.create_task(self.card_authorities.run()),
                group.create_task(self.preparation.run()),
                group.create_task(self.dispatch.run()),
            ]
            await started.wait()
            try:
                yield
            finally:
                for task in tasks:
                    task.cancel()


@dataclass(frozen=True, slots=True, kw_only=True)
class OfficeSettings:
    """What differs between tests."""

    deferral: DeferralPolicy = field(default_factory=DeferralPolicy)
    dispatch: DispatchSettings = field(default_factory=DispatchSettings)
    retry: RetryPolicy = field(default_factory=lambda: RetryPolicy(jitter=0.0))
    standing_holds: frozenset[HoldKind] = frozenset()
    is_shadow: bool = False
    breaker: BreakerPolicy = field(default_factory=lambda: BreakerPolicy(jitter=0.0))
    authority: AuthoritySettings = field(default_factory=AuthoritySettings)
    structure: StructureCertificate | None = None


@asynccontextmanager
async def office(
    folder: Path,
    settings: OfficeSettings | None = None,
    *,
    clock: FakeClock | None = None,
    keys: StoreKeys | None = None,
    dmp: ScriptedDmp | None = None,
    surroundings: Surroundings | None = None,
    seed: int = 1,
    backup: BackupSettings | None = None,
    cards: ScriptedCards | None = None,
) -> AsyncIterator[Office]:
    """Wire the services over a real store in a folder, with one paired client: the one of its earlier life if any."""
    settings = settings or OfficeSettings()
    clock = clock or FakeClock()
    random = SeededRandom(seed)
    failpoints = NoFailpoints()
    keys = keys or test_keys()
    async with open_store(
        folder,
        keys,
        clock,
        random,
        failpoints,
        surroundings=surroundings,
        standing_holds=settings.standing_holds,
    ) as real:
        failing = FailingStore(real)
        store = cast("StorePort", failing)
        prepare_wake, dispatch_wake = ObservedWake(), ObservedWake()
        told: list[Change] = []
        news = asyncio.Event()

        def on_change(change: Change) -> None:
            told.append(change)
            news.set()
            prepare_wake.ring()
            dispatch_wake.ring()

        stop = real.listen(on_change)
        dmp, proxy, preparer = dmp or ScriptedDmp(), ScriptedProxy(clock), ScriptedPreparer()
        sessions = SessionService(
            store,
            proxy,
            clock,
            random,
            station=STATION,
            longest_s=4 * 3600,
            connect_s=120.0,
            changed=dispatch_wake.ring,
        )
        cards = cards or ScriptedCards()
        card_authorities = CardAuthorities(
            store,
            cards,
            clock,
            station=STATION,
            settings=settings.authority,
            changed=dispatch_wake.ring,
            structure=settings.structure,
        )
        authorities = Authorities(sessions, card_authorities)
        preparation = PreparationService(
            store=store,
            preparer=preparer,
            clock=clock,
            random=random,
            failpoints=failpoints,
            retry=settings.retry,
            wake=prepare_wake,
        )
        witness = ScriptedWitness()
        outages = Outages(store, clock, random, witness, settings.breaker, SERVICE)
        dispatch = DispatchService(
            store,
            dmp,
            authorities,
            outages,
            clock,
            random,
            failpoints,
            settings.retry,
            settings.dispatch,
            dispatch_wake,
            preparer,
            evening_of(settings.deferral),
        )
        clients = ClientService(store, clock, random)
        backups = BackupService(
            store=store,
            keeping=real.keeping,
            backups=FileBackups(folder, keys, clock, failpoints),
            clock=clock,
            settings=backup or BackupSettings(),
        )
        intake = IntakeService(
            store=store,
            authorities=authorities,
            clock=clock,
            random=random,
            policy=settings.deferral,
            station=STATION,
        )
        backend = AgentBackend(
            store=store,
            client_service=clients,
            intake=intake,
            history=HistoryService(intake=intake),
            fact_service=FactService(store=store),
            change_service=ChangeService(
                store=store, authorities=authorities, clock=clock, random=random, policy=settings.deferral
            ),
            order_service=OrderService(
                store=store, authorities=authorities, outages=outages, clock=clock, is_shadow=settings.is_shadow
            ),
            sessions=sessions,
            authorities_held=authorities,
            announcements=AnnouncementService(
                store=store, clock=clock, zone=ZoneInfo("Europe/Paris"), settings=AnnouncementSettings()
            ),
            readers=ReadersService(ReadersOff(), clock, random),
            indicators=IndicatorService(store=store, clock=clock, zone=ZoneInfo("Europe/Paris")),
            keeping=KeepingService(
                store=real.keeping, clock=clock, retention=RetentionSettings(), outside=backups.remembered
            ),
            backups=backups,
            clock=clock,
            dispatch_wake=dispatch_wake,
            version="0.0.0",
            health_items=lambda: (
                HealthItem(code="STORE_OK", ok=True),
                outage_item(outages.now(), ZoneInfo("Europe/Paris")),
            ),
            is_ready=lambda: dispatch.trouble is None,
        )
        known = await clients.clients()
        if known:
            client, secret = known[0], Secret("kept by the program")
        else:
            client, secret = await clients.pair("LGC Essai", frozenset(Scope), PRODUCT, None, SECRETARY)
        try:
            yield Office(
                clock=clock,
                random=random,
                failpoints=failpoints,
                store=store,
                real=real,
                failing=failing,
                dmp=dmp,
                proxy=proxy,
                preparer=preparer,
                sessions=sessions,
                cards=cards,
                card_authorities=card_authorities,
                preparation=preparation,
                dispatch=dispatch,
                outages=outages,
                witness=witness,
                prepare_wake=prepare_wake,
                dispatch_wake=dispatch_wake,
                backend=backend,
                client=client,
                secret=secret,
                told=told,
                news=news,
            )
        finally:
            stop()
