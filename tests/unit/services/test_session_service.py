"""Sessions: opened because a person asked, adopted, ended, lost; never opened silently."""

from __future__ import annotations

import asyncio
import math
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from vaguemestre_agent.practice.documents import DOCTOR
from vaguemestre_agent.services.sessions import OPEN_MAX, PENDING_MAX
from vaguemestre_core.errors import Conflict, InvalidInput, NotFound, ServiceError, StoreError
from vaguemestre_core.ports import ConnectRefused
from vaguemestre_core.records import Scope
from vaguemestre_core.redaction import Secret
from vaguemestre_testkit.orders import PRODUCT
from vaguemestre_testkit.practice_kit import SECRETARY, Office, office

OTHER_DOCTOR = "899700000020"


async def ask(practice: Office, national_id: str = DOCTOR, channel: str = "CARD") -> str:
    offer = await practice.backend.open_session(practice.client, national_id, channel, "ciba", SECRETARY)
    assert offer.binding_code is not None
    return offer.binding_code


async def told(practice: Office, kind: str) -> dict[str, str]:
    """Wait for a ledger line of that kind; return its detail."""
    await practice.pass_time(0, lambda: any(change.entry.kind == kind for change in practice.told))
    return dict(next(change.entry.detail for change in practice.told if change.entry.kind == kind))


async def test_a_person_asks_and_the_professional_accepts(tmp_path: Path) -> None:
    async with office(tmp_path) as practice, practice.at_work():
        binding = await ask(practice)
        requested = await told(practice, "session.requested")
        opened = await told(practice, "session.opened")
        authorities = await practice.backend.authorities(practice.client)

    assert practice.proxy.asked == [(DOCTOR, binding, practice.client.product.proxy_client_id, "CARD")]  # type: ignore[union-attr]
    assert opened["request"] == requested["request"]
    assert [(a.professional, a.service, a.station) for a in authorities] == [(DOCTOR, "dmp", "POSTE-1")]
    assert len(binding) == 2
    assert binding.isdigit()


async def test_a_second_request_while_one_is_pending_prompts_nobody(tmp_path: Path) -> None:
    async with office(tmp_path) as practice, practice.at_work():
        practice.proxy.gate = asyncio.Event()
        await ask(practice)
        with pytest.raises(Conflict, match="SESSION_REQUEST_PENDING"):
            await ask(practice)
        await ask(practice, OTHER_DOCTOR)  # somebody else may
        await practice.pass_time(0, lambda: len(practice.proxy.asked) == 2)
        practice.proxy.gate.set()
        await told(practice, "session.opened")

    assert len(practice.proxy.asked) == 2


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (ConnectRefused(code="PSC_REFUSED", retry=True), "PSC_REFUSED"),
        (ConnectRefused(code="PROXY_ALREADY_CONNECTED", retry=False), "PROXY_ALREADY_CONNECTED"),
        (RuntimeError("bug"), "UNEXPECTED"),
    ],
)
async def test_a_refusal_is_told_and_the_person_may_ask_again(
    tmp_path: Path, answer: ConnectRefused | Exception, code: str
) -> None:
    async with office(tmp_path) as practice, practice.at_work():
        practice.proxy.answers.append(answer)
        await ask(practice)
        refused = await told(practice, "session.refused")
        assert await practice.backend.authorities(practice.client) == []
        await ask(practice)
        await told(practice, "session.opened")

    assert refused["code"] == code


async def test_a_full_disk_refuses_the_request_and_blocks_nothing(tmp_path: Path) -> None:
    async with office(tmp_path) as practice, practice.at_work():
        practice.failing.fail("note", StoreError("STORE_FULL"))
        with pytest.raises(StoreError):
            await ask(practice)
        assert practice.proxy.asked == []
        await ask(practice)
        await told(practice, "session.opened")


async def test_a_full_disk_does_not_take_away_what_the_professional_gave(tmp_path: Path) -> None:
    async with office(tmp_path) as practice, practice.at_work():
        practice.proxy.gate = asyncio.Event()
        await ask(practice)
        practice.failing.fail("note", StoreError("STORE_FULL"))
        practice.proxy.gate.set()
        await practice.pass_time(0, lambda: practice.failing.refused["note"] == 1)

        assert practice.sessions.session_for(DOCTOR, practice.client) is not None


@pytest.mark.parametrize(
    ("channel", "mode", "code"),
    [("FAX", "ciba", "SESSION_CHANNEL_UNKNOWN"), ("CARD", "browser", "SESSION_MODE_UNKNOWN")],
)
async def test_what_the_proxy_does_not_offer_is_refused(tmp_path: Path, channel: str, mode: str, code: str) -> None:
    async with office(tmp_path) as practice, practice.at_work():
        with pytest.raises(InvalidInput, match=code):
            await practice.backend.open_session(practice.client, DOCTOR, channel, mode, SECRETARY)


async def test_a_client_without_a_product_opens_and_adopts_nothing(tmp_path: Path) -> None:
    async with office(tmp_path) as practice, practice.at_work():
        made = await practice.backend.pair("Sans produit", frozenset(Scope), None, None, SECRETARY)
        with pytest.raises(InvalidInput, match="PRODUCT_PROFILE_MISSING"):
            await practice.backend.open_session(made.client, DOCTOR, "CARD", "ciba", SECRETARY)
        with pytest.raises(InvalidInput, match="PRODUCT_PROFILE_MISSING"):
            await practice.sessions.adopt(made.client, DOCTOR, Secret("c"), "s", None, SECRETARY)


@pytest.mark.req("SC.PSC.14")
async def test_an_adopted_session_is_never_longer_than_the_profile_says(tmp_path: Path) -> None:
    async with office(tmp_path) as practice:
        await practice.adopt(until_s=10 * 3600.0)
        longest = practice.session().until
        await practice.adopt(until_s=60.0)
        short = practice.session().until

    assert longest == practice.clock.now() + timedelta(hours=4)
    assert short == practice.clock.now() + timedelta(seconds=60)
    assert practice.proxy.asked == []


@pytest.mark.parametrize("until_s", [0.0, -1.0, math.nan])
async def test_a_session_already_ended_is_not_adopted(tmp_path: Path, until_s: float) -> None:
    async with office(tmp_path) as practice:
        with pytest.raises(InvalidInput, match="SESSION_ENDED"):
            await practice.adopt(until_s=until_s)
        assert await practice.backend.authorities(practice.client) == []


async def test_a_program_that_adopts_without_end_is_refused_and_takes_no_place_of_another(tmp_path: Path) -> None:
    async with office(tmp_path) as practice, practice.at_work():
        for number in range(OPEN_MAX):
            await practice.adopt(until_s=60.0, who=f"8{number:011d}")
        with pytest.raises(Conflict, match="SESSIONS_TOO_MANY"):
            await practice.adopt()
        with pytest.raises(Conflict, match="SESSIONS_TOO_MANY"):
            await ask(practice)
        await practice.adopt("renewed", until_s=90.0, who="800000000000")  # nobody is one too many in his own place
        product = replace(PRODUCT, proxy_client_id="other-lgc", oid_root="1.2.250.1.999.1.9")
        other = (await practice.backend.pair("LGC B", frozenset(Scope), product, None, SECRETARY)).client
        await practice.adopt(client=other)
        assert len(practice.sessions.sessions()) == OPEN_MAX + 1
        practice.clock.advance(60)
        await practice.adopt()  # those that ended make room

        assert {session.national_id for session in practice.sessions.sessions()} == {DOCTOR, "800000000000"}


async def test_adoptions_at_once_are_no_way_around_the_bound(tmp_path: Path) -> None:
    async with office(tmp_path) as practice:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(adopted(practice, f"8{number:011d}")) for number in range(OPEN_MAX + 20)]

        assert sum(task.result() for task in tasks) == OPEN_MAX
        assert len(practice.sessions.sessions()) == OPEN_MAX


async def adopted(practice: Office, who: str) -> bool:
    try:
        await practice.adopt(who=who)
    except Conflict:
        return False
    return True


async def test_no_more_professionals_are_asked_at_once_than_connections_can_wait(tmp_path: Path) -> None:
    async with office(tmp_path) as practice, practice.at_work():
        practice.proxy.gate = asyncio.Event()
        for number in range(PENDING_MAX):
            await ask(practice, f"8{number:011d}")
        with pytest.raises(Conflict, match="SESSION_REQUESTS_TOO_MANY"):
            await ask(practice)
        practice.proxy.gate.set()
        await practice.pass_time(0, lambda: len(practice.sessions.sessions()) == PENDING_MAX)
        await ask(practice)


async def test_an_empty_cookie_is_refused(tmp_path: Path) -> None:
    async with office(tmp_path) as practice:
        with pytest.raises(InvalidInput, match="SESSION_COOKIE_EMPTY"):
            await practice.adopt("")


async def test_a_session_ends_by_its_time(tmp_path: Path) -> None:
    async with office(tmp_path) as practice:
        await practice.adopt(until_s=60.0)
        practice.clock.advance(59)
        assert len(await practice.backend.authorities(practice.client)) == 1
        practice.clock.advance(1)
        assert await practice.backend.authorities(practice.client) == []
        assert practice.sessions.session_for(DOCTOR, practice.client) is None


async def test_closing_ends_it_here_at_once_and_at_the_proxy(tmp_path: Path) -> None:
    async with office(tmp_path) as practice, practice.at_work():
        await ask(practice)
        await told(practice, "session.opened")
        assert practice.proxy.open_cookies == {"cookie-1"}
        await practice.backend.close_session(practice.client, DOCTOR, SECRETARY)
        assert await practice.backend.authorities(practice.client) == []
        with pytest.raises(NotFound, match="SESSION_UNKNOWN"):
            await practice.backend.close_session(practice.client, DOCTOR, SECRETARY)
        await practice.pass_time(0, lambda: practice.proxy.open_cookies == set())


@pytest.mark.parametrize("error", [ServiceError("PROXY_UNREACHABLE"), RuntimeError("bug")])
async def test_a_proxy_that_cannot_be_told_of_the_end_stops_nobody(tmp_path: Path, error: Exception) -> None:
    async with office(tmp_path) as practice, practice.at_work():
        practice.proxy.disconnect_error = error
        await practice.adopt()
        await practice.backend.close_session(practice.client, DOCTOR, SECRETARY)
        await told(practice, "session.closed")
        await practice.adopt("again")

        assert len(await practice.backend.authorities(practice.client)) == 1


async def test_a_lost_session_is_forgotten_but_never_a_newer_one(tmp_path: Path) -> None:
    async with office(tmp_path) as practice:
        await practice.adopt("old")
        old = practice.session()
        await practice.adopt("new")

        assert not practice.sessions.forget(old)
        new = practice.session()
        assert practice.sessions.forget(new)
        assert practice.sessions.session_for(DOCTOR, practice.client) is None


async def test_no_cookie_is_written_down(tmp_path: Path) -> None:
    async with office(tmp_path) as practice:
        await practice.adopt("unmistakable-cookie")
        lines = await practice.store.ledger(0)

        assert "unmistakable-cookie" not in repr(lines) + repr(practice.session())
    assert not [path for path in tmp_path.iterdir() if b"unmistakable-cookie" in path.read_bytes()]
