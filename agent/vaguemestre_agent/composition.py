"""The composition root: reads the settings, picks the adapters, starts the services in order, says ready last.

The only module that knows everything. Order: lock, keys, store with recovery, way to the services, preparation,
sessions, dispatch, local API, ready. Stop in reverse: refuse requests, drain the sendings with a deadline, close the
store last.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, aclosing, asynccontextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

from vaguemestre_agent.adapters.backup.files import FileBackups
from vaguemestre_agent.adapters.http import silence_library_loggers
from vaguemestre_agent.adapters.keystore.rotation import drop_unneeded
from vaguemestre_agent.adapters.keystore.stores import KeyStore, reach_keys
from vaguemestre_agent.adapters.preparer.worker import WorkerPreparer
from vaguemestre_agent.adapters.system.storelock import only_living_copy
from vaguemestre_agent.localapi.listening import Listening, transport_for
from vaguemestre_agent.localapi.lock import AgentLock
from vaguemestre_agent.localapi.server import LocalApi
from vaguemestre_agent.locked.backend import LockedBackend
from vaguemestre_agent.locked.starting import OUT_OF_REACH, as_backend, watching_keys
from vaguemestre_agent.parts import Parts, key_store, station_name, surroundings
from vaguemestre_agent.paths import AgentPaths
from vaguemestre_agent.patience import opened_or_explained
from vaguemestre_agent.running import Kept, running_services
from vaguemestre_agent.services.facade import AgentBackend
from vaguemestre_agent.settings import ServiceMode, ServiceSettings, Settings
from vaguemestre_agent.ways import open_ways
from vaguemestre_agent.workstation import readers_of, with_cards
from vaguemestre_core.errors import StoreError
from vaguemestre_core.orders import HoldKind
from vaguemestre_documents.pdf.policy import PdfPolicy
from vaguemestre_queue.opening import DATABASE_FILE, open_store
from vaguemestre_queue.sealing import Sealer, StoreKeys
from vaguemestre_queue.spool import Spool, read_public_keys, write_public_keys
from vaguemestre_queue.store import Store
from vaguemestre_queue.unverified import UnverifiedStore

_log = logging.getLogger(__name__)
# In the state folder: emptied at each start of the worker.
SCRATCH_FOLDER: Final = "preparation"


def _take(lock: AgentLock, paths: AgentPaths) -> None:
    """Take the home's lock before anything else is opened. Raises Conflict AGENT_ALREADY_RUNNING."""
    paths.state.mkdir(parents=True, exist_ok=True, mode=0o700)
    lock.take()


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
                station=station_name(settings),
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


def _standing_holds(settings: ServiceSettings) -> frozenset[HoldKind]:
    """Return the holds under which every order is born: what shadow mode accepts stays held when it is left."""
    return frozenset({HoldKind.SHADOW}) if settings.mode is ServiceMode.SHADOW else frozenset()


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
        kept = Kept(
            keeping=opened.keeping,
            backups=FileBackups(paths.state, keys, parts.clock, parts.failpoints),
            copies=opened.copies,
            store_id=opened.store_id,
        )
        readers = await asyncio.to_thread(readers_of, settings, parts, paths)
        ways = open_ways(settings.services, with_cards(parts, readers))
        services = await stack.enter_async_context(ways)
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
            running_services(settings, parts, store, kept, services, preparer, paths, sealer, readers)
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
