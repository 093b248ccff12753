"""Shadow mode: what it accepts is born held, nothing can send, and leaving the mode lets nothing leave by itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from vaguemestre_agent.adapters.shadow import ShadowDmp, ShadowProxy
from vaguemestre_agent.parts import Parts
from vaguemestre_agent.practice.documents import DOCTOR
from vaguemestre_agent.settings import ServiceMode, ServiceSettings, parse_settings
from vaguemestre_agent.ways import open_ways
from vaguemestre_core.errors import Conflict, InvalidInput
from vaguemestre_core.orders import CANCEL_ASKED_ONLY, HoldKind, OrderState
from vaguemestre_core.outcomes import Certainty, Presence
from vaguemestre_testkit import sendings
from vaguemestre_testkit.clocks import FakeClock
from vaguemestre_testkit.orders import test_keys
from vaguemestre_testkit.practice_kit import SECRETARY, Office, OfficeSettings, office

SHADOW = OfficeSettings(standing_holds=frozenset({HoldKind.SHADOW}))


async def sent_next(practice: Office) -> str | None:
    """Send what may leave next; return its order, or None when nothing may."""
    claimed = await practice.store.claim("dmp", practice.rights(), practice.clock.now())
    if claimed is None:
        return None
    await practice.dispatch.send(claimed)
    assert (await practice.now(claimed)).state is OrderState.SENT
    return claimed.order_id


async def test_the_composition_opens_nothing_in_shadow_mode() -> None:
    """Files that do not exist and an address that is none: nobody looks at them, so nobody can send with them."""
    settings = ServiceSettings(
        mode=ServiceMode.SHADOW, profile="sandbox", proxy_url="https://proxy.invalid", ca_file="/absent",
        client_certificate="/absent", client_key="/absent", signing_certificate="/absent", signing_key="/absent",
    )  # fmt: skip
    async with open_ways(settings, Parts()) as services:
        assert type(services.dmp) is ShadowDmp
        assert type(services.proxy) is ShadowProxy
        assert services.is_shadow
        assert not vars(services.dmp)
        assert not vars(services.proxy)


async def test_the_ports_of_shadow_mode_answer_that_nothing_happened() -> None:
    dmp, called = ShadowDmp(), []

    async def first_byte() -> None:
        called.append("byte")

    prepared = sendings.prepared("1.2.3")
    outcomes = [
        await dmp.submit(prepared, sendings.frozen_ids(), None, sendings.sending_context(), first_byte),
        await dmp.delete(prepared, sendings.frozen_ids(), sendings.sending_context(), first_byte),
        await dmp.set_visibility(prepared, frozenset(), sendings.frozen_ids(), sendings.sending_context(), first_byte),
    ]
    assert {(outcome.certainty, outcome.code) for outcome in outcomes} == {(Certainty.NOT_SENT, "SHADOW_MODE")}
    assert (await dmp.test_existence(prepared, sendings.sending_context())).exists is None
    assert (await dmp.look_up(prepared, sendings.sending_context())).presence is Presence.UNKNOWN
    refused = await ShadowProxy().connect(DOCTOR, "42", "essai", "CARD")
    assert getattr(refused, "code", None) == "SHADOW_MODE"
    assert called == []


def test_the_mode_is_a_setting_like_another() -> None:
    assert parse_settings({}).services.mode is ServiceMode.NORMAL
    assert parse_settings({"services": {"mode": "shadow"}}).services.mode is ServiceMode.SHADOW
    with pytest.raises(InvalidInput) as caught:
        parse_settings({"services": {"mode": "on"}})
    assert caught.value.code == "SETTING_INVALID"


async def test_what_was_accepted_in_shadow_mode_stays_when_it_is_left(tmp_path: Path) -> None:
    clock, keys = FakeClock(), test_keys()
    async with office(tmp_path, SHADOW, clock=clock, keys=keys) as practice:
        await practice.adopt()
        order = await practice.ready()
        assert order.holds == {HoldKind.SHADOW}
        held = await practice.deposit("cr-held", hold=True)
        why = await practice.backend.why(practice.client, order.order_id)
        assert (why.blocking, why.would_let_it_leave) == ("SHADOW_MODE", "RELEASE_FROM_SHADOW")
        assert await practice.store.claim("dmp", practice.rights(), clock.now()) is None
    async with office(tmp_path, seed=2, clock=clock, keys=keys) as practice:
        clock.advance(7 * 86400)
        await practice.adopt()
        for reference in (order, held):
            await practice.backend.release(practice.client, reference.order_id, SECRETARY)
        other = await practice.ready("cr-2", patient=1)
        assert await sent_next(practice) == other.order_id
        assert await sent_next(practice) is None
        now = [await practice.now(item) for item in (order, held)]
        assert all(HoldKind.SHADOW in item.holds for item in now)
        assert now[0].state is OrderState.READY
        assert len(practice.dmp.complete_bodies) == 1
        released = await practice.backend.release_from_shadow(practice.client, order.order_id, SECRETARY)
        assert released.holds == frozenset()
        assert await sent_next(practice) == order.order_id
        assert len(practice.dmp.complete_bodies) == 2
        lifted = [line for line in await practice.store.ledger(0) if line.kind == "order.hold_lifted"]
    assert ("hold", "shadow") in lifted[-1].detail
    assert lifted[-1].actor == SECRETARY


async def test_the_same_request_again_after_the_mode_is_still_held(tmp_path: Path) -> None:
    clock, keys = FakeClock(), test_keys()
    async with office(tmp_path, SHADOW, clock=clock, keys=keys) as practice:
        order = await practice.deposit(idempotency_key="k-1")
    async with office(tmp_path, seed=2, clock=clock, keys=keys) as practice:
        for key in ("k-1", None):
            again = await practice.deposit(idempotency_key=key)
            assert again.order_id == order.order_id
            assert again.holds == {HoldKind.SHADOW}
        corrected = await practice.deposit(title="Autre")
        assert corrected.holds == frozenset()
        assert (await practice.now(order)).state is OrderState.SUPERSEDED


async def test_an_order_held_by_shadow_can_be_cancelled(tmp_path: Path) -> None:
    async with office(tmp_path, SHADOW) as practice:
        order = await practice.ready()
        _, cancelled = await practice.backend.cancel(practice.client, order.order_id, SECRETARY)
        assert cancelled.state is OrderState.CANCELLED


async def test_nobody_releases_while_the_mode_lasts(tmp_path: Path) -> None:
    async with office(tmp_path, OfficeSettings(standing_holds=SHADOW.standing_holds, is_shadow=True)) as practice:
        order = await practice.ready()
        with pytest.raises(Conflict) as caught:
            await practice.backend.release_from_shadow(practice.client, order.order_id, SECRETARY)
        assert caught.value.code == "SHADOW_MODE"
        assert (await practice.now(order)).holds == {HoldKind.SHADOW}


async def test_what_came_before_the_mode_says_why_it_waits(tmp_path: Path) -> None:
    clock, keys = FakeClock(), test_keys()
    async with office(tmp_path, clock=clock, keys=keys) as practice:
        order = await practice.ready()
    async with office(tmp_path, OfficeSettings(is_shadow=True), seed=2, clock=clock, keys=keys) as practice:
        why = await practice.backend.why(practice.client, order.order_id)
    assert order.state not in CANCEL_ASKED_ONLY
    assert (why.blocking, why.would_let_it_leave) == ("SHADOW_MODE", "LEAVE_SHADOW_MODE")
