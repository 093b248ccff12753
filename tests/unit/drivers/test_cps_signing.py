"""Ways to sign, blocks made here, return codes, counts and choices: everything about the card that needs none."""

from __future__ import annotations

import hashlib
import inspect
import json
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from hypothesis import given, settings
from hypothesis import strategies as st

from vaguemestre_core.cps import CardNumber, CpsError, CpsSituation
from vaguemestre_core.cpspin import PinState
from vaguemestre_core.errors import InvalidInput
from vaguemestre_core.signing import SignatureAlgorithm
from vaguemestre_drivers.cps.returncodes import FAILURES, RETURN_CODES, situation_of
from vaguemestre_drivers.cps.signing import (
    WAYS,
    Preparation,
    prepared,
    pss_block,
    require_signed_info,
    verifies,
    way_for,
)
from vaguemestre_drivers.cps.token import TokenView, choose, pin_state
from vaguemestre_drivers.cps.tries import FileTryBook

KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
NUMBERS = KEY.private_numbers()


def raised(block: bytes) -> bytes:
    """What a card does with RSA_X_509."""
    modulus = NUMBERS.public_numbers.n
    return pow(int.from_bytes(block, "big"), NUMBERS.d, modulus).to_bytes(256, "big")


def padded(info: bytes) -> bytes:
    """What a card does with RSA_PKCS."""
    return raised(b"\x00\x01" + b"\xff" * (256 - len(info) - 3) + b"\x00" + info)


@settings(max_examples=20, deadline=None)  # the bare power costs 50 ms here
@given(st.binary(max_size=500), st.binary(min_size=32, max_size=32))
def test_our_pss_block_is_accepted_by_another_library(data: bytes, salt: bytes) -> None:
    block = pss_block(hashlib.sha256(data).digest(), salt, 2048)
    assert len(block) == 256
    assert verifies(KEY.public_key(), SignatureAlgorithm.RSA_PSS_SHA256, data, raised(block))
    assert not verifies(KEY.public_key(), SignatureAlgorithm.RSA_PSS_SHA256, data + b"x", raised(block))


@pytest.mark.parametrize(
    ("algorithm", "name"), [(SignatureAlgorithm.RSA_SHA256, "sha256"), (SignatureAlgorithm.RSA_SHA1, "sha1")]
)
def test_our_digest_info_is_accepted_by_another_library(algorithm: SignatureAlgorithm, name: str) -> None:
    way = way_for(algorithm, frozenset({"RSA_PKCS"}))
    assert way.preparation is Preparation.DIGEST_INFO
    assert verifies(KEY.public_key(), algorithm, b"message", padded(prepared(way, name, b"message", 2048)))


def test_the_middleware_does_what_it_can_do() -> None:
    everything = frozenset({"SHA256_RSA_PKCS", "SHA1_RSA_PKCS", "RSA_PKCS", "RSA_X_509", "SHA256_RSA_PKCS_PSS"})
    for algorithm in SignatureAlgorithm:
        assert way_for(algorithm, everything).preparation is Preparation.NONE
    assert set(WAYS) == set(SignatureAlgorithm)
    with pytest.raises(CpsError) as refused:
        way_for(SignatureAlgorithm.RSA_SHA256, frozenset({"AES_CBC"}))
    assert refused.value.situation is CpsSituation.CPS_ALGORITHM_UNSUPPORTED


DSIG = b"http://www.w3.org/2000/09/xmldsig#"


@pytest.mark.parametrize(
    "data",
    [
        b'<ds:SignedInfo xmlns:ds="' + DSIG + b'"></ds:SignedInfo>',
        b'<SignedInfo xmlns="' + DSIG + b'"><Reference></Reference></SignedInfo>',
        b'<ds:SignedInfo xmlns:ds="' + DSIG + b'" xmlns:xs="http://www.w3.org/2001/XMLSchema"></ds:SignedInfo>',
        b'<ds:SignedInfo xmlns="urn:a" xmlns:ds="' + DSIG + b'" xmlns:xs="urn:b"></ds:SignedInfo>',
    ],
)
def test_a_signed_info_is_accepted(data: bytes) -> None:
    require_signed_info(data)


@given(st.binary(max_size=300))
def test_other_bytes_are_not(data: bytes) -> None:
    with pytest.raises(InvalidInput, match="SIGNATURE_NOT_BOUND"):
        require_signed_info(data)


def test_every_code_of_the_binding_has_a_row() -> None:
    exceptions = pytest.importorskip("pkcs11.exceptions", reason="python-pkcs11 is not installed")
    classes: dict[str, type[Exception]] = {}
    for name, one in inspect.getmembers(exceptions, inspect.isclass):
        if issubclass(one, Exception) and issubclass(one, exceptions.PKCS11Error):
            classes[name] = one
    assert set(classes) - set(RETURN_CODES) - set(FAILURES) == set()
    assert set(RETURN_CODES).isdisjoint(FAILURES)
    for name, one in classes.items():
        said = situation_of(one("a text that must not leave"))
        assert "text" not in str(said)
        assert said.params["rv"] == (RETURN_CODES[name][0] if name in RETURN_CODES else FAILURES[name])


def view(slot: int, label: str, *, contactless: bool = False) -> TokenView:
    digits = label.partition("-")[2]
    return TokenView(
        slot=slot,
        reader=f"Reader {slot}",
        label=label,
        model="IAS ECC",
        number=CardNumber(digits=digits) if digits else None,
        pin=PinState.OK,
        is_contactless=contactless,
    )


def test_choosing_never_guesses() -> None:
    one, two, air = view(0, "CPS3v3-2900995235"), view(1, "CPS4v1-3100603746"), view(2, "CPS3v3_CL", contactless=True)
    assert choose([one, air], None) is one
    assert choose([air], None) is air
    assert choose([two, one], CardNumber(digits="29009952")) is one
    for tokens, number, expected in (
        ([], None, CpsSituation.CPS_ABSENT),
        ([one, two], None, CpsSituation.CPS_SEVERAL),
        ([two, air], CardNumber(digits="2900995235"), CpsSituation.CPS_CHANGED),
    ):
        with pytest.raises(CpsError) as refused:
            choose(tokens, number)
        assert refused.value.situation is expected
    assert "2900995235" not in repr(one)


@pytest.mark.parametrize(
    ("flags", "kept", "state"),
    [
        (0x40D, True, PinState.OK),
        (0x40D, False, PinState.UNKNOWN),
        (0x1040D, True, PinState.LOW),
        (0x3040D, False, PinState.LAST_TRY),
        (0x7040D, True, PinState.BLOCKED),
    ],
)
def test_flags_of_a_token(flags: int, kept: bool, state: PinState) -> None:
    assert pin_state(flags, flags_are_kept=kept) is state


def test_a_book_of_tries_forgets_nothing_and_survives_damage(tmp_path: Path) -> None:
    path, key = tmp_path / "tries.json", b"k" * 16
    one, two = CardNumber(digits="2900995235"), CardNumber(digits="3100603746")
    book = FileTryBook(path, key)
    assert book.write(one, PinState.LAST_TRY)
    assert book.write(two, PinState.LOW)
    again = FileTryBook(path, key)
    assert (again.counted(one), again.counted(two)) == (PinState.LAST_TRY, PinState.LOW)
    assert again.write(one, PinState.OK)
    assert FileTryBook(path, key).counted(one) is PinState.OK
    assert len(json.loads(path.read_text("ascii"))) == 1
    assert [found.name for found in tmp_path.iterdir()] == ["tries.json"]
    for damage in (b"", b"{", b"[1]", b'{"a": 3, "b": "nonsense"}', b"[" * 70_000):
        path.write_bytes(damage)
        assert FileTryBook(path, key).counted(two) is PinState.OK


def test_without_the_binding_everything_imports_and_says_what_is_missing() -> None:
    code = (
        "import sys; sys.modules['pkcs11'] = None\n"
        "import vaguemestre_drivers.cps.signing, vaguemestre_drivers.cps.login\n"
        "from vaguemestre_drivers.cps.token import CpsModule\n"
        "from vaguemestre_core.cps import CpsError\n"
        "try:\n    CpsModule('x')\nexcept CpsError as error:\n    print(error.code)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (done.stdout.strip(), done.stderr) == ("PKCS11_LIBRARY_ABSENT", "")
