"""The composition root: reads the settings, picks the adapters, starts the services in order, says ready last.

The only module that knows everything. Order: lock, keys, store with recovery, way to the services, preparation,
sessions, dispatch, local API, ready. Stop in reverse: refuse requests, drain the sendings with a deadline, close the
store last.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

from vaguemestre_agent.adapters.backup.files import FileBackups
from vaguemestre_agent.adapters.dmp.adapter import DmpEndpoint, EsanteDmp
from vaguemestre_agent.adapters.http import TlsFiles, silence_library_loggers
from vaguemestre_agent.adapters.keystore.rotation import drop_unneeded
from vaguemestre_agent.adapters.keystore.stores import FileKeyStore, KeyStore, SystemKeyStore, reach_keys
from vaguemestre_agent.adapters.preparer.worker import WorkerPreparer
from vaguemestre_agent.adapters.proxy.adapter import EsanteProxy
from vaguemestre_agent.adapters.shadow import ShadowDmp, ShadowProxy
from vaguemestre_agent.adapters.signing.software import SoftwareSigner
from vaguemestre_agent.adapters.system.clock import SystemClock
from vaguemestre_agent.adapters.system.failpoints import Unarmed
from vaguemestre_agent.adapters.system.machine import machine_identity
from vaguemestre_agent.adapters.system.random import SystemRandom
from vaguemestre_agent.adapters.system.storelock import only_living_copy
from vaguemestre_agent.adapters.system.witness import TcpWitness, parse_hosts
from vaguemestre_agent.adapters.system.witnesses import FileWitness, KeyStoreWitness
from vaguemestre_agent.adapters.unconfigured import UnconfiguredDmp, UnconfiguredProxy
from vaguemestre_agent.dropfolder.door import DropDoor
from vaguemestre_agent.dropfolder.folder import DropFolder
from vaguemestre_agent.localapi.firstpairing import keep_first_code
from vaguemestre_agent.localapi.listening import Listening, transport_for
from vaguemestre_agent.localapi.lock import AgentLock
from vaguemestre_agent.localapi.server import LocalApi
from vaguemestre_agent.locked.backend import LockedBackend
from vaguemestre_agent.locked.starting import OUT_OF_REACH, as_backend, watching_keys
from vaguemestre_agent.locked.unlocking import UnlockingService
from vaguemestre_agent.paths import AgentPaths
from vaguemestre_agent.patience import opened_or_explained
from vaguemestre_agent.profiles.loader import read_profile, shipped_profile
from vaguemestre_agent.profiles.model import ServiceProfile
from vaguemestre_agent.services.announcements import AnnouncementService
from vaguemestre_agent.services.backups import BackupService
from vaguemestre_agent.services.changes import ChangeService
from vaguemestre_agent.services.clients import ClientService
from vaguemestre_agent.services.condition import clock_items, salvage_items
from vaguemestre_agent.services.dispatch import SERVICE, DispatchService
from vaguemestre_agent.services.facade import AgentBackend
from vaguemestre_agent.services.facts import FactService
from vaguemestre_agent.services.history import HistoryService
from vaguemestre_agent.services.indicators import IndicatorService
from vaguemestre_agent.services.intake import IntakeService
from vaguemestre_agent.services.keeping import KeepingService
from vaguemestre_agent.services.orders import OrderService
from vaguemestre_agent.services.outages import Outages, outage_item
from vaguemestre_agent.services.preparation import PreparationService
from vaguemestre_agent.services.sessions import SessionService
from vaguemestre_agent.services.standing import standing_items
from vaguemestre_agent.services.values import HealthItem
from vaguemestre_agent.services.wake import Wake
from vaguemestre_agent.settings import DropFolderSettings, KeyStoreKind, ServiceMode, ServiceSettings, Settings
from vaguemestre_core.deferral import evening_of
from vaguemestre_core.errors import StoreError
from vaguemestre_core.keeping import BackupPort, KeepingPort
from vaguemestre_core.orders import ClientId, HoldKind
from vaguemestre_core.ports import ClockPort, DmpPort, FailpointPort, PreparerPort, ProxyPort, RandomPort, StorePort
from vaguemestre_core.records import Change
from vaguemestre_documents.pdf.policy import PdfPolicy
from vaguemestre_queue.incarnation import Witness
from vaguemestre_queue.opening import DATABASE_FILE, Surroundings, open_store
from vaguemestre_queue.sealing import Sealer, StoreKeys
from vaguemestre_queue.spool import Spool, read_public_keys, write_public_keys
from vaguemestre_queue.store import Store
from vaguemestre_queue.unverified import UnverifiedStore

_log = logging.getLogger(__name__)
# In the state folder: emptied at each start of the worker.
SCRATCH_FOLDER: Final = "preparation"
KEYS_FILE = "keys.json"


def _same_store(store: StorePort) -> StorePort:
    return store


def _same_dmp(dmp: DmpPort) -> DmpPort:
    return dmp


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What may be replaced in an agent: real by default; the self-tests seed bugs here.

    Attributes:
        clock, random, failpoints: ports to the machine.
        around_store, around_dmp: wrappers.
        machine: tells the identities of the machine.
        recovering: False leaves what was on the way on the way.
        worker: how the preparation's worker is started; None: this interpreter and its module.
    """

    clock: ClockPort = field(default_factory=SystemClock)
    random: RandomPort = field(default_factory=SystemRandom)
    failpoints: FailpointPort = field(default_factory=Unarmed)
    around_store: Callable[[StorePort], StorePort] = _same_store
    around_dmp: Callable[[DmpPort], DmpPort] = _same_dmp
    machine: Callable[[], tuple[str, ...]] = machine_identity
    recovering: bool = True
    worker: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Services:
    """The way to the national services."""

    profile: ServiceProfile
    proxy: ProxyPort
    dmp: DmpPort
    is_configured: bool
    is_shadow: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kept:
    """What keeps and backs up the store of this agent."""

    keeping: KeepingPort
    backups: BackupPort


def load_profile(name: str) -> ServiceProfile:
    """Return a shipped profile by its name, or the profile of a file. Raises InvalidInput PROFILE_…."""
    return read_profile(Path(name)) if name.endswith(".toml") else shipped_profile(name)


def key_store(settings: Settings, paths: AgentPaths) -> KeyStore:
    """Return the key store the settings ask for."""
    if settings.agent.key_store is KeyStoreKind.FILE:
        return FileKeyStore(paths.state / KEYS_FILE)
    return SystemKeyStore(paths.state.name)


def surroundings(settings: Settings, paths: AgentPaths, parts: Parts) -> Surroundings:
    """Return what tells the store from its copies."""
    witnesses: list[Witness] = [FileWitness(paths.config)]
    if settings.agent.key_store is KeyStoreKind.SYSTEM:  # a file of the state folder would be copied with it
        witnesses.append(KeyStoreWitness(key_store(settings, paths)))
    return Surroundings(machine=parts.machine(), witnesses=witnesses)


@asynccontextmanager
async def _services(settings: ServiceSettings, parts: Parts) -> AsyncIterator[_Services]:
    profile = load_profile(settings.profile)
    if settings.mode is ServiceMode.SHADOW:
        # No client is opened at all: whatever the services ask for, there is nothing here that could send.
        yield _Services(profile=profile, proxy=ShadowProxy(), dmp=ShadowDmp(), is_configured=True, is_shadow=True)
        return
    if not settings.proxy_url:
        yield _Services(profile=profile, proxy=UnconfiguredProxy(), dmp=UnconfiguredDmp(), is_configured=False)
        return
    endpoint = DmpEndpoint(
        base_url=settings.proxy_url,
        tls=TlsFiles(
            ca_file=_file(settings.ca_file),
            certificate_file=_file(settings.client_certificate),
            key_file=_file(settings.client_key),
        ),
        trust_env=settings.trust_env,
    )
    signer = await asyncio.to_thread(_signer, settings)
    client = endpoint.open_client(passed=parts.failpoints.hit)
    try:
        yield _Services(
            profile=profile,
            proxy=EsanteProxy(client, profile, parts.clock),
            dmp=EsanteDmp(client, profile, parts.clock, parts.random, signer=signer),
            is_configured=True,
        )
    finally:
        await client.aclose()


def _standing_holds(settings: ServiceSettings) -> frozenset[HoldKind]:
    """Return the holds under which every order is born: what shadow mode accepts stays held when it is left."""
    return frozenset({HoldKind.SHADOW}) if settings.mode is ServiceMode.SHADOW else frozenset()


def _drop_door(settings: DropFolderSettings, backend: AgentBackend, parts: Parts) -> DropDoor | None:
    """Return the watcher of the drop folder, or None when none is set."""
    if not settings.path:
        return None
    folder = DropFolder(Path(settings.path), settings.settle_s, parts.failpoints.hit)
    client_id = ClientId(settings.client_id)
    return DropDoor(backend, folder, client_id, parts.clock, parts.failpoints, settings.poll_s)


def _take(lock: AgentLock, paths: AgentPaths) -> None:
    """Take the home's lock before anything else is opened. Raises Conflict AGENT_ALREADY_RUNNING."""
    paths.state.mkdir(parents=True, exist_ok=True, mode=0o700)
    lock.take()


def _file(path: str) -> Path | None:
    return Path(path) if path else None


def _signer(settings: ServiceSettings) -> SoftwareSigner | None:
    if not settings.signing_certificate:
        return None
    return SoftwareSigner(Path(settings.signing_certificate).read_bytes(), Path(settings.signing_key).read_bytes())


def _station(settings: Settings) -> str:
    return settings.agent.station or socket.gethostname()


@asynccontextmanager
async def running_agent(settings: Settings, paths: AgentPaths, parts: Parts | None = None) -> AsyncIterator[None]:
    """Run an agent while the block runs; without its keys it accepts all the same, and goes on when they are back.

    Args:
        settings: its settings.
        paths: where it lives.
        parts: what to replace in it.

    Raises:
        VaguemestreError: with the code of what prevents the start; nothing was changed.
    """
    parts = parts or Parts()
    silence_library_loggers()
    lock = AgentLock(paths.lock)
    async with AsyncExitStack() as stack:
        await asyncio.to_thread(_take, lock, paths)
        stack.callback(lock.free)
        keystore = await asyncio.to_thread(key_store, settings, paths)
        database = paths.state / DATABASE_FILE

        def load() -> StoreKeys:
            return reach_keys(keystore, parts.random, store_exists=database.exists())

        try:
            keys = await asyncio.to_thread(load)
        except StoreError as error:
            if error.code not in OUT_OF_REACH:
                raise
            locked = LockedBackend(
                Spool(paths.state),
                UnverifiedStore(database),
                parts.clock,
                parts.random,
                trouble=error.code,
                station=_station(settings),
                version=version("vaguemestre"),
                can_seal=lambda: bool(read_public_keys(paths.state)),
            )
            api = LocalApi(as_backend(locked), parts.random)
            await stack.enter_async_context(
                watching_keys(
                    api,
                    locked,
                    parts.clock,
                    load,
                    lambda keys: _with_keys(settings, paths, parts, keys, is_answered=True),
                )
            )
            _log.warning("agent.locked", extra={"code": error.code})
        else:
            backend = await stack.enter_async_context(_with_keys(settings, paths, parts, keys, is_answered=False))
            api = LocalApi(backend, parts.random)
        await stack.enter_async_context(Listening(api, transport_for(paths.endpoint.address)))
        _log.info("agent.ready")
        yield


@asynccontextmanager
async def _with_keys(
    settings: Settings, paths: AgentPaths, parts: Parts, keys: StoreKeys, *, is_answered: bool
) -> AsyncIterator[AgentBackend]:
    """Run the store and the services while the block runs; ``is_answered``: somebody listens and explains already."""
    async with AsyncExitStack() as stack:
        around = await asyncio.to_thread(surroundings, settings, paths, parts)

        def open_it() -> AbstractAsyncContextManager[Store]:
            return open_store(
                paths.state,
                keys,
                parts.clock,
                parts.random,
                parts.failpoints,
                recovering=parts.recovering,
                surroundings=around,
                standing_holds=_standing_holds(settings.services),
            )

        if is_answered:
            opened = await stack.enter_async_context(open_it())
        else:
            opened = await opened_or_explained(stack, open_it, paths.endpoint.address, parts.clock, parts.random)
        if opened.recovery.copied_at is None:  # a copy that nobody adopted sends nothing: it stands in nobody's way
            stack.enter_context(only_living_copy(opened.store_id))
        store = parts.around_store(opened)
        kept = _Kept(keeping=opened.keeping, backups=FileBackups(paths.state, keys, parts.clock, parts.failpoints))
        services = await stack.enter_async_context(_services(settings.services, parts))
        preparer = await stack.enter_async_context(
            aclosing(
                WorkerPreparer(
                    zone=ZoneInfo(settings.deferral.zone),
                    deadline_s=settings.preparation.deadline_s,
                    memory_bytes=settings.preparation.memory_mib * 1024 * 1024,
                    pdf=PdfPolicy(
                        mode=settings.preparation.pdfa,
                        ghostscript=settings.preparation.ghostscript,
                        # The conversion ends before the document's deadline, and its refusal is said.
                        ghostscript_s=settings.preparation.deadline_s / 2,
                        scratch=str(paths.state / SCRATCH_FOLDER),
                    ),
                    footer=settings.footer,
                    command=parts.worker,
                )
            )
        )
        sealer = Sealer(keys)
        await asyncio.to_thread(write_public_keys, paths.state, sealer.public_keys)
        running = await stack.enter_async_context(
            _running_services(settings, parts, store, kept, services, preparer, paths, sealer)
        )
        if keys.retired:
            await _drop_retired(key_store(settings, paths), keys, await opened.keeping.sealed_to(), paths.state)
        yield running


async def _drop_retired(keystore: KeyStore, keys: StoreKeys, sealed_to: frozenset[str], state: Path) -> None:
    """Forget the station's old keys that nothing needs; a key store in trouble is asked at another start."""
    try:
        if await asyncio.to_thread(drop_unneeded, keystore, keys, sealed_to, state):
            _log.info("keys.retired_dropped")
    except StoreError as error:
        _log.warning("keys.retired_kept", extra={"code": error.code})


@asynccontextmanager
async def _running_services(
    settings: Settings,
    parts: Parts,
    store: StorePort,
    kept: _Kept,
    services: _Services,
    preparer: PreparerPort,
    paths: AgentPaths,
    sealer: Sealer,
) -> AsyncIterator[AgentBackend]:
    prepare_wake, dispatch_wake = Wake(), Wake()

    def on_change(change: Change) -> None:
        prepare_wake.ring()
        dispatch_wake.ring()

    station = _station(settings)
    sessions = SessionService(
        store,
        services.proxy,
        parts.clock,
        parts.random,
        station=station,
        longest_s=services.profile.proxy.session_max_s,
        connect_s=services.profile.proxy.connect_read_s,
        changed=dispatch_wake.ring,
    )
    witness = TcpWitness(parse_hosts(settings.services.witness))
    outages = Outages(store, parts.clock, parts.random, witness, settings.breaker, SERVICE)
    preparation = PreparationService(
        store=store,
        preparer=preparer,
        clock=parts.clock,
        random=parts.random,
        failpoints=parts.failpoints,
        retry=settings.retry,
        wake=prepare_wake,
    )
    dispatch = DispatchService(
        store,
        parts.around_dmp(services.dmp),
        sessions,
        outages,
        parts.clock,
        parts.random,
        parts.failpoints,
        settings.retry,
        settings.dispatch,
        dispatch_wake,
        preparer,
        evening_of(settings.deferral),
    )

    backups = BackupService(
        store=store, keeping=kept.keeping, backups=kept.backups, clock=parts.clock, settings=settings.backup
    )
    keeping = KeepingService(
        store=kept.keeping, clock=parts.clock, retention=settings.retention, outside=backups.remembered
    )

    clients = ClientService(store, parts.clock, parts.random)
    intake = IntakeService(
        store=store,
        sessions=sessions,
        clock=parts.clock,
        random=parts.random,
        policy=settings.deferral,
        station=station,
    )
    unlocking = UnlockingService(spool=Spool(paths.state), sealer=sealer, store=store, clients=clients, intake=intake)

    def health_items() -> Sequence[HealthItem]:
        trouble = dispatch.trouble
        return (
            HealthItem(code="STORE_OK" if trouble is None else trouble, ok=trouble is None),
            *([HealthItem(code="SHADOW_MODE", ok=False)] if services.is_shadow else []),
            *clock_items(dispatch.clock_jumped_s),
            *salvage_items(store.recovery.salvaged),
            HealthItem(
                code="PROXY_CONFIGURED" if services.is_configured else "PROXY_NOT_CONFIGURED", ok=services.is_configured
            ),
            outage_item(outages.now(), ZoneInfo(settings.deferral.zone)),
            HealthItem(
                code="STOPPED_CLEANLY" if store.recovery.previous_stop_clean else "RECOVERED",
                ok=True,
                params={"doubtful": store.recovery.doubtful, "incarnated": store.recovery.incarnated},
            ),
            *standing_items(store.recovery),
            *unlocking.health_items(),
            *keeping.health_items(),
            *backups.health_items(),
            *([] if door is None else [door.health_item()]),
        )

    backend = AgentBackend(
        store=store,
        client_service=clients,
        intake=intake,
        history=HistoryService(intake=intake),
        fact_service=FactService(store=store),
        change_service=ChangeService(
            store=store, sessions=sessions, clock=parts.clock, random=parts.random, policy=settings.deferral
        ),
        order_service=OrderService(
            store=store, sessions=sessions, outages=outages, clock=parts.clock, is_shadow=services.is_shadow
        ),
        sessions=sessions,
        keeping=keeping,
        indicators=IndicatorService(store=store, clock=parts.clock, zone=ZoneInfo(settings.deferral.zone)),
        announcements=AnnouncementService(
            store=store, clock=parts.clock, zone=ZoneInfo(settings.deferral.zone), settings=settings.announcements
        ),
        backups=backups,
        clock=parts.clock,
        dispatch_wake=dispatch_wake,
        version=version("vaguemestre"),
        health_items=health_items,
        is_ready=lambda: dispatch.trouble is None,
    )
    door = _drop_door(settings.dropfolder, backend, parts)
    stop_listening = store.listen(on_change)
    async with asyncio.TaskGroup() as group:
        started = asyncio.Event()
        tasks = [
            group.create_task(sessions.run(started), name="sessions"),
            group.create_task(preparation.run(), name="preparation"),
            group.create_task(dispatch.run(), name="dispatch"),
            group.create_task(keeping.run(), name="keeping"),
            group.create_task(backups.run(), name="backups"),
            *([] if door is None else [group.create_task(door.run(), name="drop-folder")]),
            group.create_task(keep_first_code(backend, paths.first_code, parts.clock), name="first-code"),
        ]
        await started.wait()
        try:
            await unlocking.accept_kept()
            yield backend
        finally:
            stop_listening()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(settings.agent.drain_s):
                    await dispatch.drain()
            for task in tasks:
                task.cancel()
