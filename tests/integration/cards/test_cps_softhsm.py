"""The card behind real PKCS#11 calls (SoftHSM2 with a card's locks): reading, PIN, signatures, pulling out."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from vaguemestre_cardkit.soft_cards import CARDS, EXPIRED, CardBench
from vaguemestre_core.cards import CardTrouble, Situation
from vaguemestre_core.cps import (
    CardCategory,
    CardNumber,
    CpsError,
    CpsHolder,
    CpsSituation,
    ExpiryNotice,
    KeyRole,
)
from vaguemestre_core.cpspin import LoginState, PinRequest, PinState, PinUse, Requester
from vaguemestre_core.errors import InvalidInput
from vaguemestre_core.signing import SignatureAlgorithm, SignaturePurpose
from vaguemestre_drivers.cps.login import CardLogin, LoginDemand
from vaguemestre_drivers.cps.signing import CardSigner, verifies
from vaguemestre_drivers.cps.token import CpsModule, OpenCard
from vaguemestre_drivers.cps.tries import FileTryBook, MemoryTryBook
from vaguemestre_sandbox.cards.cpspki import DOCTOR, DOCTOR_CPS4, NURSE, SECRETARY

SIGNED_INFO = (
    b'<ds:SignedInfo xmlns:ds="http://www.w3.org/2000/09/xmldsig#">'
    b'<ds:Reference URI="#a"></ds:Reference></ds:SignedInfo>'
)
DOCTOR_NUMBER = CardNumber(digits=DOCTOR.number)
CPS4_NUMBER = CardNumber(digits=DOCTOR_CPS4.number)
PERSON = LoginDemand(asker="Logiciel d'essai", use=PinUse.OPEN_SESSION, requester=Requester.PERSON)
BACKGROUND = LoginDemand(asker="Logiciel d'essai", use=PinUse.OPEN_SESSION, requester=Requester.BACKGROUND)


class Window:
    """Types what it is told, and keeps what it was shown and the buffers it gave."""

    def __init__(self, *typed: str | None, meanwhile: Callable[[], object] = lambda: None) -> None:
        self.typed = list(typed)
        self.shown: list[PinRequest] = []
        self.buffers: list[bytearray] = []
        self.meanwhile = meanwhile

    def __call__(self, request: PinRequest) -> bytearray | None:
        self.shown.append(request)
        digits = self.typed.pop(0)
        self.meanwhile()
        if digits is None:
            return None
        self.buffers.append(bytearray(digits, "ascii"))
        return self.buffers[-1]


def situation(refused: pytest.ExceptionInfo[CpsError]) -> CpsSituation:
    return refused.value.situation


def read(module: CpsModule, number: str) -> CpsHolder:
    with module.card(CardNumber(digits=number)) as card:
        return card.read().holder


def test_every_card_is_read_without_a_pin(bench: CardBench) -> None:
    module = bench.module()
    assert len(module.tokens()) == len(CARDS) + 2
    doctor, nurse, secretary = (read(module, one.number) for one in (DOCTOR, NURSE, SECRETARY))
    assert doctor.rpps is not None
    assert doctor.rpps.value == "99700000012"
    assert (doctor.profession, doctor.specialty, doctor.category) == (10, "SM26", CardCategory.CPS)
    assert (doctor.family_name.reveal(), doctor.is_test) == ("ESSAI", True)
    assert (nurse.rpps, nurse.identifier.value, nurse.profession, nurse.specialty) == (None, "00B6087510", 60, None)
    assert (secretary.category, secretary.title) == (CardCategory.CPE, None)
    assert doctor.validity.notice(bench.later - timedelta(days=29)) is ExpiryNotice.IN_30_DAYS
    assert {one.pin for one in module.tokens()} == {PinState.OK}


def test_a_card_is_chosen_by_its_number_never_by_chance(bench: CardBench) -> None:
    module = bench.module()
    with pytest.raises(CpsError) as refused, module.card():
        pass
    assert situation(refused) is CpsSituation.CPS_SEVERAL
    with pytest.raises(CpsError) as refused, module.card(CardNumber(digits="11111111")):
        pass
    assert situation(refused) is CpsSituation.CPS_CHANGED


def test_private_keys_and_private_objects_are_for_after_the_pin(bench: CardBench) -> None:
    with bench.module().card(DOCTOR_NUMBER) as card:
        reading = card.read()
        assert [one.role for one in reading.certificates] == [KeyRole.AUTHENTICATION, KeyRole.SIGNATURE]
        assert card.data_object("CPS_ACTIVITY_01_PS") is None
        with pytest.raises(CpsError) as refused:
            card.private_key(reading.certificates[1])
        assert situation(refused) is CpsSituation.PIN_NEEDED
        CardLogin(card, MemoryTryBook(), Window("1234")).open(PERSON)
        assert card.private_key(reading.certificates[1]) is not None
        activity = card.data_object("CPS_ACTIVITY_01_PS")
        assert activity is not None
        assert activity.endswith(b"SA07")


@pytest.mark.parametrize("algorithm", SignatureAlgorithm)
@pytest.mark.parametrize("number", [DOCTOR_NUMBER, CPS4_NUMBER], ids=["cps3", "cps4"])
def test_each_generation_signs_with_each_algorithm(
    bench: CardBench, number: CardNumber, algorithm: SignatureAlgorithm
) -> None:
    """A CPS3 has no PSS mechanism: the block is made here and the card raises it to its power."""
    with bench.module().card(number) as card:
        assert ("SHA256_RSA_PKCS_PSS" in card.mechanisms()) is (number is CPS4_NUMBER)
        reading = card.read()
        CardLogin(card, MemoryTryBook(), Window("1234")).open(PERSON)
        signer = CardSigner(card, reading)
        for purpose in SignaturePurpose:
            signature = signer.sign(purpose, SIGNED_INFO, algorithm, bench.now)
            certificate = signer.certificate(purpose)
            assert certificate.role is KeyRole.SIGNATURE
            assert certificate.facts.is_for_signature
            assert verifies(certificate.facts.public_key, algorithm, SIGNED_INFO, signature)
            assert not verifies(certificate.facts.public_key, algorithm, SIGNED_INFO + b" ", signature)


def test_a_profile_may_choose_the_other_key(bench: CardBench) -> None:
    with bench.module().card(DOCTOR_NUMBER) as card:
        reading = card.read()
        CardLogin(card, MemoryTryBook(), Window("1234")).open(PERSON)
        signer = CardSigner(card, reading, keys={SignaturePurpose.VIHF: KeyRole.AUTHENTICATION})
        signer.sign(SignaturePurpose.VIHF, SIGNED_INFO, SignatureAlgorithm.RSA_SHA256, bench.now)
        assert signer.certificate(SignaturePurpose.VIHF).role is KeyRole.AUTHENTICATION


@pytest.mark.parametrize("data", [b"", b"virement", hashlib.sha256(b"x").digest(), SIGNED_INFO + b"x", b"x" * 300_000])
def test_nothing_else_is_signed(bench: CardBench, data: bytes) -> None:
    with bench.module().card(DOCTOR_NUMBER) as card:
        reading = card.read()
        CardLogin(card, MemoryTryBook(), Window("1234")).open(PERSON)
        with pytest.raises(InvalidInput, match="SIGNATURE_NOT_BOUND"):
            CardSigner(card, reading).sign(SignaturePurpose.VIHF, data, SignatureAlgorithm.RSA_SHA256, bench.now)


def test_an_expired_card_is_read_and_signs_nothing(bench: CardBench) -> None:
    with bench.module().card(CardNumber(digits=EXPIRED.number)) as card:
        reading = card.read()
        assert reading.holder.validity.notice(bench.now) is ExpiryNotice.EXPIRED
        CardLogin(card, MemoryTryBook(), Window("1234")).open(PERSON)
        with pytest.raises(CpsError) as refused:
            CardSigner(card, reading).sign(SignaturePurpose.VIHF, SIGNED_INFO, SignatureAlgorithm.RSA_SHA256, bench.now)
        assert situation(refused) is CpsSituation.CPS_EXPIRED


def test_contactless_is_read_and_asks_no_pin(bench: CardBench) -> None:
    module = bench.module()
    view = next(one for one in module.tokens() if one.is_contactless)
    assert (view.label, view.number) == ("CPS3v3_CL", None)
    with pytest.raises(CpsError) as refused:
        contactless(module, Window("1234"))
    assert situation(refused) is CpsSituation.CPS_CONTACTLESS
    assert bench.soft.tries("CPS3v3_CL") == 3


def contactless(module: CpsModule, window: Window) -> None:
    present = module._present()
    view, token = next(pair for pair in present if pair[0].is_contactless)
    card = OpenCard(module, view, token, token.open())
    reading = card.read()
    assert [one.role for one in reading.certificates] == [KeyRole.TECHNICAL]
    with pytest.raises(CpsError) as refused:
        CardSigner(card, reading).certificate(SignaturePurpose.VIHF)
    assert refused.value.situation is CpsSituation.CPS_CONTACTLESS
    try:
        CardLogin(card, MemoryTryBook(), window).open(PERSON)
    finally:
        assert window.shown == []
        card.close()


def attempt(bench: CardBench, demand: LoginDemand, window: Window, book: MemoryTryBook | FileTryBook) -> CpsSituation:
    with pytest.raises(CpsError) as refused, bench.module().card(DOCTOR_NUMBER) as card:
        CardLogin(card, book, window).open(demand)
    return situation(refused)


def test_wrong_pins_are_presented_once_and_background_work_keeps_off(bench: CardBench) -> None:
    label, book = f"CPS3v3-{DOCTOR.number}", MemoryTryBook()
    window = Window("0000", "0001", "0002", "1234")
    assert attempt(bench, PERSON, window, book) is CpsSituation.PIN_WRONG
    assert bench.soft.tries(label) == 2
    assert attempt(bench, BACKGROUND, window, book) is CpsSituation.PIN_WITHHELD
    assert (bench.soft.tries(label), len(window.shown)) == (2, 1)
    assert attempt(bench, PERSON, window, book) is CpsSituation.PIN_WRONG
    assert attempt(bench, PERSON, window, book) is CpsSituation.PIN_WRONG
    assert [request.state for request in window.shown] == [PinState.OK, PinState.LOW, PinState.LAST_TRY]
    assert attempt(bench, PERSON, window, book) is CpsSituation.PIN_BLOCKED
    assert len(window.shown) == 3
    assert all(not any(buffer) for buffer in window.buffers)


def test_a_good_pin_gives_the_tries_back(bench: CardBench) -> None:
    label, book = f"CPS3v3-{DOCTOR.number}", MemoryTryBook()
    assert attempt(bench, PERSON, Window("0000"), book) is CpsSituation.PIN_WRONG
    with bench.module().card(DOCTOR_NUMBER) as card:
        login = CardLogin(card, book, Window("1234"))
        login.open(PERSON)
        assert (login.state, card.is_open) == (LoginState.OPEN, True)
    assert (bench.soft.tries(label), book.counted(DOCTOR_NUMBER)) == (3, PinState.OK)


def test_background_work_may_use_the_first_of_three(bench: CardBench) -> None:
    with bench.module().card(DOCTOR_NUMBER) as card:
        CardLogin(card, MemoryTryBook(), Window("1234")).open(BACKGROUND)
        assert card.is_open


@pytest.mark.parametrize(
    ("typed", "expected"),
    [(None, CpsSituation.PIN_CANCELLED), ("12", CpsSituation.PIN_MALFORMED), ("12a4", CpsSituation.PIN_MALFORMED)],
)
def test_what_is_no_pin_costs_no_try(bench: CardBench, typed: str | None, expected: CpsSituation) -> None:
    assert attempt(bench, PERSON, Window(typed), MemoryTryBook()) is expected
    assert bench.soft.tries(f"CPS3v3-{DOCTOR.number}") == 3


def test_a_window_that_cannot_be_shown_costs_no_try(bench: CardBench) -> None:
    def no_window(request: PinRequest) -> bytearray | None:
        raise CardTrouble(Situation.PIN_WINDOW_ABSENT)

    with bench.module().card(DOCTOR_NUMBER) as card:
        login = CardLogin(card, MemoryTryBook(), no_window)
        with pytest.raises(CardTrouble):
            login.open(PERSON)
    assert (login.state, bench.soft.tries(f"CPS3v3-{DOCTOR.number}")) == (LoginState.CANCELLED, 3)


def test_a_blocked_card_opens_no_window(bench: CardBench) -> None:
    bench.soft.set_tries(f"CPS3v3-{DOCTOR.number}", 0)
    window = Window("1234")
    assert attempt(bench, PERSON, window, MemoryTryBook()) is CpsSituation.PIN_BLOCKED
    assert window.shown == []


def test_tries_lost_elsewhere_while_the_window_was_open_are_seen(bench: CardBench) -> None:
    label = f"CPS3v3-{DOCTOR.number}"
    window = Window("1234", meanwhile=lambda: bench.soft.set_tries(label, 1))
    assert attempt(bench, BACKGROUND, window, MemoryTryBook()) is CpsSituation.PIN_WITHHELD
    assert bench.soft.tries(label) == 1


def test_more_refusals_than_sessions_leave_the_card_usable(bench: CardBench) -> None:
    """The binding leaks a session at each refusal, and a card has five."""
    book = MemoryTryBook()
    for _ in range(4):
        for typed in ("0000", "0001"):
            assert attempt(bench, PERSON, Window(typed), book) is CpsSituation.PIN_WRONG
        module = CpsModule(str(bench.soft.module))
        with module.card(DOCTOR_NUMBER) as card:
            CardLogin(card, book, Window("1234")).open(PERSON)


def test_a_card_pulled_while_the_window_is_open_costs_no_try(bench: CardBench) -> None:
    pulled = bench.soft.state / "pulled"
    window = Window("1234", meanwhile=lambda: pulled.write_text(""))
    book = MemoryTryBook()
    assert attempt(bench, PERSON, window, book) is CpsSituation.CPS_ABSENT
    assert (bench.soft.tries(f"CPS3v3-{DOCTOR.number}"), book.counted(DOCTOR_NUMBER)) == (3, PinState.OK)


# The binding prints that it could not end a search whose beginning the card refused.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.timeout(20)  # its lock must be free again, or the second call would hang
def test_a_card_pulled_before_the_signature_says_so_and_comes_back(bench: CardBench) -> None:
    module = bench.module()
    pulled = bench.soft.state / "pulled"
    with module.card(DOCTOR_NUMBER) as card:
        signer = CardSigner(card, card.read())
        CardLogin(card, MemoryTryBook(), Window("1234")).open(PERSON)
        pulled.write_text("")
        with pytest.raises(CpsError) as refused:
            signer.sign(SignaturePurpose.VIHF, SIGNED_INFO, SignatureAlgorithm.RSA_SHA256, bench.now)
        assert situation(refused) is CpsSituation.CPS_REMOVED
        with pytest.raises(CpsError):
            signer.sign(SignaturePurpose.VIHF, SIGNED_INFO, SignatureAlgorithm.RSA_SHA256, bench.now)
    assert module.tokens() == ()
    pulled.unlink()
    module.restart()
    assert read(module, DOCTOR.number).rpps is not None


def test_a_count_survives_and_nothing_of_the_card_is_in_it(bench: CardBench, tmp_path: Path) -> None:
    path = tmp_path / "tries.json"
    assert attempt(bench, PERSON, Window("0000"), FileTryBook(path, b"k" * 32)) is CpsSituation.PIN_WRONG
    assert DOCTOR.number[:8] not in path.read_text("ascii")
    bench.soft.set_tries(f"CPS3v3-{DOCTOR.number}", 3)  # a middleware that says nothing of it
    assert attempt(bench, BACKGROUND, Window("1234"), FileTryBook(path, b"k" * 32)) is CpsSituation.PIN_WITHHELD


def test_a_count_that_cannot_be_written_keeps_background_work_off(bench: CardBench, tmp_path: Path) -> None:
    book = FileTryBook(tmp_path / "absent" / "tries.json", b"k" * 32)
    assert attempt(bench, BACKGROUND, Window("1234"), book) is CpsSituation.PIN_WITHHELD
    with bench.module().card(DOCTOR_NUMBER) as card:
        CardLogin(card, MemoryTryBook(), Window("1234")).open(PERSON)


def test_nothing_of_the_holder_or_the_pin_is_printed_or_logged(
    bench: CardBench, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    window, book = Window("9173"), MemoryTryBook()
    module = bench.module()
    with module.card(DOCTOR_NUMBER) as card:
        reading = card.read()
        login = CardLogin(card, book, window)
        with pytest.raises(CpsError) as refused:
            login.open(PERSON)
    everything = " ".join(
        [repr(one) for one in (module, card, reading, reading.certificates, login, window.shown, module.tokens())]
        + [caplog.text, str(refused.value), repr(refused.value)]
    )
    for secret in ("ESSAI", "CAMILLE", DOCTOR.number, "99700000012", "9173"):
        assert secret not in everything
