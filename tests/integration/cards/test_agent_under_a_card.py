"""A whole agent, its readers process and a card: what waits leaves under the card, and nothing more once it is out.

Real: the agent, the readers process, its TLS, PKCS#11 over SoftHSM2, the sandbox's direct door. The card is virtual,
and the person who types is a file (``typed_pins``).
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from vaguemestre_agent.composition import running_agent
from vaguemestre_agent.parts import Parts
from vaguemestre_agent.paths import agent_paths
from vaguemestre_agent.practice.home import free_ports
from vaguemestre_agent.settings import AgentSettings, KeyStoreKind, ServiceSettings, Settings
from vaguemestre_api import wire_readers
from vaguemestre_api.client import Client
from vaguemestre_api.failures import ApiProblem
from vaguemestre_cardkit.soft_cards import CardBench
from vaguemestre_core.readerports import ReadersSettings, ReadersSource
from vaguemestre_sandbox.cards.cps import VirtualCps
from vaguemestre_sandbox.cards.cpspki import DOCTOR
from vaguemestre_sandbox.cards.vpcd import InsertedCard
from vaguemestre_sandbox.sandbox import Sandbox
from vaguemestre_sandbox.settings import SandboxConfig
from vaguemestre_testkit import typed_pins
from vaguemestre_testkit.acceptance_kit import vaguemestre
from vaguemestre_testkit.workstations import ACTOR, deposit, paired, until, until_order

COMMAND = (sys.executable, str(Path(typed_pins.__file__)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Workstation:
    """An agent with one reader, and the DMP it reaches with a card only."""

    lgc: Client
    sandbox: Sandbox
    port: int
    pins: Path
    environment: Mapping[str, str]

    async def put_in(self) -> InsertedCard:
        return await asyncio.to_thread(InsertedCard.insert, VirtualCps(person=DOCTOR), port=self.port)

    async def card(self, holds: Callable[[wire_readers.ProfessionalCard], bool]) -> wire_readers.Card:
        def fits(cards: tuple[wire_readers.Card, ...]) -> bool:
            return any(card.professional is not None and holds(card.professional) for card in cards)

        [card] = await until(self.lgc.cards, fits)
        return card

    async def log_in(self, card_id: str, typed: str) -> wire_readers.ProfessionalCard:
        self.pins.write_text(f"{typed}\n", "ascii")
        asked = await self.lgc.log_in_card(card_id)
        card = await self.card(lambda one: one.attempt == asked.attempt and one.session != "asking")
        assert card.professional is not None
        return card.professional


@asynccontextmanager
async def a_workstation(folder: Path, bench: CardBench, pins: Path, pki: Path) -> AsyncIterator[Workstation]:
    [port] = free_ports(1)
    cards = folder / "cards.pem"
    cards.write_bytes(bench.authority.certificate.public_bytes(Encoding.PEM))
    async with Sandbox.start(SandboxConfig(state_dir=folder / "sandbox", pki_dir=pki, card_authority=cards)) as sandbox:
        settings = Settings(
            agent=AgentSettings(key_store=KeyStoreKind.FILE, station="POSTE-1"),
            services=ServiceSettings(
                profile="sandbox",
                direct_url=sandbox.addresses.direct,
                ca_file=str(sandbox.pki.authority.certificate_path),
            ),
            readers=ReadersSettings(
                source=ReadersSource.VIRTUAL,
                virtual_ports=str(port),
                pkcs11_module=str(bench.soft.module),
                silent_s=5.0,
            ),
        )
        environment = {"VAGUEMESTRE_HOME": str(folder / "home")}
        paths = agent_paths(environment)
        async with running_agent(settings, paths, Parts(readers=COMMAND)):
            credentials = await paired(paths)
            async with Client(paths.endpoint, credentials, actor=ACTOR) as lgc:
                await until(lgc.readers, lambda found: bool(found.readers))
                environment["VAGUEMESTRE_CLIENT"] = f"{credentials.client_id}:{credentials.secret}"
                yield Workstation(lgc=lgc, sandbox=sandbox, port=port, pins=pins, environment=environment)


@pytest.mark.req("SC.DMP/ALI/PROG.06")
async def test_what_waits_leaves_under_the_card_and_nothing_more_once_it_is_out(
    tmp_path: Path, bench: CardBench, pki: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pins = tmp_path / "pins"
    pins.write_text("", "ascii")
    monkeypatch.setenv("VAGUEMESTRE_TEST_PINS", str(pins))
    async with a_workstation(tmp_path, bench, pins, pki) as station:
        first = await deposit(station.lgc, "cr-1")
        await until_order(station.lgc, first, lambda order: order.waiting == "auth")

        card = await station.put_in()
        shown = await station.card(lambda one: one.holder is not None)
        assert shown.professional is not None
        holder = shown.professional.holder
        assert holder is not None
        assert (holder.national_id, holder.category, holder.is_test) == (DOCTOR.identifier, "cps", True)
        assert (shown.professional.session, shown.professional.expiry) == ("closed", "none")
        assert await station.lgc.session() == ()

        wrong = await station.log_in(shown.card_id, "0000")
        assert wrong.failure is not None
        assert (wrong.session, wrong.failure.code) == ("closed", "PIN_WRONG")
        pins.write_text("1234\n", "ascii")
        status, opened = await vaguemestre(station.environment, "cards", "login", shown.card_id)
        assert status == 0
        professional = opened["professional"]
        assert isinstance(professional, dict)
        assert professional["session"] == "open"
        await until_order(station.lgc, first, lambda order: order.state == "sent")
        assert [item.means for item in await station.lgc.session()] == ["cps"]

        await asyncio.to_thread(card.remove)
        await until(station.lgc.session, lambda found: found == ())
        second = await deposit(station.lgc, "cr-2")
        await until_order(station.lgc, second, lambda order: order.waiting == "auth")
        with pytest.raises(ApiProblem) as over:
            await station.lgc.log_in_card(shown.card_id)
        assert over.value.code == "CARD_STAY_OVER"
        assert station.sandbox.ledger.verdict().complete_bodies == 1
        lines = (await station.lgc.ledger(limit=1000)).lines
    assert [line.kind for line in lines if line.kind.startswith("authority.")] == [
        "authority.opened",
        "authority.ended",
    ]
    assert pins.with_suffix(".asked").read_text("utf-8").splitlines() == ["LGC Essai|ok", "LGC Essai|low"]
    assert not [line for line in lines if DOCTOR.number[:8] in str(line)]
