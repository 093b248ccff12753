"""A card is an authority while it is open: its professional's orders leave in order, and not one after it is out."""

from __future__ import annotations

import asyncio
import datetime as dt
from pathlib import Path

import pytest

from vaguemestre_agent.adapters.dmp.classification import Sign
from vaguemestre_agent.practice.documents import DOCTOR
from vaguemestre_agent.services.cardauthorities import AuthoritySettings, StructureCertificate
from vaguemestre_core.cardports import KeySession
from vaguemestre_core.errors import InvalidInput, StoreError
from vaguemestre_core.orders import OrderKind, OrderState, WaitReason
from vaguemestre_core.records import AuthorityMeans, Order
from vaguemestre_testkit.practice_kit import SECRETARY, Office, OfficeSettings, office
from vaguemestre_testkit.scripted_dmp import Step

S = OrderState
EMPLOYEE = "3751234567/0001"
STRUCTURE = "499700000012003"
CPE = OfficeSettings(authority=AuthoritySettings(pause_s=1.0, cpe_for=DOCTOR))


def departures(practice: Office) -> list[str]:
    """Return the orders in the sequence in which their bodies began to leave."""
    return [change.entry.order_id or "" for change in practice.told if change.entry.kind == "order.first_byte"]


async def waiting(practice: Office, *refs: str) -> list[str]:
    """Deposit documents that wait for an authority; return their orders."""
    orders = [await practice.deposit(ref) for ref in refs]
    for order in orders:
        await practice.reaches(order, S.DEFERRED)
    await practice.advance(901)
    for order in orders:
        await practice.until(lambda now: now.waiting is WaitReason.AUTH, order)
    return [order.order_id for order in orders]


def waits_for_authority(practice: Office, order: Order | None) -> bool:
    last = [
        change.order for change in practice.told if change.order and order and change.order.order_id == order.order_id
    ]
    return bool(last) and last[-1].waiting is WaitReason.AUTH


async def pass_pauses(practice: Office, sent: int) -> None:
    await practice.pass_time(0.5, lambda: len(practice.dmp.complete_bodies) == sent)


@pytest.mark.req("SC.DMP/ALI/PROG.06")
async def test_a_card_lets_its_professionals_orders_leave_in_order_and_paced(tmp_path: Path) -> None:
    async with office(tmp_path) as practice, practice.at_work():
        orders = await waiting(practice, "cr-1", "cr-2", "cr-3")
        practice.cards.insert(DOCTOR)
        first = await practice.store.order(orders[0])  # type: ignore[arg-type]  # OrderId is a str
        await practice.reaches(first, S.SENT)
        await practice.real.last_line()
        one_alone = list(departures(practice))
        await pass_pauses(practice, 3)

    assert one_alone == orders[:1]  # the second waits for the pause, although three senders are free
    assert departures(practice) == orders
    assert practice.proxy.asked == []


async def test_another_professionals_orders_do_not_leave_under_a_card(tmp_path: Path) -> None:
    async with office(tmp_path) as practice, practice.at_work():
        practice.cards.insert("899700000020")
        (order_id,) = await waiting(practice, "cr-1")
        why = await practice.backend.why(practice.client, order_id)  # type: ignore[arg-type]

    assert (why.blocking, why.would_let_it_leave) == ("NO_SESSION", "OPEN_A_SESSION")
    assert practice.dmp.complete_bodies == []


async def test_a_card_out_ends_its_authority_at_once_and_both_are_written_down(tmp_path: Path) -> None:
    async with office(tmp_path) as practice, practice.at_work():
        key = practice.cards.insert(DOCTOR)
        opened = list(await practice.backend.authorities(practice.client))
        practice.cards.pull(key)
        closed = list(await practice.backend.authorities(practice.client))
        async with asyncio.timeout(5):
            while not any(change.entry.kind == "authority.ended" for change in practice.told):
                practice.news.clear()
                await practice.news.wait()
        (order_id,) = await waiting(practice, "cr-1")

    assert [(item.professional, item.means, item.proxy_client_id) for item in opened] == [
        (DOCTOR, AuthorityMeans.CPS, "")
    ]
    assert closed == []
    lines = [change.entry for change in practice.told if change.entry.kind.startswith("authority.")]
    assert [line.kind for line in lines] == ["authority.opened", "authority.ended"]
    assert all(line.detail == (("means", "cps"), ("national_id", DOCTOR)) for line in lines)
    assert order_id not in departures(practice)


async def test_an_order_in_the_middle_when_the_card_goes_is_finished(tmp_path: Path) -> None:
    async with office(tmp_path) as practice, practice.at_work():
        gate = asyncio.Event()
        practice.dmp.submissions.append(Step(gate=gate))
        key = practice.cards.insert(DOCTOR)
        order, later = await practice.deposit("cr-1"), await practice.deposit("cr-2")
        for each in (order, later):
            await practice.reaches(each, S.DEFERRED)
        await practice.advance(901)
        await practice.reaches(order, S.SENDING)
        practice.cards.pull(key)
        gate.set()
        await practice.reaches(order, S.SENT)
        await practice.until(lambda now: now.waiting is WaitReason.AUTH, later)

    assert practice.dmp.complete_bodies == [order.unique_id]


async def test_an_order_in_the_middle_whose_answer_is_lost_waits_in_doubt_for_the_card(tmp_path: Path) -> None:
    async with office(tmp_path) as practice, practice.at_work():
        gate = asyncio.Event()
        practice.dmp.submissions.append(Step(sign=Sign.CUT, stores=True, gate=gate))
        key = practice.cards.insert(DOCTOR)
        order = await practice.deposit()
        await practice.reaches(order, S.DEFERRED)
        await practice.advance(901)
        await practice.reaches(order, S.SENDING)
        practice.cards.pull(key)
        gate.set()
        await practice.reaches(order, S.IN_DOUBT)
        practice.cards.insert(DOCTOR)
        await practice.pass_time(1.0, lambda: any(c.entry.kind == "order.found_there" for c in practice.told))
        settled = await practice.now(order)

    assert settled.state is S.SENT
    assert practice.dmp.complete_bodies == [order.unique_id]


@pytest.mark.parametrize("sign", [Sign.CARD_REMOVED, Sign.SIGNER_UNAVAILABLE])
async def test_a_card_gone_before_the_body_costs_no_attempt(tmp_path: Path, sign: Sign) -> None:
    async with office(tmp_path) as practice, practice.at_work():
        key = practice.cards.insert(DOCTOR)
        gate = asyncio.Event()
        practice.dmp.existences.append(Step(gate=gate))
        practice.dmp.submissions.append(Step(sign=sign))
        order = await practice.deposit()
        await practice.reaches(order, S.DEFERRED)
        await practice.advance(901)
        await practice.pass_time(0, lambda: not practice.dmp.existences)  # the question is asked, under the card
        practice.cards.pull(key)
        gate.set()
        now = await practice.until(lambda now: now.waiting is WaitReason.AUTH and now.state is S.READY, order)
        assert now.attempts == 0
        practice.cards.insert(DOCTOR)
        await practice.reaches(order, S.SENT)

    assert practice.dmp.complete_bodies == [order.unique_id]


async def test_an_open_session_is_used_before_a_card_and_is_not_paced(tmp_path: Path) -> None:
    async with office(tmp_path) as practice, practice.at_work():
        practice.cards.insert(DOCTOR)
        await practice.adopt()
        orders = [await practice.deposit(f"cr-{number}") for number in range(3)]
        for order in orders:
            await practice.reaches(order, S.DEFERRED)
        await practice.advance(901)
        for order in orders:
            await practice.reaches(order, S.SENT)

    assert all(not isinstance(session, KeySession) for session in practice.dmp.sessions)


async def test_a_cpe_sends_nothing_unless_the_settings_name_whom_it_serves(tmp_path: Path) -> None:
    async with office(tmp_path) as practice, practice.at_work():
        practice.cards.insert(EMPLOYEE, AuthorityMeans.CPE, STRUCTURE)
        await waiting(practice, "cr-1")
        assert list(await practice.backend.authorities(practice.client)) == []


async def test_a_cpe_feeds_for_the_professionals_it_serves_and_hides_nothing(tmp_path: Path) -> None:
    async with office(tmp_path, CPE) as practice, practice.at_work():
        practice.cards.insert(EMPLOYEE, AuthorityMeans.CPE, STRUCTURE)
        order = await practice.deposit()
        await practice.reaches(order, S.DEFERRED)
        await practice.advance(901)
        await practice.reaches(order, S.SENT)
        accepted = await practice.backend.set_visibility(
            practice.client, "cr-1", frozenset({"MASQUE_PS"}), SECRETARY, None
        )
        assert accepted.order is not None
        await practice.pass_time(5.0, lambda: waits_for_authority(practice, accepted.order))
        hiding = await practice.now(accepted.order)
        why = await practice.backend.why(practice.client, hiding.order_id)
        practice.cards.insert(DOCTOR)
        await practice.pass_time(0.5, lambda: len(practice.dmp.complete_changes) == 1)

    used = [session for session in practice.dmp.sessions if isinstance(session, KeySession)]
    assert used[0].means is AuthorityMeans.CPE
    assert (used[0].national_id, used[0].holder, used[0].structure) == (DOCTOR, EMPLOYEE, STRUCTURE)
    assert used[-1].means is AuthorityMeans.CPS
    assert hiding.kind is OrderKind.DMP_VISIBILITY
    assert (why.blocking, why.would_let_it_leave) == ("MEANS_TOO_WEAK", "PROFESSIONAL_AUTHENTICATES")


@pytest.mark.req("SC.DMP/CONF.22")
async def test_the_structures_certificate_feeds_for_whom_the_settings_name_without_any_pause(tmp_path: Path) -> None:
    settings = OfficeSettings(
        authority=AuthoritySettings(structure_for=DOCTOR),
        structure=StructureCertificate(structure=STRUCTURE, until=dt.datetime(2040, 1, 1, tzinfo=dt.UTC)),
    )
    async with office(tmp_path, settings) as practice, practice.at_work():
        orders = [await practice.deposit(f"cr-{number}") for number in range(3)]
        for order in orders:
            await practice.reaches(order, S.DEFERRED)
        await practice.advance(901)
        for order in orders:
            await practice.reaches(order, S.SENT)

    assert {session.means for session in practice.dmp.sessions if isinstance(session, KeySession)} == {
        AuthorityMeans.STRUCTURE
    }


async def test_a_card_past_its_validity_is_no_authority(tmp_path: Path) -> None:
    async with office(tmp_path) as practice, practice.at_work():
        practice.cards.insert(DOCTOR, until=practice.clock.now() + dt.timedelta(seconds=850))
        assert len(await practice.backend.authorities(practice.client)) == 1
        practice.clock.advance(851)
        assert list(await practice.backend.authorities(practice.client)) == []
        assert practice.card_authorities.session_for(DOCTOR, OrderKind.DMP_SUBMIT) is None


async def test_a_full_disk_delays_only_the_ledger_line_of_a_card(tmp_path: Path) -> None:
    async with office(tmp_path) as practice, practice.at_work():
        practice.failing.fail("note", StoreError("STORE_DISK_FULL"))
        practice.cards.insert(DOCTOR)
        assert len(await practice.backend.authorities(practice.client)) == 1
        await practice.pass_time(1.0, lambda: any(c.entry.kind == "authority.opened" for c in practice.told))

    assert practice.failing.refused["note"] == 1


@pytest.mark.parametrize("wrong", [{"pause_s": -1.0}, {"cpe_for": "Dr Essai"}, {"structure_for": "12"}])
def test_settings_that_name_nobody_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(InvalidInput, match="AUTHORITY_SETTINGS_INVALID"):
        AuthoritySettings(**wrong)  # type: ignore[arg-type]


def test_a_key_and_a_card_show_nobody() -> None:
    session = KeySession(
        key="k",  # type: ignore[arg-type]
        means=AuthorityMeans.CPS,
        national_id=DOCTOR,
        holder=DOCTOR,
        structure=None,
        until=dt.datetime(2027, 1, 1, tzinfo=dt.UTC),
    )
    assert DOCTOR not in repr(session) + str(session) + f"{session}"
