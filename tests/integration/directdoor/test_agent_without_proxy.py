"""A whole agent that knows no proxy: what is deposited waits for the doctor's card and leaves under it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from vaguemestre_agent.composition import running_agent
from vaguemestre_agent.parts import Parts
from vaguemestre_agent.paths import agent_paths
from vaguemestre_agent.practice.documents import DOCTOR
from vaguemestre_agent.services.cardauthorities import AuthoritySettings
from vaguemestre_agent.settings import AgentSettings, KeyStoreKind, ServiceSettings, Settings
from vaguemestre_api.client import Client
from vaguemestre_drivers.cardtls.forwarder import Trust
from vaguemestre_sandbox.sandbox import Sandbox
from vaguemestre_sandbox.settings import SandboxConfig
from vaguemestre_testkit.card_pki import card_authority, card_of
from vaguemestre_testkit.card_station import CardStation
from vaguemestre_testkit.workstations import ACTOR, deposit, paired, until_order


@dataclass(frozen=True, slots=True, kw_only=True)
class Workstation:
    """An agent, its cards, and the DMP it reaches."""

    lgc: Client
    cards: CardStation
    sandbox: Sandbox


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
        first, second = await deposit(station.lgc, "cr-1"), await deposit(station.lgc, "cr-2")
        waiting = await until_order(station.lgc, first, lambda order: order.waiting == "auth")
        why = await station.lgc.why(first)
        nobody = await station.lgc.session()
        key = station.cards.put_in(card_of(DOCTOR))
        opened = await station.lgc.session()
        await until_order(station.lgc, first, lambda order: order.state == "sent")
        await until_order(station.lgc, second, lambda order: order.state == "sent")
        station.cards.pull(key)
        closed = await station.lgc.session()
        third = await deposit(station.lgc, "cr-3")
        await until_order(station.lgc, third, lambda order: order.waiting == "auth")
        bodies = station.sandbox.ledger.verdict()

    assert (waiting.state, why.blocking) == ("ready", "NO_SESSION")
    assert nobody == closed == ()
    assert [(item.professional, item.means) for item in opened] == [(DOCTOR, "cps")]
    assert bodies.complete_bodies == 2


@pytest.mark.req("SC.DMP/CONF.22")
async def test_the_structures_certificate_needs_nobody(tmp_path: Path, pki: Path) -> None:
    async with a_workstation(tmp_path, pki, structure=True) as station:
        order = await deposit(station.lgc, "cr-1")
        await until_order(station.lgc, order, lambda seen: seen.state == "sent")
        bodies = station.sandbox.ledger.verdict().complete_bodies

    assert bodies == 1
    assert station.cards.handshakes == 0
