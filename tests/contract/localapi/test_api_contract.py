"""What every backend behind the local API does, seen by a paired client on a real socket."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from vaguemestre_api import wire
from vaguemestre_api.client import Client
from vaguemestre_api.endpoint import Endpoint
from vaguemestre_api.failures import ApiProblem
from vaguemestre_core.records import Scope
from vaguemestre_testkit.api_harness import ApiHarness, paired

PRODUCT = wire.Product(
    lps_name="LGC", lps_version="2", lps_id="7", homologation_id="H", proxy_client_id="p", oid_root="1.2.250.1.999.2"
)


async def refused(awaitable: object) -> wire.Problem:
    with pytest.raises(ApiProblem) as caught:
        await awaitable  # type: ignore[misc]
    return caught.value.problem


async def test_a_deposit_is_accepted_and_seen(lgc: Client, harness: ApiHarness) -> None:
    accepted = await lgc.put_document("cr/42 é?", harness.document())

    seen = await lgc.document("cr/42 é?")
    assert not accepted.replayed
    assert seen.status == "waiting"
    assert [order.order_id for order in seen.orders] == [accepted.order.order_id]
    assert seen.orders[0].actor.user == "u-17"


async def test_the_same_deposit_replays_the_present_answer(lgc: Client, harness: ApiHarness) -> None:
    first = await lgc.put_document("cr-1", harness.document(), idempotency_key="k1")
    await harness.make_deferred(first.order.order_id)

    again = await lgc.put_document("cr-1", harness.document(), idempotency_key="k1")

    assert again.replayed
    assert again.order.order_id == first.order.order_id
    assert again.order.state == "deferred"


async def test_the_same_key_with_another_content_is_a_conflict(lgc: Client, harness: ApiHarness) -> None:
    await lgc.put_document("cr-1", harness.document("Un"), idempotency_key="k1")
    before = await harness.fingerprint()

    problem = await refused(lgc.put_document("cr-1", harness.document("Deux"), idempotency_key="k1"))

    assert (problem.status, problem.code) == (409, "IDEMPOTENCY_MISMATCH")
    assert await harness.fingerprint() == before


async def test_a_key_belongs_to_its_client(lgc: Client, harness: ApiHarness, socket: Path) -> None:
    first = await lgc.put_document("cr-1", harness.document(), idempotency_key="k1")
    async with await paired(harness, socket, name="Autre LGC") as other:
        theirs = await other.put_document("cr-1", harness.document(), idempotency_key="k1")

    assert not theirs.replayed
    assert theirs.order.order_id != first.order.order_id


async def test_a_correction_supersedes_what_has_not_left(lgc: Client, harness: ApiHarness) -> None:
    first = await lgc.put_document("cr-1", harness.document("Un"))
    second = await lgc.put_document("cr-1", harness.document("Deux"))

    assert second.superseded == first.order.order_id
    assert (await lgc.order(first.order.order_id)).state == "superseded"
    assert second.order.set_id == first.order.set_id


async def test_a_correction_replaces_what_was_sent_and_waits_for_what_is_in_doubt(
    lgc: Client, harness: ApiHarness
) -> None:
    sent = await lgc.put_document("cr-1", harness.document("Un"))
    doubtful = await lgc.put_document("cr-2", harness.document("Deux"))
    await harness.make_sent(sent.order.order_id)
    await harness.make_doubtful(doubtful.order.order_id)

    replacement = (await lgc.put_document("cr-1", harness.document("Un bis"))).order
    waiting = await lgc.put_document("cr-2", harness.document("Deux bis"))

    assert (replacement.kind, replacement.version, replacement.waiting) == ("dmp.replace", 2, None)
    assert (replacement.predecessor, replacement.set_id) == (sent.order.order_id, sent.order.set_id)
    assert (waiting.order.state, waiting.order.waiting, waiting.superseded) == ("preparing", "predecessor", None)


@pytest.mark.req("SC.DMP/ALI/PROG.03")
async def test_a_person_can_hold_one_document_and_lift_it(lgc: Client, harness: ApiHarness) -> None:
    held = await lgc.put_document("cr-1", harness.document("Un"), hold=True)
    free = await lgc.put_document("cr-2", harness.document("Deux"))

    assert held.order.holds == ("person",)
    assert free.order.holds == ()
    assert (await lgc.why(held.order.order_id)).blocking == "HELD_BY_A_PERSON"
    assert (await lgc.release(held.order.order_id)).holds == ()
    assert (await lgc.hold(free.order.order_id)).holds == ("person",)


@pytest.mark.req("SC.DMP/ALI/PROG.03")
async def test_cancelling_says_which_of_the_three_it_is(lgc: Client, harness: ApiHarness) -> None:
    ids = [(await lgc.put_document(f"cr-{n}", harness.document(str(n)))).order.order_id for n in range(3)]
    await harness.make_doubtful(ids[1])
    await harness.make_sent(ids[2])

    answers = [await lgc.cancel(order_id) for order_id in ids]

    assert [answer.answer for answer in answers] == ["cancelled", "asked", "too_late"]
    assert [answer.order.state for answer in answers] == ["cancelled", "in_doubt", "sent"]
    assert answers[1].order.cancel_requested


async def test_a_person_settles_what_is_in_doubt_and_gives_up_what_is_stuck(lgc: Client, harness: ApiHarness) -> None:
    ids = [(await lgc.put_document(f"cr-{n}", harness.document(str(n)))).order.order_id for n in range(4)]
    for order_id in ids[:3]:
        await harness.make_doubtful(order_id)
    await harness.make_deferred(ids[3])

    asked = (("sent", "seen_there"), ("not_sent", "not_seen_there"), ("abandon", "sent_otherwise"))
    settled = [await lgc.resolve(order_id, *what) for order_id, what in zip(ids, asked, strict=False)]
    assert [order.state for order in settled] == ["sent", "ready", "abandoned"]
    assert (await lgc.resolve(ids[3], "abandon", "no_longer_needed")).state == "abandoned"
    problem = await refused(lgc.resolve(ids[0], "not_sent", "not_seen_there"))
    assert (problem.status, problem.code) == (409, "TRANSITION_ILLEGAL")
    assert (await refused(lgc.resolve(ids[1], "sent", "free text"))).status in {400, 422}


async def test_send_now_needs_an_order_that_waits(lgc: Client, harness: ApiHarness) -> None:
    order_id = (await lgc.put_document("cr-1", harness.document())).order.order_id
    await harness.make_deferred(order_id)

    assert (await lgc.send_now(order_id)).state == "ready"
    assert (await lgc.send_now(order_id)).state == "ready"  # asked again: at once, and before the others
    await lgc.cancel(order_id)
    problem = await refused(lgc.send_now(order_id))
    assert (problem.status, problem.code) == (409, "TRANSITION_ILLEGAL")


@pytest.mark.req("SC.DMP/HISTO.01")
async def test_reconciling_tells_each_reference(lgc: Client, harness: ApiHarness) -> None:
    sent = await lgc.put_document("sent", harness.document("Un"))
    doubtful = await lgc.put_document("doubtful", harness.document("Deux"))
    await lgc.put_document("waiting", harness.document("Trois"))
    await harness.make_sent(sent.order.order_id)
    await harness.make_doubtful(doubtful.order.order_id)

    statuses = await lgc.reconcile(["sent", "doubtful", "waiting", "never seen"])

    assert statuses == {"sent": "sent", "doubtful": "doubtful", "waiting": "waiting", "never seen": "unknown"}


async def test_orders_are_paged_newest_first(lgc: Client, harness: ApiHarness) -> None:
    ids = [(await lgc.put_document(f"cr-{n}", harness.document(str(n)))).order.order_id for n in range(5)]

    first = await lgc.orders(limit=3)
    assert first.next is not None
    rest = await lgc.orders(limit=3, after=first.next)

    assert [order.order_id for order in (*first.orders, *rest.orders)] == ids[::-1]
    assert rest.next is None
    assert [order.client_ref for order in (await lgc.orders(client_ref="cr-2")).orders] == ["cr-2"]
    assert (await lgc.orders(states=["sent"])).orders == ()


async def test_titles_are_given_when_asked(lgc: Client, harness: ApiHarness) -> None:
    await lgc.put_document("cr-1", harness.document("Bilan annuel"))

    assert (await lgc.orders()).orders[0].title is None
    assert (await lgc.orders(titles=True)).orders[0].title == "Bilan annuel"


async def test_a_client_sees_its_own_orders_only(lgc: Client, admin: Client, harness: ApiHarness, socket: Path) -> None:
    order_id = (await lgc.put_document("cr-1", harness.document())).order.order_id
    async with await paired(harness, socket, name="Autre LGC") as other:
        assert (await other.orders()).orders == ()
        assert (await refused(other.order(order_id))).code == "ORDER_UNKNOWN"
        assert (await refused(other.cancel(order_id))).code == "ORDER_UNKNOWN"
        assert (await refused(other.document("cr-1"))).code == "DOCUMENT_UNKNOWN"
        assert (await other.ledger()).lines[0].kind == "client.paired"

    assert [order.order_id for order in (await admin.orders()).orders] == [order_id]


@pytest.mark.parametrize(
    ("scopes", "allowed"),
    [
        (frozenset({Scope.READ}), {"orders"}),
        (frozenset({Scope.ENQUEUE}), {"put"}),
        (frozenset({Scope.CONTROL}), {"cancel"}),
        (frozenset({Scope.ADMIN}), {"clients"}),
    ],
)
async def test_a_scope_opens_its_routes_only(
    scopes: frozenset[Scope], allowed: set[str], lgc: Client, harness: ApiHarness, socket: Path
) -> None:
    outcomes: set[str] = set()
    async with await paired(harness, socket, scopes=scopes, name="Partiel") as client:
        works: dict[str, Callable[[], Awaitable[object]]] = {
            "orders": client.orders,
            "put": lambda: client.put_document("cr-1", harness.document()),
            "cancel": lambda: client.cancel("o-0"),
            "clients": client.clients,
        }
        for name, work in works.items():
            try:
                await work()
            except ApiProblem as problem:
                if problem.code == "SCOPE_MISSING":
                    continue
            outcomes.add(name)

    assert outcomes == allowed


async def test_pairing_by_code_serves_once(admin: Client, socket: Path) -> None:
    code = (await admin.open_pairing(["read", "enqueue"])).code
    async with Client(Endpoint(address=str(socket)), start_grace_s=0) as stranger:
        paired_client = await stranger.pair(code, "Nouveau LGC", PRODUCT)
        assert set(paired_client.client.scopes) == {"read", "enqueue"}
        assert (await refused(stranger.pair(code, "Encore", PRODUCT))).code == "PAIRING_CODE_REFUSED"

    assert paired_client.client.client_id in {client.client_id for client in await admin.clients()}


async def test_a_pairing_code_cannot_be_guessed_for_long(admin: Client, socket: Path) -> None:
    code = (await admin.open_pairing(["read"])).code
    async with Client(Endpoint(address=str(socket)), start_grace_s=0) as stranger:
        for attempt in range(5):
            assert (await refused(stranger.pair(f"XXXX-000{attempt}", "Voleur"))).status == 403
        assert (await refused(stranger.pair(code, "Voleur"))).code == "PAIRING_CODE_REFUSED"


@pytest.mark.req("SC.SSI/IAM.91")
async def test_revoking_closes_the_door_and_leaves_a_trace(
    lgc: Client, admin: Client, harness: ApiHarness, socket: Path
) -> None:
    async with await paired(harness, socket, name="Révoqué") as gone:
        await gone.orders()
        client_id = next(item.client_id for item in await admin.clients() if item.name == "Révoqué")
        await admin.revoke_client(client_id)

        problem = await refused(gone.orders())

    assert (problem.status, problem.code) == (401, "CLIENT_REFUSED")
    lines = (await admin.ledger(limit=1000)).lines
    assert [line.actor.user for line in lines if line.kind == "client.revoked"] == ["u-17"]


async def test_a_wrong_secret_and_an_unknown_client_get_the_same_answer(lgc: Client, socket: Path) -> None:
    from vaguemestre_api.client import Credentials

    seen = []
    known = (await lgc.ledger()).lines[0].client_id
    assert known is not None
    for client_id in (known, "c-unknown"):
        credentials = Credentials(client_id=client_id, secret="x" * 64)
        async with Client(Endpoint(address=str(socket)), credentials, start_grace_s=0) as wrong:
            problem = await refused(wrong.orders())
            seen.append((problem.status, problem.code, problem.title))

    assert seen[0] == seen[1]
    assert seen[0][:2] == (401, "CLIENT_REFUSED")


async def test_another_system_user_is_refused(lgc: Client, harness: ApiHarness, socket: Path) -> None:
    async with await paired(harness, socket, os_identity="uid:4294967000", name="Autre session") as client:
        assert (await refused(client.orders())).code == "CLIENT_REFUSED"


async def test_sessions_are_adopted_shown_and_closed(lgc: Client) -> None:
    request = wire.AdoptSessionRequest(national_id="899700000012", cookie="0a1b2c", session_state="s", until_s=3600.0)
    authority = await lgc.adopt_session(request)
    shown = await lgc.session()
    await lgc.close_session("899700000012")

    assert authority.professional == "899700000012"
    assert [item.professional for item in shown] == ["899700000012"]
    assert await lgc.session() == ()
    assert (await refused(lgc.close_session("899700000012"))).code == "SESSION_UNKNOWN"


async def test_opening_a_session_tells_what_the_person_must_do(lgc: Client) -> None:
    offer = await lgc.open_session("899700000012", channel="MOBILE", mode="ciba")

    assert offer.binding_code is not None
    assert offer.expires_in_s > 0


async def test_the_ledger_is_chained_and_paged(lgc: Client, admin: Client, harness: ApiHarness) -> None:
    await lgc.put_document("cr-1", harness.document())
    whole = (await admin.ledger(limit=1000)).lines
    first = await admin.ledger(limit=1)
    assert first.next is not None
    second = await admin.ledger(after=first.next, limit=1)

    verified = await admin.verify_ledger()

    assert (first.lines[0], second.lines[0]) == (whole[0], whole[1])
    assert verified.head == whole[-1].digest
    assert verified.lines == len(whole)


async def test_the_patient_context_brings_orders_forward(lgc: Client, harness: ApiHarness) -> None:
    order_id = (await lgc.put_document("cr-1", harness.document())).order.order_id
    await harness.make_deferred(order_id)

    assert await lgc.patient_context(is_open=True) == 0
    assert await lgc.patient_context(is_open=False) >= 0


async def test_health_counts_are_for_paired_clients(lgc: Client, harness: ApiHarness, socket: Path) -> None:
    await lgc.put_document("cr-1", harness.document())
    async with Client(Endpoint(address=str(socket)), start_grace_s=0) as stranger:
        assert dict((await stranger.health()).counts) == {}

    assert sum((await lgc.health()).counts.values()) == 1


async def test_the_document_served_is_the_one_we_ship(lgc: Client) -> None:
    from vaguemestre_api import openapi

    assert await lgc.openapi() == openapi.document_bytes()


@pytest.mark.req("LGC.MDV.07")
async def test_indicators_have_the_usual_periods_or_the_one_asked_for(lgc: Client) -> None:
    usual = await lgc.indicators()
    assert [period.name for period in usual.periods] == ["current_month", "current_year", "previous_year"]
    (asked,) = (await lgc.indicators("2026-01-01", "2026-01-31", ["type_code"])).periods
    assert (asked.name, asked.rows) == ("asked", ())
    for first, last in (("2026-02-01", "2026-01-01"), ("2026-13-01", "2026-13-02"), ("2026-01-01", None)):
        problem = await refused(lgc.indicators(first, last))
        assert (problem.status, problem.code) == (422, "PERIOD_INVALID")
