"""Facts in a real store: at once on what waits, under every identifier, authenticated, nothing personal in lines."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vaguemestre_core import facts as core
from vaguemestre_core.errors import Conflict
from vaguemestre_core.facts import (
    Care,
    FactKind,
    FactSubject,
    NewFact,
    delegation,
    guard_input,
    of_patient,
    opposition,
    wish,
)
from vaguemestre_core.guards import examine, holds_of
from vaguemestre_core.orders import ClientId, HoldKind, OrderEvent, OrderId, OrderState
from vaguemestre_core.records import OrderFilter
from vaguemestre_core.redaction import Personal
from vaguemestre_queue.store import Store
from vaguemestre_queue.transitions import CAN_BE_HELD
from vaguemestre_testkit.changes import a_deletion
from vaguemestre_testkit.clocks import FakeClock
from vaguemestre_testkit.opened_store import opened
from vaguemestre_testkit.orders import DOCTOR, PROFESSIONAL, a_build, an_acceptance, frozen, rights, test_keys

KEYS = test_keys()
INS, LOCAL = Personal("ins-1"), Personal("local-1")
QUALIFIED = {"identity_status": "qualifiée", "has_ins": True}
DOCTORS = rights(PROFESSIONAL)


async def ready(
    store: Store,
    clock: FakeClock,
    number: int,
    *,
    patient: Personal = INS,
    others: tuple[Personal, ...] = (),
    kept: dict[str, object] | None = None,
    fact_version: int = 0,
) -> OrderId:
    acceptance = an_acceptance(
        clock,
        number,
        patient_key=patient,
        other_patient_keys=others,
        facts=json.dumps({**QUALIFIED, **(kept or {})}),
        fact_version=fact_version,
    )
    await store.accept(acceptance)
    await store.save_prepared(acceptance.order_id, a_build(acceptance), frozen(number))
    await store.apply(acceptance.order_id, OrderEvent.SEND_NOW, DOCTOR)
    return acceptance.order_id


async def sent(store: Store, clock: FakeClock, number: int, *, patient: Personal = INS) -> OrderId:
    order_id = await ready(store, clock, number, patient=patient)
    claimed = await store.claim("dmp", DOCTORS, clock.now())
    assert claimed is not None
    assert claimed.order_id == order_id
    await store.first_byte(order_id, None)
    await store.apply(order_id, OrderEvent.DELIVERED, DOCTOR)
    return order_id


def event(value: str) -> NewFact:
    return NewFact(kind=FactKind.IDENTITY_EVENT, value=value)


async def is_opposed(store: Store, *keys: Personal) -> bool:
    told, version = await store.patient_facts(keys)
    return FactKind.OPPOSITION in core.view_of(told, version).refused


@pytest.mark.req("SC.DMP/CONF.09.BIS")
async def test_an_opposition_under_one_identifier_covers_the_other_and_survives_a_restart(tmp_path: Path) -> None:
    clock = FakeClock()
    async with opened(tmp_path, KEYS, clock) as store:
        order_id = await ready(store, clock, 1, others=(LOCAL,))
        recorded = await store.record_facts(of_patient(LOCAL), [opposition(True)], DOCTOR)
        assert recorded.held_ids == (order_id,)
    async with opened(tmp_path, KEYS, clock) as store:
        assert await is_opposed(store, INS)
        assert await store.claim("dmp", DOCTORS, clock.now()) is None
        freed = await store.record_facts(of_patient(LOCAL), [opposition(False)], DOCTOR)
        assert freed.freed_ids == (order_id,)
        assert (await store.order(order_id)).holds == frozenset()


async def test_a_document_that_links_two_identifiers_brings_the_opposition_to_what_waited(tmp_path: Path) -> None:
    clock = FakeClock()
    async with opened(tmp_path, KEYS, clock) as store:
        earlier = await ready(store, clock, 1)
        await store.record_facts(of_patient(LOCAL), [opposition(True)], DOCTOR)
        assert (await store.order(earlier)).holds == frozenset()
        linking = await ready(store, clock, 2, others=(LOCAL,))

        assert (await store.order(linking)).holds == {HoldKind.OPPOSITION}
        assert (await store.order(earlier)).holds == {HoldKind.OPPOSITION}


@pytest.mark.req("SC.DMP/CONF.09.BIS")
async def test_an_opposition_to_one_episode_holds_that_episode(tmp_path: Path) -> None:
    clock = FakeClock()
    async with opened(tmp_path, KEYS, clock) as store:
        inside = await ready(store, clock, 1, kept={"episode": "e-1"})
        outside = await ready(store, clock, 2, kept={"episode": "e-2"})
        silent = await ready(store, clock, 3)
        recorded = await store.record_facts(of_patient(INS), [opposition(True, Care(episode="e-1"))], DOCTOR)

        assert recorded.held_ids == (inside, silent)
        assert (await store.order(outside)).holds == frozenset()
        later = await ready(store, clock, 4, kept={"episode": "e-1"}, fact_version=recorded.version)
        assert (await store.order(later)).holds == {HoldKind.OPPOSITION}
        assert "e-1" not in repr(await store.ledger(0))


@pytest.mark.parametrize("cause", ["trait_changed", "matricule_changed", "merged"])
async def test_a_change_of_identity_holds_what_waits_and_proposes_to_delete_what_is_there(
    tmp_path: Path, cause: str
) -> None:
    clock = FakeClock()
    async with opened(tmp_path, KEYS, clock) as store:
        there = await sent(store, clock, 1)
        waiting = await ready(store, clock, 2)
        stranger = await ready(store, clock, 3, patient=Personal("ins-9"))
        recorded = await store.record_facts(of_patient(INS), [event(cause)], DOCTOR)

        assert recorded.held_ids == (waiting,)
        assert [(order.order_id, order.state) for order in recorded.deletions] == [(there, OrderState.SENT)]
        assert (await store.order(there)).state is OrderState.SENT
        assert (await store.order(waiting)).holds == {HoldKind.IDENTITY}
        assert (await store.order(stranger)).holds == frozenset()
        lines = await store.ledger(0)
        held = next(line for line in lines if line.kind == "order.held")
        assert dict(held.detail) == {"hold": "identity", "cause": cause}
        proposed = [line for line in lines if line.kind == "deletion.proposed"]
        assert [(line.order_id, line.detail) for line in proposed] == [(there, (("cause", cause),))]
        assert "ins-1" not in repr(lines)
        # What is deposited after the change, under facts that know it, may leave.
        later = await ready(store, clock, 4, fact_version=recorded.version)
        status = NewFact(kind=FactKind.IDENTITY_STATUS, value="qualifiée")
        again = await store.record_facts(of_patient(INS), [status], DOCTOR)
        assert (await store.order(later)).holds == frozenset()
        assert again.freed_ids == ()


async def test_a_replaced_version_is_not_proposed_and_a_doubtful_one_is(tmp_path: Path) -> None:
    clock = FakeClock()
    async with opened(tmp_path, KEYS, clock) as store:
        await sent(store, clock, 1)
        replacing = an_acceptance(clock, 2, patient_key=INS, client_ref="doc-1", content=b"%PDF-1.4 deux")
        await store.accept(replacing)
        await store.save_prepared(replacing.order_id, a_build(replacing), frozen(2))
        await store.apply(replacing.order_id, OrderEvent.SEND_NOW, DOCTOR)
        await store.claim("dmp", DOCTORS, clock.now())
        await store.first_byte(replacing.order_id, None)
        await store.apply(replacing.order_id, OrderEvent.DELIVERED, DOCTOR)
        doubtful = await ready(store, clock, 3)
        await store.claim("dmp", DOCTORS, clock.now())
        await store.first_byte(doubtful, None)
        await store.apply(doubtful, OrderEvent.DOUBT, DOCTOR)

        recorded = await store.record_facts(of_patient(INS), [event("merged")], DOCTOR)
        assert [order.order_id for order in recorded.deletions] == [replacing.order_id, doubtful]


@pytest.mark.parametrize(("is_stopped", "proposed"), [(False, 0), (True, 1)])
async def test_one_whose_deletion_is_under_way_is_not_proposed(tmp_path: Path, is_stopped: bool, proposed: int) -> None:
    clock = FakeClock()
    async with opened(tmp_path, KEYS, clock) as store:
        await sent(store, clock, 1)
        deletion = await store.accept_change(a_deletion(clock))
        if is_stopped:
            await store.cancel(deletion.order.order_id, DOCTOR)
        recorded = await store.record_facts(of_patient(INS), [event("merged")], DOCTOR)

    assert len(recorded.deletions) == proposed


async def test_a_former_matricule_gets_the_event_and_is_then_another_person(tmp_path: Path) -> None:
    clock, new = FakeClock(), Personal("ins-2")
    async with opened(tmp_path, KEYS, clock) as store:
        wrong = await ready(store, clock, 1, others=(LOCAL,))
        subject = FactSubject(patient=(new, LOCAL), former=(INS,))
        recorded = await store.record_facts(subject, [event("matricule_changed")], DOCTOR)
        assert recorded.held_ids == (wrong,)
        await store.record_facts(of_patient(INS), [opposition(True)], DOCTOR)

        assert await is_opposed(store, INS)
        assert not await is_opposed(store, new)
        assert not await is_opposed(store, LOCAL)


async def test_a_delegation_withdrawn_holds_what_was_accepted_under_it_and_nothing_else(tmp_path: Path) -> None:
    clock = FakeClock()
    doctor = FactSubject(professional=PROFESSIONAL)
    granted = delegation("ACCUEIL", "11488-4", granted=True)
    async with opened(tmp_path, KEYS, clock) as store:
        relayed = await ready(store, clock, 1, kept={"station": "ACCUEIL", "relayed": True})
        own = await ready(store, clock, 2, kept={"station": "ACCUEIL"})
        elsewhere = await ready(store, clock, 3, kept={"station": "CABINET"})
        assert (await store.order(relayed)).holds == {HoldKind.DELEGATION}
        assert (await store.order(own)).holds == frozenset()
        assert (await store.record_facts(doctor, [granted], DOCTOR)).freed_ids == (relayed,)
        withdrawn = delegation("ACCUEIL", None, granted=False)
        assert (await store.record_facts(doctor, [withdrawn], DOCTOR)).held_ids == (relayed, own)
        assert (await store.order(elsewhere)).holds == frozenset()
        assert (await store.record_facts(doctor, [granted], DOCTOR)).freed_ids == (relayed, own)
        facts = await store.professional_facts(PROFESSIONAL)
        assert [(fact.value, fact.actor) for fact in facts] == [
            ("granted", DOCTOR),
            ("withdrawn", DOCTOR),
            ("granted", DOCTOR),
        ]


async def test_a_fact_that_somebody_changed_in_the_file_objects(tmp_path: Path) -> None:
    clock = FakeClock()
    async with opened(tmp_path, KEYS, clock) as store:
        await store.record_facts(of_patient(INS), [opposition(False)], DOCTOR)
        file = next(path for path in tmp_path.rglob("*") if path.is_file() and path.read_bytes()[:6] == b"SQLite")
        with sqlite3.connect(file) as raw:
            raw.execute('UPDATE facts SET actor = \'["x","",null]\'')
        raw.close()
        assert await is_opposed(store, INS)
        assert (await store.order(await ready(store, clock, 1))).holds >= {HoldKind.OPPOSITION}


# Races


@pytest.mark.req("SC.DMP/CONF.09.BIS")
async def test_an_opposition_between_the_claim_and_the_first_byte_prevents_it(tmp_path: Path) -> None:
    clock = FakeClock()
    async with opened(tmp_path, KEYS, clock) as store:
        order_id = await ready(store, clock, 1)
        assert await store.claim("dmp", DOCTORS, clock.now()) is not None
        recorded = await store.record_facts(of_patient(INS), [opposition(True)], DOCTOR)
        assert recorded.held_ids == (order_id,)
        with pytest.raises(Conflict):
            await store.first_byte(order_id, None)
        assert (await store.order(order_id)).state is OrderState.READY


@pytest.mark.parametrize("told_at", range(0, 8, 2))
async def test_what_is_accepted_in_the_same_instant_as_an_opposition_is_held(tmp_path: Path, told_at: int) -> None:
    """The request was checked before the patient opposed; the acceptance is written with it, before or after it."""
    clock = FakeClock()
    async with opened(tmp_path, KEYS, clock) as store:
        version = await store.fact_version()
        works = [
            store.accept(an_acceptance(clock, number, patient_key=INS, fact_version=version)) for number in range(8)
        ]
        async with asyncio.TaskGroup() as group:
            for number, work in enumerate(works):
                if number == told_at:
                    group.create_task(store.record_facts(of_patient(INS), [opposition(True), event("merged")], DOCTOR))
                group.create_task(work)
        orders = await store.orders(OrderFilter(client_id=ClientId("lgc-1")))
        assert [order.holds for order in orders] == [{HoldKind.OPPOSITION, HoldKind.IDENTITY}] * 8


# The effect of facts is what the guards say from scratch, whatever came before.

_CARES = st.builds(Care, episode=st.none() | st.sampled_from(["e-1", "e-2"]), team=st.none() | st.just("t-1"))
_PATIENTS = st.sampled_from([Personal("ins-1"), Personal("ins-2")])
_LOCALS = st.sampled_from([(), (Personal("local-1"),), (Personal("local-2"),)])
_KEPT = st.fixed_dictionaries(
    {"station": st.sampled_from(["", "A", "B"]), "relayed": st.booleans()},
    optional={"episode": st.sampled_from(["e-1", "e-2"]), "structure": st.sampled_from(["t-1", "t-2"])},
)
_FACTS = st.one_of(
    st.builds(opposition, st.booleans(), _CARES),
    st.builds(lambda granted, care: wish(FactKind.CONSULTATION, granted=granted, care=care), st.booleans(), _CARES),
    st.builds(event, st.sampled_from(["trait_changed", "merged", "status_changed"])),
    st.builds(lambda value: NewFact(kind=FactKind.IDENTITY_STATUS, value=value), st.sampled_from(["qualifiée", "x"])),
)
_STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("accept"), _PATIENTS, _LOCALS, _KEPT),
        st.tuples(st.just("tell"), _PATIENTS, _LOCALS, _FACTS),
        st.tuples(st.just("part"), _PATIENTS, _LOCALS, st.just(event("matricule_changed"))),
        st.tuples(st.just("delegate"), st.sampled_from(["A", "B"]), st.sampled_from([None, "11488-4"]), st.booleans()),
        st.tuples(st.just("claim")),
    ),
    max_size=14,
)


async def _play(steps: list[tuple[object, ...]]) -> None:
    clock = FakeClock()
    with tempfile.TemporaryDirectory() as folder:
        async with opened(Path(folder), KEYS, clock) as store:
            for number, step in enumerate(steps):
                match step:
                    case ("accept", Personal() as patient, tuple() as others, dict() as kept):
                        version = await store.fact_version()
                        await ready(
                            store, clock, number, patient=patient, others=others, kept=kept, fact_version=version
                        )
                    case ("tell", Personal() as patient, tuple() as others, NewFact() as fact):
                        await store.record_facts(of_patient(patient, *others), [fact], DOCTOR)
                    case ("part", Personal() as patient, tuple() as others, NewFact() as fact):
                        subject = FactSubject(patient=others, former=(patient,))
                        await store.record_facts(subject, [fact], DOCTOR)
                    case ("delegate", str() as station, type_code, bool() as granted):
                        code = type_code if isinstance(type_code, str) else None
                        told = [delegation(station, code, granted=granted)]
                        await store.record_facts(FactSubject(professional=PROFESSIONAL), told, DOCTOR)
                    case _:
                        await store.claim("dmp", DOCTORS, clock.now())
            for order in await store.orders(OrderFilter()):
                assert order.state in CAN_BE_HELD
                looked_at = guard_input(
                    order.kind,
                    order.guard_facts,
                    await store.order_facts(order.order_id),
                    accepted_under=order.fact_version,
                    has_product_reference=True,
                )
                assert order.holds == holds_of(examine(looked_at))
                assert order.state is not OrderState.CLAIMED or not order.holds


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(_STEPS)
def test_the_effect_of_facts_is_what_the_guards_say_from_scratch(steps: list[tuple[object, ...]]) -> None:
    asyncio.run(_play(steps))
