"""The services of an agent over an open store: made, started, stopped in reverse, and what health asks of each.

A part of the composition root: starts nothing but services.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from zoneinfo import ZoneInfo

from vaguemestre_agent.adapters.readers.port import SupervisedReaders
from vaguemestre_agent.adapters.secondcopy.hands import PatientHands
from vaguemestre_agent.adapters.secondcopy.place import FolderPlace
from vaguemestre_agent.adapters.system.witness import TcpWitness, parse_hosts
from vaguemestre_agent.dropfolder.door import DropDoor
from vaguemestre_agent.dropfolder.folder import DropFolder
from vaguemestre_agent.localapi.firstpairing import keep_first_code
from vaguemestre_agent.locked.unlocking import UnlockingService
from vaguemestre_agent.parts import Parts, station_name
from vaguemestre_agent.paths import AgentPaths
from vaguemestre_agent.services.announcements import AnnouncementService
from vaguemestre_agent.services.authorities import Authorities
from vaguemestre_agent.services.backups import BackupService
from vaguemestre_agent.services.cardauthorities import CardAuthorities
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
from vaguemestre_agent.services.readers import ReadersService
from vaguemestre_agent.services.secondcopy import SecondCopyService
from vaguemestre_agent.services.sessions import SessionService
from vaguemestre_agent.services.standing import standing_items
from vaguemestre_agent.services.values import HealthItem
from vaguemestre_agent.services.wake import Wake
from vaguemestre_agent.settings import DropFolderSettings, Settings
from vaguemestre_agent.ways import Ways
from vaguemestre_core.deferral import evening_of
from vaguemestre_core.keeping import BackupPort, KeepingPort
from vaguemestre_core.orders import ClientId
from vaguemestre_core.ports import PreparerPort, StorePort
from vaguemestre_core.readerports import ReadersOff
from vaguemestre_core.records import Change
from vaguemestre_core.secondcopy import CopySourcePort, SecondCopySettings
from vaguemestre_queue.sealing import Sealer
from vaguemestre_queue.spool import Spool


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What keeps and backs up the store of this agent."""

    keeping: KeepingPort
    backups: BackupPort
    copies: CopySourcePort
    store_id: str


def _drop_door(settings: DropFolderSettings, backend: AgentBackend, parts: Parts) -> DropDoor | None:
    """Return the watcher of the drop folder, or None when none is set."""
    if not settings.path:
        return None
    folder = DropFolder(Path(settings.path), settings.settle_s, parts.failpoints.hit)
    client_id = ClientId(settings.client_id)
    return DropDoor(backend, folder, client_id, parts.clock, parts.failpoints, settings.poll_s)


def _second_copy(
    settings: SecondCopySettings, parts: Parts, store: StorePort, kept: Kept, paths: AgentPaths, sealer: Sealer
) -> SecondCopyService:
    return SecondCopyService(
        source=kept.copies,
        place=FolderPlace(Path(settings.folder), kept.store_id, paths.state, parts.failpoints.hit),
        hands=PatientHands(settings.answer_s),
        clock=parts.clock,
        settings=settings,
        opens_with_recovery_key=len(sealer.public_keys) > 1,
        is_unadopted_copy=store.recovery.copied_at is not None,
    )


@asynccontextmanager
async def running_services(
    settings: Settings,
    parts: Parts,
    store: StorePort,
    kept: Kept,
    services: Ways,
    preparer: PreparerPort,
    paths: AgentPaths,
    sealer: Sealer,
    supervised: SupervisedReaders | None,
) -> AsyncIterator[AgentBackend]:
    """Run the services while the block runs; at its end the sendings drain, then all stop."""
    prepare_wake, dispatch_wake = Wake(), Wake()

    def on_change(change: Change) -> None:
        prepare_wake.ring()
        dispatch_wake.ring()

    station = station_name(settings)
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
    cards = CardAuthorities(
        store,
        services.cards,
        parts.clock,
        station=station,
        settings=settings.authority,
        changed=dispatch_wake.ring,
        structure=services.structure,
    )
    authorities = Authorities(sessions, cards)
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
        authorities,
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

    second_copy = _second_copy(settings.second_copy, parts, store, kept, paths, sealer)
    clients = ClientService(store, parts.clock, parts.random)
    intake = IntakeService(
        store=store,
        authorities=authorities,
        clock=parts.clock,
        random=parts.random,
        policy=settings.deferral,
        station=station,
    )
    readers = ReadersService(supervised or ReadersOff(), parts.clock, parts.random, settings.scanners.rules)
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
            *second_copy.health_items(),
            *readers.health_items(),
            *([] if door is None else [door.health_item()]),
        )

    backend = AgentBackend(
        store=store,
        client_service=clients,
        intake=intake,
        history=HistoryService(intake=intake),
        fact_service=FactService(store=store),
        change_service=ChangeService(
            store=store, authorities=authorities, clock=parts.clock, random=parts.random, policy=settings.deferral
        ),
        order_service=OrderService(
            store=store, authorities=authorities, outages=outages, clock=parts.clock, is_shadow=services.is_shadow
        ),
        sessions=sessions,
        authorities_held=authorities,
        keeping=keeping,
        indicators=IndicatorService(store=store, clock=parts.clock, zone=ZoneInfo(settings.deferral.zone)),
        announcements=AnnouncementService(
            store=store, clock=parts.clock, zone=ZoneInfo(settings.deferral.zone), settings=settings.announcements
        ),
        backups=backups,
        readers=readers,
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
            group.create_task(cards.run(), name="card-authorities"),
            group.create_task(preparation.run(), name="preparation"),
            group.create_task(dispatch.run(), name="dispatch"),
            group.create_task(keeping.run(), name="keeping"),
            group.create_task(backups.run(), name="backups"),
            group.create_task(second_copy.run(), name="second-copy"),
            *([] if supervised is None else [group.create_task(supervised.run(), name="readers")]),
            group.create_task(readers.run(), name="professional-cards"),
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
