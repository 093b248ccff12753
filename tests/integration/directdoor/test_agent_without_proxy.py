"""A whole agent that knows no proxy: what is deposited waits for the doctor's card and leaves under it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from vaguemestre_agent.composition import running_agent
from vaguemestre_agent.parts import Parts
from vaguemestre_agent.paths import AgentPaths, agent_paths
from vaguemestre_agent.practice.documents import DOCTOR, metadata, tiny_pdf
from vaguemestre_agent.services.cardauthorities import AuthoritySettings
from vaguemestre_agent.settings import AgentSettings, KeyStoreKind, ServiceSettings, Settings
from vaguemestre_api import wire
from vaguemestre_api.client import Client, Credentials, DocumentBody
from vaguemestre_drivers.cardtls.forwarder import Trust
from vaguemestre_sandbox.sandbox import Sandbox
from vaguemestre_sandbox.settings import SandboxConfig
from vaguemestre_testkit.card_pki import card_authority, card_of
from vaguemestre_testkit.card_station import CardStation
from vaguemestre_testkit.sendings import PRODUCT

ACTOR = wire.Actor(user="sec-1", role="secretaire")
PATIENCE_S = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Workstation:
    """An agent, its cards, and the DMP it reaches."""

    lgc: Client
    cards: CardStation
    sandbox: Sandbox

    async def until(self, order_id: str, holds: Callable[[wire.Order], bool]) -> wire.Order:
        async with asyncio.timeout(PATIENCE_S):
            while not holds(order := await self.lgc.order(order_id)):  # noqa: ASYNC110 - what a program sees
                await asyncio.sleep(0.05)  # the API is asked as a program asks it
            return order

    async def deposit(self, ref: str) -> str:
        body = DocumentBody(metadata=metadata(ref), body=tiny_pdf(ref), media_type="application/pdf")
        order_id = (await self.lgc.put_document(ref, body)).order.order_id
        await self.until(order_id, lambda order: order.state != "preparing")
        await self.lgc.send_now(order_id)
        return order_id


async def paired(paths: AgentPaths) -> Credentials:
    async with asyncio.timeout(PATIENCE_S):
        while not paths.first_code.exists():  # noqa: ASYNC110 - a file gives no event
            await asyncio.sleep(0.02)
    product = wire.Product(
        lps_name=PRODUCT.lps_name,
        lps_version=PRODUCT.lps_version,
        lps_id=PRODUCT.lps_id,
        homologation_id=PRODUCT.homologation_id,
        proxy_client_id=PRODUCT.proxy_client_id,
        oid_root=PRODUCT.oid_root,
    )
    async with Client(paths.endpoint, None) as stranger:
        new = await stranger.pair(paths.first_code.read_text("ascii").strip(), "LGC Essai", product)
    return Credentials(client_id=new.client.client_id, secret=new.secret)


@asynccontextmanager
async def a_workstation(tmp_path: Path, pki: Path, *, structure: bool = False) -> AsyncIterator[Workstation]:
    authority = card_authority().write(tmp_path / "cards.pem")
    config = SandboxConfig(state_dir=tmp_path / "sandbox", pki_dir=pki, card_authority=authority)
    async with Sandbox.start(config) as sandbox:
        url = urlsplit(sandbox.addresses.direct)
        assert url.hostname is not None
        assert url.port is not None
        keys = sandbox.pki
        trust = Trust(
            hosts=frozenset({(url.hostname, url.port)}), authorities=keys.authority.certificate_path.read_text("ascii")
        )
        cards = CardStation(trust, tmp_path / "streams")
        services = ServiceSettings(
            profile="sandbox",
            direct_url=sandbox.addresses.direct,
            ca_file=str(keys.authority.certificate_path),
            structure_certificate=str(keys.structure_client.certificate_path) if structure else "",
            structure_key=str(keys.structure_client.key_path) if structure else "",
            signing_certificate=str(keys.structure_signature.certificate_path) if structure else "",
            signing_key=str(keys.structure_signature.key_path) if structure else "",
        )
        settings = Settings(agent=AgentSettings(key_store=KeyStoreKind.FILE, station="POSTE-1"), services=services)
        if structure:
            settings = Settings(
                agent=settings.agent, services=services, authority=AuthoritySettings(structure_for=DOCTOR)
            )
        paths = agent_paths({"VAGUEMESTRE_HOME": str(tmp_path / "home")})
        async with (
            running_agent(settings, paths, Parts(cards=cards, card_keys=cards)),
            Client(paths.endpoint, await paired(paths), actor=ACTOR) as lgc,
        ):
            yield Workstation(lgc=lgc, cards=cards, sandbox=sandbox)


@pytest.mark.req("SC.DMP/ALI/PROG.06")
async def test_what_waits_leaves_under_the_card_alone_and_nothing_more_once_it_is_out(
    tmp_path: Path, pki: Path
) -> None:
    async with a_workstation(tmp_path, pki) as station:
        first, second = await station.deposit("cr-1"), await station.deposit("cr-2")
        waiting = await station.until(first, lambda order: order.waiting == "auth")
        why = await station.lgc.why(first)
        nobody = await station.lgc.session()
        key = station.cards.put_in(card_of(DOCTOR))
        opened = await station.lgc.session()
        await station.until(first, lambda order: order.state == "sent")
        await station.until(second, lambda order: order.state == "sent")
        station.cards.pull(key)
        closed = await station.lgc.session()
        third = await station.deposit("cr-3")
        await station.until(third, lambda order: order.waiting == "auth")
        bodies = station.sandbox.ledger.verdict()

    assert (waiting.state, why.blocking) == ("ready", "NO_SESSION")
    assert nobody == closed == ()
    assert [(item.professional, item.means) for item in opened] == [(DOCTOR, "cps")]
    assert bodies.complete_bodies == 2


@pytest.mark.req("SC.DMP/CONF.22")
async def test_the_structures_certificate_needs_nobody(tmp_path: Path, pki: Path) -> None:
    async with a_workstation(tmp_path, pki, structure=True) as station:
        order = await station.deposit("cr-1")
        await station.until(order, lambda seen: seen.state == "sent")
        bodies = station.sandbox.ledger.verdict().complete_bodies

    assert bodies == 1
    assert station.cards.handshakes == 0
