"""Two LGCs for one professional: what one deposits never leaves in the session that the other opened."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from vaguemestre_agent.practice.documents import DOCTOR
from vaguemestre_core.errors import NotFound
from vaguemestre_core.orders import OrderState, WaitReason
from vaguemestre_core.ports import SendingContext
from vaguemestre_core.records import Client, FrozenIds, ProxySession, Scope
from vaguemestre_core.redaction import Secret
from vaguemestre_testkit.orders import PRODUCT
from vaguemestre_testkit.practice_kit import SECRETARY, Office, office

S = OrderState
LGC_SCOPES = frozenset({Scope.READ, Scope.ENQUEUE, Scope.CONTROL})


async def second_lgc(practice: Office) -> Client:
    product = replace(PRODUCT, proxy_client_id="other-lgc", oid_root="1.2.250.1.999.1.9")
    client, _ = await practice.backend.client_service.pair("LGC B", LGC_SCOPES, product, None, SECRETARY)
    return client


def watch(practice: Office) -> list[tuple[str, str]]:
    """Return a list that gets (proxy clientId of the session, that of the product) of each submission."""
    seen: list[tuple[str, str]] = []
    submit = practice.dmp.submit

    async def watched(
        prepared: bytes, frozen_ids: FrozenIds, signature: bytes | None, context: SendingContext, before: object
    ) -> object:
        assert isinstance(context.session, ProxySession)
        seen.append((context.session.proxy_client_id, context.product.proxy_client_id))
        return await submit(prepared, frozen_ids, signature, context, before)  # type: ignore[arg-type]

    practice.dmp.submit = watched  # type: ignore[method-assign,assignment]
    return seen


@pytest.mark.req("SC.PSC.14")
async def test_an_order_of_one_lgc_does_not_leave_in_the_session_of_the_other(tmp_path: Path) -> None:
    async with office(tmp_path) as practice, practice.at_work():
        seen = watch(practice)
        other = await second_lgc(practice)
        await practice.adopt("of A")
        of_b = await practice.deposit("cr-b", client=other)
        of_a = await practice.deposit("cr-a", patient=1)
        await practice.reaches(of_a, S.DEFERRED)
        await practice.reaches(of_b, S.DEFERRED)
        await practice.advance(901)
        await practice.reaches(of_a, S.SENT)
        waiting = await practice.until(lambda now: now.waiting is WaitReason.AUTH, of_b)
        why = await practice.backend.why(other, of_b.order_id)
        assert waiting.state is S.READY
        assert (why.blocking, why.would_let_it_leave) == ("NO_SESSION", "OPEN_A_SESSION")

        await practice.adopt("of B", client=other)
        await practice.reaches(of_b, S.SENT)

    assert seen == [(PRODUCT.proxy_client_id, PRODUCT.proxy_client_id), ("other-lgc", "other-lgc")]
    assert practice.proxy.asked == []


async def test_a_doubt_is_looked_up_in_the_session_of_its_own_lgc_only(tmp_path: Path) -> None:
    async with office(tmp_path) as practice:
        other = await second_lgc(practice)
        order = await practice.claimed("cr-a")
        await practice.store.first_byte(order.order_id, None)
        practice.sessions.forget(practice.session())
        await practice.adopt("of B", client=other)
        doubt = await practice.dispatch.rights()

        assert [(right.professional, right.clients) for right in doubt] == [(DOCTOR, frozenset({other.client_id}))]
        assert await practice.store.doubtful("dmp", doubt, practice.clock.now()) == []


async def test_each_lgc_sees_and_closes_its_own_session(tmp_path: Path) -> None:
    async with office(tmp_path) as practice, practice.at_work():
        other = await second_lgc(practice)
        await practice.adopt("of A")
        await practice.adopt("of B", client=other)
        assert len(await practice.backend.authorities(practice.client)) == 2  # admin: those of every LGC
        (own,) = await practice.backend.authorities(other)
        assert own.proxy_client_id == "other-lgc"

        await practice.backend.close_session(other, DOCTOR, SECRETARY)
        assert practice.sessions.session_for(DOCTOR, other) is None
        assert practice.sessions.session_for(DOCTOR, practice.client) is not None
        with pytest.raises(NotFound, match="SESSION_UNKNOWN"):
            await practice.backend.close_session(other, DOCTOR, SECRETARY)


async def test_two_lgcs_may_ask_the_same_professional_at_once(tmp_path: Path) -> None:
    async with office(tmp_path) as practice, practice.at_work():
        other = await second_lgc(practice)
        await practice.backend.open_session(practice.client, DOCTOR, "CARD", "ciba", SECRETARY)
        await practice.backend.open_session(other, DOCTOR, "CARD", "ciba", SECRETARY)
        await practice.pass_time(0, lambda: len(practice.sessions.sessions()) == 2)

    assert [asked[2] for asked in practice.proxy.asked] == [PRODUCT.proxy_client_id, "other-lgc"]


async def test_what_a_revoked_lgc_had_accepted_leaves_in_the_session_of_the_same_lgc_paired_again(
    tmp_path: Path,
) -> None:
    async with office(tmp_path) as practice:
        order = await practice.ready()
        await practice.backend.revoke(practice.client.client_id, SECRETARY)
        again, _ = await practice.backend.client_service.pair("LGC Essai", LGC_SCOPES, PRODUCT, None, SECRETARY)
        await practice.sessions.adopt(again, DOCTOR, Secret("new"), "state", None, SECRETARY)
        rights = await practice.dispatch.rights()
        claimed = await practice.store.claim("dmp", rights, practice.clock.now())

        assert claimed is not None
        assert claimed.order_id == order.order_id
