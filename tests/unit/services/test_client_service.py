"""Paired programs: codes that live minutes and serve once, secrets kept as digests only, refusals that say nothing."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from vaguemestre_agent.services.clients import CODE_LIFE_S, CODE_TRIES
from vaguemestre_core.errors import Forbidden, InvalidInput, NotFound, StoreError
from vaguemestre_core.orders import ClientId
from vaguemestre_core.records import ProductProfile, Scope
from vaguemestre_core.redaction import Secret
from vaguemestre_testkit.orders import PRODUCT
from vaguemestre_testkit.practice_kit import SECRETARY, Office, office

READ = frozenset({Scope.READ})


async def code_of(practice: Office) -> str:
    code, _ = await practice.backend.open_pairing(READ, SECRETARY)
    return code


async def pair(practice: Office, code: str, name: str = "LGC") -> None:
    await practice.backend.pair_with_code(Secret(code), name, PRODUCT, "uid:1000")


async def test_a_code_pairs_once_with_the_scopes_it_was_made_for(tmp_path: Path) -> None:
    async with office(tmp_path) as practice:
        code = await code_of(practice)
        made = await practice.backend.pair_with_code(Secret(code), "LGC", PRODUCT, "uid:1000")
        with pytest.raises(Forbidden, match="PAIRING_CODE_REFUSED"):
            await pair(practice, code)
        client = await practice.backend.authenticate(made.client.client_id, made.secret, "uid:1000")

    assert client.scopes == READ
    assert client.os_identity == "uid:1000"


async def test_a_code_used_twice_at_the_same_moment_serves_once(tmp_path: Path) -> None:
    async with office(tmp_path) as practice:
        code = await code_of(practice)
        answers = await asyncio.gather(pair(practice, code, "A"), pair(practice, code, "B"), return_exceptions=True)

        assert sorted(type(answer).__name__ for answer in answers) == ["Forbidden", "NoneType"]
        assert len(await practice.backend.clients()) == 2


@pytest.mark.parametrize("shown", [str.lower, lambda code: code.replace("-", " "), lambda code: code.replace("-", "")])
async def test_a_code_is_read_as_people_type_it(tmp_path: Path, shown: object) -> None:
    async with office(tmp_path) as practice:
        code = await code_of(practice)
        await pair(practice, shown(code))  # type: ignore[operator]


async def test_a_code_lives_minutes(tmp_path: Path) -> None:
    async with office(tmp_path) as practice:
        code = await code_of(practice)
        practice.clock.advance(CODE_LIFE_S)
        with pytest.raises(Forbidden):
            await pair(practice, code)


async def test_wrong_tries_lock_the_code_and_a_new_one_opens_again(tmp_path: Path) -> None:
    async with office(tmp_path) as practice:
        code = await code_of(practice)
        for _ in range(CODE_TRIES):
            with pytest.raises(Forbidden):
                await pair(practice, "AAAA-AAAA")
        with pytest.raises(Forbidden):
            await pair(practice, code)
        await pair(practice, await code_of(practice))
        kinds = [line.kind for line in await practice.store.ledger(0)]

    assert kinds.count("pairing.refused") == CODE_TRIES


async def test_a_newer_code_replaces_the_older(tmp_path: Path) -> None:
    async with office(tmp_path) as practice:
        old = await code_of(practice)
        new = await code_of(practice)
        with pytest.raises(Forbidden):
            await pair(practice, old)
        await pair(practice, new)


@pytest.mark.parametrize("name", ["", "   ", "x" * 81, "a\nb"])
async def test_a_name_that_cannot_be_shown_is_refused_and_keeps_the_code(tmp_path: Path, name: str) -> None:
    async with office(tmp_path) as practice:
        code = await code_of(practice)
        with pytest.raises(InvalidInput, match="CLIENT_NAME_INVALID"):
            await pair(practice, code, name)
        await pair(practice, code)


async def test_a_full_disk_keeps_the_code(tmp_path: Path) -> None:
    async with office(tmp_path) as practice:
        code = await code_of(practice)
        practice.failing.fail("add_client", StoreError("STORE_FULL"))
        with pytest.raises(StoreError):
            await pair(practice, code)
        await pair(practice, code)


@pytest.mark.parametrize(("root", "code"), [("1.2.x", "OID_INVALID"), ("1." + "2" * 60, "OID_ROOT_TOO_LONG")])
async def test_an_oid_root_that_cannot_number_documents_is_refused_at_once(
    tmp_path: Path, root: str, code: str
) -> None:
    product = ProductProfile(
        lps_name="L", lps_version="1", lps_id="1", homologation_id="H", proxy_client_id="p", oid_root=root
    )
    async with office(tmp_path) as practice:
        with pytest.raises(InvalidInput, match=code):
            await practice.backend.pair("LGC", READ, product, None, SECRETARY)


async def test_every_refusal_is_the_same(tmp_path: Path) -> None:
    async with office(tmp_path) as practice:
        bound = await practice.backend.pair("Autre session", READ, PRODUCT, "uid:1000", SECRETARY)
        gone = await practice.backend.pair("Révoqué", READ, PRODUCT, None, SECRETARY)
        await practice.backend.revoke(gone.client.client_id, SECRETARY)
        wrong = [
            (practice.client.client_id, Secret("x" * 43), None),
            (ClientId("c-unknown"), practice.secret, None),
            (bound.client.client_id, bound.secret, "uid:1001"),
            (bound.client.client_id, bound.secret, None),
            (gone.client.client_id, gone.secret, None),
        ]
        said = set()
        for client_id, secret, identity in wrong:
            with pytest.raises(Forbidden) as caught:
                await practice.backend.authenticate(client_id, secret, identity)
            said.add(str(caught.value))
        with pytest.raises(NotFound, match="CLIENT_UNKNOWN"):
            await practice.backend.revoke(gone.client.client_id, SECRETARY)

    assert said == {"CLIENT_REFUSED"}


async def test_neither_secret_nor_code_is_written_anywhere(tmp_path: Path) -> None:
    async with office(tmp_path) as practice:
        code = await code_of(practice)
        made = await practice.backend.pair_with_code(Secret(code), "LGC", PRODUCT, None)
        secret = made.secret.reveal()
        assert secret not in repr(made)

    for path in tmp_path.iterdir():
        content = path.read_bytes()
        assert secret.encode() not in content
        assert code.encode() not in content
        assert code.replace("-", "").encode() not in content
