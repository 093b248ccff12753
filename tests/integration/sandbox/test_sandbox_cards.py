"""A tester puts cards in a workstation's readers through a running sandbox, and pulls them."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path

import aiohttp
import pytest

from vaguemestre_core.cards import CardKind
from vaguemestre_drivers.pcsc.atr import kind_of
from vaguemestre_drivers.pcsc.port import StatusFeed
from vaguemestre_drivers.pcsc.virtual import VirtualReaders
from vaguemestre_sandbox.cards.catalogue import STRANGER_ATR, offers
from vaguemestre_sandbox.cards.commands import main as command
from vaguemestre_sandbox.cli import build_parser, config_of, describe, main
from vaguemestre_sandbox.sandbox import Sandbox
from vaguemestre_sandbox.settings import SandboxConfig


def next_presence(feed: StatusFeed, reader: str, mark: int) -> tuple[bool, bytes, int]:
    (status,) = feed.wait({reader: mark}, 10.0)
    return status.is_present, status.atr, status.mark


async def test_cards_go_in_and_out_by_command(config: SandboxConfig, capsys: pytest.CaptureFixture[str]) -> None:
    readers = VirtualReaders([0])
    feed = readers.open_feed()
    _, _, mark = next_presence(feed, readers.names[0], 0)
    try:
        async with Sandbox.start(replace(config, card_ports=(readers.ports[0], 1))) as sandbox:
            at = ["--inspection", sandbox.addresses.inspection]
            assert describe(sandbox)["cards"] == list(offers())

            assert await asyncio.to_thread(command, ["insert", *at, "unknown"]) == 0
            present, atr, mark = await asyncio.to_thread(next_presence, feed, readers.names[0], mark)
            assert (present, atr) == (True, STRANGER_ATR)
            assert await asyncio.to_thread(command, ["cards", *at]) == 0
            assert "lecteur 0" in (said := capsys.readouterr().out)
            assert "unknown" in said

            assert await asyncio.to_thread(command, ["remove", *at, "--json"]) == 0
            assert json.loads(capsys.readouterr().out) == {"removed": True}
            present, _, mark = await asyncio.to_thread(next_presence, feed, readers.names[0], mark)
            assert not present
            assert await asyncio.to_thread(command, ["remove", *at]) == 0
            assert "vide" in capsys.readouterr().out

            assert await asyncio.to_thread(command, ["insert", *at, "mute", "--reader", "1"]) == 1  # nobody listens
            assert "port 1" in capsys.readouterr().err
            assert await asyncio.to_thread(command, ["insert", *at, "no such card"]) == 1
            assert await asyncio.to_thread(command, ["remove", *at, "--reader", "2"]) == 1
    finally:
        readers.close()


async def test_a_foreign_page_puts_no_card_in(config: SandboxConfig) -> None:
    async with (
        Sandbox.start(replace(config, card_ports=(1,))) as sandbox,
        aiohttp.ClientSession() as client,
    ):
        answer = await client.put(
            f"{sandbox.addresses.inspection}/api/readers/0/card",
            json={"card": "mute"},
            headers={"Origin": "https://example.org"},
        )
        assert answer.status == 403
        answer = await client.put(
            f"{sandbox.addresses.inspection}/api/readers/0/card", json={"card": "mute", "pulled_at": 0}
        )
        assert answer.status == 400


def test_a_sandbox_that_is_not_there_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert command(["cards", "--inspection", "http://127.0.0.1:1"]) == 2
    assert main(["--json", "cards", "--inspection", "ftp://x"]) == 2
    assert "ne répond pas" in capsys.readouterr().err


def test_the_readers_ports_are_options(tmp_path: Path) -> None:
    words = ["--state-dir", str(tmp_path), "--card-port", "4001", "--card-port", "4002"]
    assert config_of(build_parser().parse_args(words)).card_ports == (4001, 4002)
    assert config_of(build_parser().parse_args(words[:2])).card_ports == (35963, 35964)


@pytest.mark.parametrize("name", offers())
def test_every_card_on_offer_is_fresh_each_time(name: str) -> None:
    assert offers()[name].make() is not offers()[name].make()


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("cps3", CardKind.CPS3),
        ("cps4", CardKind.CPS4),
        ("cps3-sans-contact", CardKind.CPS3_CONTACTLESS),
        ("vitale1", CardKind.VITALE_1),
        ("vitale2", CardKind.VITALE_2),
        ("unknown", CardKind.UNKNOWN),
        ("mute", CardKind.UNKNOWN),
    ],
)
def test_a_card_on_offer_is_what_the_workstation_takes_it_for(name: str, kind: CardKind) -> None:
    assert kind_of(offers()[name].make().atr) is kind
