"""The real PC/SC service in a namespace of its own: the whole contract, and a service that dies and comes back."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from vaguemestre_core.cards import CardEventKind, CardKind, CardTrouble, Situation
from vaguemestre_drivers.pcsc.connection import CardAccess, Patience
from vaguemestre_drivers.pcsc.holding import holders
from vaguemestre_sandbox.cards.card import ScriptedCard
from vaguemestre_testkit import pcsclab
from vaguemestre_testkit.card_rig import pcscd_rig

ROOT = Path(__file__).resolve().parents[3]
VITALE = bytes.fromhex("3B751300004709EA9000")
READ = bytes.fromhex("00B0000000")
QUICK = Patience(held_s=0.5, pause_s=0.01)
inside = pytest.mark.skipif(not pcsclab.is_inside(), reason="run by the test outside, in a namespace of its own")
OTHER_PROGRAM = """
import sys
from smartcard import scard
_, context = scard.SCardEstablishContext(scard.SCARD_SCOPE_USER)
result, card, _ = scard.SCardConnect(context, sys.argv[1], getattr(scard, sys.argv[2]), scard.SCARD_PROTOCOL_ANY)
assert result == 0, hex(result)
assert scard.SCardBeginTransaction(card) == 0
print("holding", flush=True)
sys.stdin.readline()
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    "target",
    [
        "tests/contract/cards/test_pcsc_contract.py",
        "tests/contract/cards/test_vitale_over_readers.py",
        "tests/contract/cards/test_vitale_pulled.py",
        "tests/integration/cards/test_real_pcsc_service.py",
    ],
)
def test_everything_holds_over_a_real_service(target: str) -> None:
    assert "passed" in pcsclab.run_tests(ROOT / target, timeout_s=110)


@inside
def test_the_watch_survives_a_service_absent_killed_stopped_and_started_again() -> None:
    with pcscd_rig() as rig:
        service = rig.service
        assert service is not None
        service.kill()
        watch, events = rig.watch()
        events.wait_kind(CardEventKind.SERVICE_DOWN)
        trouble = watch.trouble()
        assert trouble is not None
        assert trouble.situation is Situation.PCSC_STOPPED
        stays = []
        for end in (service.kill, service.stop, service.kill):
            seen = len(events.seen)
            service.start()
            events.wait_kind(CardEventKind.SERVICE_UP, after=seen)
            events.wait_kind(CardEventKind.READER_ADDED, rig.readers[0], after=seen)
            card = rig.insert(ScriptedCard(VITALE, {READ: b"abc\x90\x00"}))
            inserted = events.wait_kind(CardEventKind.CARD_INSERTED, rig.readers[0], after=seen)
            assert inserted.card is CardKind.VITALE_2
            assert inserted.insertion is not None
            stays.append(inserted.insertion)
            access = rig.access(watch)
            work = access.using_card(
                rig.readers[0], lambda s: s.transmit(READ), is_repeatable=True, insertion=inserted.insertion
            )
            assert work == (b"abc", 0x9000)
            seen = len(events.seen)
            end()
            events.wait_kind(CardEventKind.CARD_REMOVED, rig.readers[0], after=seen)
            events.wait_kind(CardEventKind.READER_REMOVED, rig.readers[0], after=seen)
            events.wait_kind(CardEventKind.SERVICE_DOWN, after=seen)
            with pytest.raises(CardTrouble) as refused:
                access.using_card(rig.readers[0], lambda s: s.transmit(READ), is_repeatable=True)
            assert refused.value.situation is Situation.PCSC_STOPPED
            card.remove()
        assert len(set(stays)) == 3


@inside
def test_a_service_killed_and_back_between_two_looks_ends_every_stay() -> None:
    with pcscd_rig() as rig:
        assert rig.service is not None
        watch, events = rig.watch()
        first = rig.insert(ScriptedCard(VITALE, {READ: b"abc\x90\x00"}))
        chosen = events.wait_kind(CardEventKind.CARD_INSERTED).insertion
        seen = len(events.seen)
        rig.service.kill()
        first.remove()
        rig.service.start()
        rig.insert(ScriptedCard(VITALE, {READ: b"other\x90\x00"}))
        events.wait_kind(CardEventKind.CARD_INSERTED, after=seen)
        with pytest.raises(CardTrouble) as refused:
            rig.access(watch).using_card(
                rig.readers[0], lambda s: s.transmit(READ), is_repeatable=True, insertion=chosen
            )
        assert refused.value.situation is Situation.CARD_CHANGED


@inside
def test_readers_come_and_go() -> None:
    with pcscd_rig() as rig:
        assert rig.service is not None
        watch, events = rig.watch()
        events.wait_kind(CardEventKind.READER_ADDED, rig.readers[1])
        seen = len(events.seen)
        rig.service.stop()
        rig.service.set_readers(plugged=False)
        rig.service.start()
        events.wait_kind(CardEventKind.READER_REMOVED, rig.readers[1], after=seen)
        events.wait_kind(CardEventKind.SERVICE_UP, after=seen)
        assert watch.readers() == ()
        seen = len(events.seen)
        rig.service.stop()
        rig.service.set_readers(plugged=True)
        rig.service.start()
        events.wait_kind(CardEventKind.READER_ADDED, rig.readers[0], after=seen)


@inside
@pytest.mark.parametrize("share", ["SCARD_SHARE_SHARED", "SCARD_SHARE_EXCLUSIVE"])
def test_the_program_that_holds_the_reader_is_named_then_waited_for(share: str) -> None:
    with pcscd_rig() as rig:
        watch, events = rig.watch()
        rig.insert(ScriptedCard(VITALE, {READ: b"abc\x90\x00"}))
        events.wait_kind(CardEventKind.CARD_INSERTED)
        access = CardAccess(rig.port, watch.stay, holders=holders)
        command = [sys.executable, "-c", OTHER_PROGRAM, rig.readers[0], share]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
            assert other.stdout is not None
            assert other.stdin is not None
            assert other.stdout.readline() == "holding\n"
            with pytest.raises(CardTrouble) as held:
                access.using_card(rig.readers[0], lambda s: s.transmit(READ), is_repeatable=True, patience=QUICK)
            assert held.value.situation is Situation.READER_HELD
            assert held.value.params["certain"] is True
            assert str(held.value.params["holder"]).startswith("python")
            other.stdin.write("done\n")
            other.stdin.flush()
            got = access.using_card(rig.readers[0], lambda s: s.transmit(READ), is_repeatable=True)
        assert got == (b"abc", 0x9000)
