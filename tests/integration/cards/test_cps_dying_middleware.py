"""A middleware that dies or hangs with a card open takes its process only, and a PIN it may have seen is counted."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from vaguemestre_cardkit.soft_cards import CardBench
from vaguemestre_core.cps import CardNumber
from vaguemestre_core.cpspin import PinState
from vaguemestre_drivers.cps.tries import FileTryBook
from vaguemestre_sandbox.cards.cpspki import DOCTOR

NUMBER = CardNumber(digits=DOCTOR.number)
KEY = b"k" * 32
CHILD = """
import sys
from pathlib import Path
from vaguemestre_core.cps import CardNumber
from vaguemestre_core.cpspin import PinUse, Requester
from vaguemestre_core.signing import SignatureAlgorithm, SignaturePurpose
from vaguemestre_drivers.cps.login import CardLogin, LoginDemand
from vaguemestre_drivers.cps.signing import CardSigner
from vaguemestre_drivers.cps.token import CpsModule
from vaguemestre_drivers.cps.tries import FileTryBook
module, book, number = sys.argv[1:]
demand = LoginDemand(asker="essai", use=PinUse.OPEN_SESSION, requester=Requester.PERSON)
info = b'<SignedInfo xmlns="http://www.w3.org/2000/09/xmldsig#"></SignedInfo>'
with CpsModule(module).card(CardNumber(digits=number)) as card:
    reading = card.read()
    print("read", flush=True)
    CardLogin(card, FileTryBook(Path(book), b"k" * 32), lambda request: bytearray(b"1234")).open(demand)
    print("open", flush=True)
    now = reading.holder.validity.begins_at
    CardSigner(card, reading).sign(SignaturePurpose.VIHF, info, SignatureAlgorithm.RSA_SHA256, now)
    print("signed", flush=True)
"""


def child(bench: CardBench, book: Path, incident: str | None, words: int) -> tuple[int | None, list[str]]:
    """Run the whole life of a card in a child; return its end and what it said.

    A child that is still there a second after the last of ``words`` hangs: it is killed, and its end is None.
    """
    if incident is not None:
        (bench.soft.state / incident).write_text("")
    process = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(bench.soft.module), str(book), DOCTOR.number],
        env={**os.environ, **bench.soft.environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    with process.stdout:
        said = [process.stdout.readline().strip() for _ in range(words)]
        try:
            return process.wait(timeout=1 if incident and incident.endswith("hang") else 60), said
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(timeout=10)
            return None, said


def test_the_child_works_when_nothing_happens(bench: CardBench, tmp_path: Path) -> None:
    assert child(bench, tmp_path / "tries", None, 3) == (0, ["read", "open", "signed"])
    assert FileTryBook(tmp_path / "tries", KEY).counted(NUMBER) is PinState.OK


@pytest.mark.parametrize(
    ("incident", "said", "counted"),
    [
        ("crash", ["read", "open"], PinState.OK),
        ("hang", ["read", "open"], PinState.OK),
        ("login-crash", ["read"], PinState.LOW),
        ("login-hang", ["read"], PinState.LOW),
    ],
)
def test_a_dying_middleware_costs_its_process_and_the_try_is_counted(
    bench: CardBench, tmp_path: Path, incident: str, said: list[str], counted: PinState
) -> None:
    book = tmp_path / "tries"
    is_hanging = incident.endswith("hang")
    code, words = child(bench, book, incident, len(said))
    assert words == said
    assert (code is None) is is_hanging
    assert is_hanging or (code is not None and code < 0)
    assert FileTryBook(book, KEY).counted(NUMBER) is counted
    (bench.soft.state / incident).unlink()
    assert child(bench, book, None, 3) == (0, ["read", "open", "signed"])
    assert FileTryBook(book, KEY).counted(NUMBER) is PinState.OK
