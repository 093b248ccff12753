"""A professional's card through the whole readers process: virtual reader, SoftHSM2, a scripted person."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from vaguemestre_agent.adapters.readers.cardkeys import SupervisedCardKeys
from vaguemestre_agent.adapters.readers.port import SupervisedReaders
from vaguemestre_agent.adapters.system.clock import SystemClock
from vaguemestre_agent.practice.home import free_ports
from vaguemestre_cardkit.soft_cards import EXPIRED, CardBench
from vaguemestre_core.cards import CardTrouble, Insertion, Situation
from vaguemestre_core.cps import CpsError, CpsSituation, ExpiryNotice
from vaguemestre_core.cpspin import PinState
from vaguemestre_core.errors import InvalidInput, ServiceError
from vaguemestre_core.readerports import ProcessState, ReadersPlaces, ReadersSettings, ReadersSource
from vaguemestre_core.records import AuthorityMeans
from vaguemestre_core.signing import SignatureAlgorithm, SignaturePurpose
from vaguemestre_sandbox.cards.cps import VirtualCps
from vaguemestre_sandbox.cards.cpspki import DOCTOR, SECRETARY, CardPerson
from vaguemestre_sandbox.cards.vitale import Vitale2Card
from vaguemestre_sandbox.cards.vpcd import InsertedCard
from vaguemestre_testkit import typed_pins

SIGNED_INFO = (
    b'<ds:SignedInfo xmlns:ds="http://www.w3.org/2000/09/xmldsig#">'
    b'<ds:Reference URI="#a"></ds:Reference></ds:SignedInfo>'
)
COMMAND = (sys.executable, str(Path(typed_pins.__file__)))


@dataclass
class Desk:
    """A workstation with two readers."""

    readers: SupervisedReaders
    keys: SupervisedCardKeys
    ports: tuple[int, int]
    pins: Path

    async def until(self, holds: Callable[[], bool]) -> None:
        changed = asyncio.Event()
        stop = self.readers.listen(lambda _: changed.set())
        try:
            async with asyncio.timeout(20.0):
                while not holds():
                    changed.clear()
                    await changed.wait()
        finally:
            stop()

    async def insert(self, card: VirtualCps | Vitale2Card, slot: int = 0) -> tuple[InsertedCard, Insertion]:
        before = {reader.insertion for reader in self.readers.picture.readers}
        inserted = await asyncio.to_thread(InsertedCard.insert, card, port=self.ports[slot])

        def fresh() -> list[Insertion]:
            seen = self.readers.picture.readers
            return [r.insertion for r in seen if r.insertion is not None and r.card and r.insertion not in before]

        await self.until(lambda: bool(fresh()))
        return inserted, fresh()[0]

    async def log_in(self, stay: Insertion, typed: str = "1234") -> None:
        self.pins.write_text(f"{typed}\n", "ascii")
        await self.readers.log_in(stay, "Logiciel d'essai")


@pytest.fixture
async def desk(bench: CardBench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Desk]:
    async with running_desk(bench, tmp_path, monkeypatch) as running:
        yield running


@asynccontextmanager
async def running_desk(bench: CardBench, folder: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Desk]:
    pins = folder / "pins"
    pins.write_text("", "ascii")
    monkeypatch.setenv("VAGUEMESTRE_TEST_PINS", str(pins))
    first, second = free_ports(2)
    settings = ReadersSettings(
        source=ReadersSource.VIRTUAL,
        virtual_ports=f"{first} {second}",
        pkcs11_module=str(bench.soft.module),
        silent_s=5.0,
    )
    places = ReadersPlaces(tries=str(folder / "tries"), streams=str(folder / "streams"))
    readers = SupervisedReaders(settings, SystemClock(), COMMAND, places)
    running = Desk(readers=readers, keys=SupervisedCardKeys(readers), ports=(first, second), pins=pins)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(readers.run())
        try:
            await running.until(
                lambda: readers.picture.state is ProcessState.RUNNING and len(readers.picture.readers) == 2
            )
            yield running
        finally:
            task.cancel()


def doctors(person: CardPerson = DOCTOR) -> VirtualCps:
    return VirtualCps(person=person)


async def test_a_card_is_read_opened_used_and_ends_with_its_stay(desk: Desk) -> None:
    card, stay = await desk.insert(doctors())
    holder = await desk.readers.read_holder(stay)
    assert (holder.national_id.value, holder.specialty, holder.is_test) == (DOCTOR.identifier, "SM26", True)
    assert (holder.family_name, holder.pin) == (DOCTOR.family, PinState.OK)
    assert desk.keys.open_cards() == ()

    await desk.log_in(stay)
    [opened] = desk.keys.open_cards()
    assert (opened.means, opened.holder, opened.structure) == (AuthorityMeans.CPS, DOCTOR.identifier, None)
    [der] = desk.keys.certificates(opened.key, SignaturePurpose.VIHF)
    signature = await desk.keys.sign(opened.key, SignaturePurpose.VIHF, SIGNED_INFO, SignatureAlgorithm.RSA_SHA256)
    public = x509.load_der_x509_certificate(der).public_key()
    assert isinstance(public, rsa.RSAPublicKey)
    public.verify(signature, SIGNED_INFO, padding.PKCS1v15(), hashes.SHA256())
    with pytest.raises(InvalidInput, match="SIGNATURE_NOT_BOUND"):
        await desk.keys.sign(opened.key, SignaturePurpose.VIHF, b"anything", SignatureAlgorithm.RSA_SHA256)

    await asyncio.to_thread(card.remove)
    await desk.until(lambda: desk.keys.open_cards() == ())
    with pytest.raises(ServiceError, match="CARD_TAKEN_OUT"):
        await desk.keys.sign(opened.key, SignaturePurpose.VIHF, SIGNED_INFO, SignatureAlgorithm.RSA_SHA256)
    # The process itself refuses too, whatever an agent that missed the event would ask.
    with pytest.raises(CpsError) as gone:
        await desk.readers.sign(opened.key, SignaturePurpose.VIHF, SIGNED_INFO, SignatureAlgorithm.RSA_SHA256)
    assert gone.value.situation is CpsSituation.CPS_REMOVED

    card, again = await desk.insert(doctors())
    await desk.log_in(again)
    [other] = desk.keys.open_cards()
    assert other.key != opened.key
    await desk.readers.log_out(again)
    assert desk.keys.open_cards() == ()
    await asyncio.to_thread(card.remove)


async def test_an_employees_card_tells_its_structure(desk: Desk) -> None:
    card, stay = await desk.insert(doctors(SECRETARY))
    await desk.log_in(stay)
    [opened] = desk.keys.open_cards()
    assert opened.means is AuthorityMeans.CPE
    assert opened.structure is not None
    assert opened.holder.partition("/")[0][1:] == opened.structure[1:]
    await asyncio.to_thread(card.remove)


async def test_a_wrong_pin_costs_one_try_and_opens_nothing(desk: Desk, bench: CardBench) -> None:
    card, stay = await desk.insert(doctors())
    with pytest.raises(CpsError) as wrong:
        await desk.log_in(stay, "0000")
    assert wrong.value.situation is CpsSituation.PIN_WRONG
    assert bench.soft.tries(f"CPS3v3-{DOCTOR.number}") == 2
    assert (await desk.readers.read_holder(stay)).pin is PinState.LOW
    with pytest.raises(CpsError) as closed:
        await desk.log_in(stay, "")
    assert closed.value.situation is CpsSituation.PIN_CANCELLED
    assert desk.keys.open_cards() == ()
    await asyncio.to_thread(card.remove)


async def test_an_expired_card_is_shown_and_its_pin_is_not_asked_for(desk: Desk) -> None:
    card, stay = await desk.insert(doctors(EXPIRED))
    holder = await desk.readers.read_holder(stay)
    assert holder.validity.notice(datetime.now(UTC)) is ExpiryNotice.EXPIRED
    with pytest.raises(CpsError) as error:
        await desk.log_in(stay)
    assert error.value.situation is CpsSituation.CPS_EXPIRED
    assert not desk.pins.with_suffix(".asked").exists()
    await asyncio.to_thread(card.remove)


async def test_the_window_closes_with_the_card_and_others_go_on_meanwhile(desk: Desk) -> None:
    card, stay = await desk.insert(doctors())
    async with asyncio.TaskGroup() as group:
        asking = group.create_task(refused(desk, stay))
        vitale, patient = await desk.insert(Vitale2Card(), slot=1)
        assert (await desk.readers.read_vitale(patient)).people
        assert (await desk.readers.read_holder(stay)).national_id.value == DOCTOR.identifier
        assert not asking.done()
        await asyncio.to_thread(card.remove)
    assert asking.result() == "PIN_CANCELLED"
    assert desk.keys.open_cards() == ()
    with pytest.raises(CardTrouble) as other:
        await desk.readers.read_holder(patient)
    assert other.value.situation is Situation.CARD_OTHER_KIND
    await asyncio.to_thread(vitale.remove)


async def refused(desk: Desk, stay: Insertion) -> str:
    with pytest.raises(CpsError) as error:
        await desk.log_in(stay, "wait")
    return error.value.code
