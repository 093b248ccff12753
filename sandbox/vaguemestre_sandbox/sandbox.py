"""The composition root of the sandbox: builds everything once, starts it, stops it in reverse.

Use `async with Sandbox.start(config) as sandbox:` in tests, or the command line for a process of its own.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

import aiohttp
from cryptography import x509

from vaguemestre_sandbox.cardroutes import CardRoutes
from vaguemestre_sandbox.cards.rack import CardRack
from vaguemestre_sandbox.clock import SandboxClock
from vaguemestre_sandbox.dmp import BASE_PATH, DmpService
from vaguemestre_sandbox.failures import RuleBook, Target
from vaguemestre_sandbox.inspection import Inspection
from vaguemestre_sandbox.ledger import BodyRow, Outcome, WireLedger
from vaguemestre_sandbox.listener import Listener
from vaguemestre_sandbox.pki import Pki, open_pki
from vaguemestre_sandbox.proxy import ProxyService
from vaguemestre_sandbox.psc import PscDouble
from vaguemestre_sandbox.settings import SandboxConfig
from vaguemestre_sandbox.store import SandboxStore
from vaguemestre_sandbox.tokens import ApiTokens
from vaguemestre_sandbox.wire import WireDesk


@dataclass(frozen=True, slots=True, kw_only=True)
class Addresses:
    """Where to reach a running sandbox.

    `dmp_services` holds patients, repository and registry; `direct` is the base URL of the same services for cards.
    """

    proxy: str
    dmp_services: str
    direct: str
    inspection: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Sandbox:
    """A running sandbox; its parts may be driven directly by a test in the same process."""

    config: SandboxConfig
    addresses: Addresses
    pki: Pki
    clock: SandboxClock
    store: SandboxStore
    ledger: WireLedger
    book: RuleBook
    psc: PscDouble
    proxy: ProxyService
    dmp: DmpService
    listeners: dict[str, Listener]
    rack: CardRack

    @classmethod
    @asynccontextmanager
    async def start(cls, config: SandboxConfig) -> AsyncIterator[Sandbox]:
        """Start every service; they all accept once this yields. Stops them on leaving."""
        config.state_dir.mkdir(parents=True, exist_ok=True)
        pki = open_pki(config.pki_dir or config.state_dir / "pki")
        if config.card_authority is not None:
            authority = x509.load_pem_x509_certificate(config.card_authority.read_bytes())
            pki = replace(pki, card_authority=authority)
        store = SandboxStore(config.state_dir / "sandbox.sqlite3")
        try:
            async with asyncio.TaskGroup() as tasks, _running(config, pki, store, tasks) as sandbox:
                yield sandbox
        finally:
            store.close()


@asynccontextmanager
async def _running(
    config: SandboxConfig, pki: Pki, store: SandboxStore, tasks: asyncio.TaskGroup
) -> AsyncIterator[Sandbox]:
    clock = SandboxClock()
    book = RuleBook()
    ledger = WireLedger(store, _reconciled(store), store.load_answers())
    desk = WireDesk(ledger, store, clock, keep_bodies=config.keep_bodies)
    tokens = ApiTokens()
    psc = PscDouble(config.proxy)
    connector = aiohttp.TCPConnector(ssl=pki.client_context(pki.proxy_client), limit=0)
    async with aiohttp.ClientSession(
        connector=connector,
        auto_decompress=False,
        cookie_jar=aiohttp.DummyCookieJar(),
        skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
    ) as client:
        dmp = DmpService(
            profile=config.dmp,
            store=store,
            desk=desk,
            book=book,
            tokens=tokens,
            pki=pki,
            clock=clock,
            tasks=tasks,
        )
        proxy = ProxyService(
            profile=config.proxy,
            psc=psc,
            tokens=tokens,
            desk=desk,
            book=book,
            pki=pki,
            clock=clock,
            client=client,
        )
        listeners = {
            "dmp": Listener(
                name="dmp",
                application=dmp.application(),
                port=config.dmp_port,
                context=pki.server_context(client_certificate_required=True),
                book=book,
                target=Target.DMP,
                tasks=tasks,
            ),
            "direct": Listener(
                name="direct",
                application=dmp.application(),
                port=config.direct_port,
                context=pki.server_context(client_certificate_required=True, cards=True),
                book=book,
                target=Target.DMP,
                tasks=tasks,
            ),
            "proxy": Listener(
                name="proxy",
                application=proxy.application(),
                port=config.proxy_port,
                context=pki.server_context(client_certificate_required=False),
                book=book,
                target=Target.PROXY,
                tasks=tasks,
            ),
        }
        rack = CardRack(config.card_ports)
        inspection = Inspection(
            store=store,
            ledger=ledger,
            book=book,
            psc=psc,
            proxy=proxy,
            dmp=dmp,
            tokens=tokens,
            clock=clock,
            listeners=listeners,
            cards=CardRoutes(rack),
        )
        page = Listener(
            name="inspection",
            application=inspection.application(),
            port=config.inspection_port,
            context=None,
            book=book,
            target=None,
            tasks=tasks,
        )
        started: list[Listener] = []
        try:
            for listener in (*listeners.values(), page):
                await listener.start()
                started.append(listener)
            services = listeners["dmp"].url + BASE_PATH
            proxy.set_backend("dmp", services)
            yield Sandbox(
                config=config,
                addresses=Addresses(
                    proxy=listeners["proxy"].url,
                    dmp_services=services,
                    direct=listeners["direct"].url,
                    inspection=page.url,
                ),
                pki=pki,
                clock=clock,
                store=store,
                ledger=ledger,
                book=book,
                psc=psc,
                proxy=proxy,
                dmp=dmp,
                listeners=listeners,
                rack=rack,
            )
        finally:
            await asyncio.to_thread(rack.clear)
            book.clear()
            psc.clear()
            for listener in reversed(started):
                await listener.stop()


def _reconciled(store: SandboxStore) -> tuple[BodyRow, ...]:
    """Return the body rows; one killed between holding its document and saying so is marked stored."""
    rows = store.load_bodies()
    stored = {row.unique_id for row in rows if row.stored and row.is_feeding}
    found = []
    for row in rows:
        if not row.is_feeding:
            # A change is held together with its submission set.
            is_held = row.outcome is Outcome.PROCESSING and store.submission(row.lot_id) is not None
            found.append(replace(row, stored=True) if is_held else row)
            continue
        held = store.document(row.unique_id) if row.outcome is Outcome.PROCESSING else None
        if held is not None and row.unique_id not in stored and hashlib.sha256(held.content).hexdigest() == row.sha256:
            stored.add(row.unique_id)
            row = replace(row, stored=True)
        found.append(row)
    return tuple(found)
