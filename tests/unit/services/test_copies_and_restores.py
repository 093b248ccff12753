"""A copied or restored store sends nothing twice, whatever its other self sent, and says what it cannot know."""

from __future__ import annotations

import asyncio
import shutil
from collections import Counter
from pathlib import Path

import pytest

from vaguemestre_agent.adapters.dmp.classification import Sign
from vaguemestre_agent.adapters.system.storelock import only_living_copy
from vaguemestre_agent.adapters.system.witnesses import FileWitness
from vaguemestre_agent.practice.documents import DOCTOR
from vaguemestre_core.changes import ChangeAnswer, DeletionMotive
from vaguemestre_core.errors import Conflict, NotFound
from vaguemestre_core.orders import OrderState
from vaguemestre_core.records import Order
from vaguemestre_queue.opening import Surroundings, adopt_copy
from vaguemestre_testkit.clocks import FakeClock, NoFailpoints
from vaguemestre_testkit.orders import test_keys
from vaguemestre_testkit.practice_kit import PATIENCE_S, SECRETARY, Office, office
from vaguemestre_testkit.scripted_dmp import ScriptedDmp, Step

S = OrderState
KEYS = test_keys()


def around(folder: Path, machine: str = "a") -> Surroundings:
    """Return the surroundings of a machine whose configuration folder is that one."""
    return Surroundings(machine=("", machine), witnesses=(FileWitness(folder),))


async def settled(practice: Office, orders: list[Order], *, rest: OrderState = S.SENT) -> list[OrderState]:
    """Let twenty minutes pass at least with the doctor's session open, until the orders are all there."""
    async with practice.at_work(), asyncio.timeout(PATIENCE_S):
        end = practice.clock.boot_s() + 1200.0
        while True:
            if practice.sessions.session_for(DOCTOR, practice.client) is None:
                await practice.adopt()  # the doctor comes back
            practice.clock.advance(20.0)
            for _ in range(5):
                await practice.real.last_line()
            states = [(await practice.now(order)).state for order in orders]
            asked = rest is not S.IN_DOUBT or all([await was_asked_about(practice, order) for order in orders])
            if practice.clock.boot_s() > end and set(states) == {rest} and asked:
                return states


async def was_asked_about(practice: Office, order: Order) -> bool:
    """Say whether the service was asked what became of an order."""
    return "order.looked_up" in await practice.kinds(order)


async def deposits(practice: Office) -> list[Order]:
    """Leave one order in each state that may leave: not built, deferred, ready."""
    unbuilt = await practice.deposit("unbuilt", patient=0)
    deferred = await practice.deposit("deferred", patient=1)
    await practice.preparation.prepare(deferred)
    ready = await practice.ready("ready", patient=1)
    return [unbuilt, deferred, ready]


@pytest.mark.parametrize("sent_meanwhile", [True, False], ids=["sent_meanwhile", "nothing_left"])
async def test_an_older_folder_put_back_sends_nothing_twice(tmp_path: Path, sent_meanwhile: bool) -> None:
    state, kept, config = tmp_path / "state", tmp_path / "kept", tmp_path / "config"
    clock, dmp = FakeClock(), ScriptedDmp()
    async with office(state, clock=clock, keys=KEYS, dmp=dmp, surroundings=around(config)) as practice:
        orders = await deposits(practice)
    shutil.copytree(state, kept)
    async with office(state, clock=clock, keys=KEYS, dmp=dmp, surroundings=around(config), seed=2) as practice:
        if sent_meanwhile:
            assert await settled(practice, orders) == [S.SENT] * 3
            await practice.deposit("after the copy", patient=0)
    for file in kept.iterdir():
        (state / file.name).write_bytes(file.read_bytes())  # in place, markers included
    async with office(state, clock=clock, keys=KEYS, dmp=dmp, surroundings=around(config), seed=3) as practice:
        assert practice.store.recovery.incarnated == 3
        assert practice.store.recovery.copied_at is None
        assert [(await practice.now(order)).state for order in orders] == [S.IN_DOUBT] * 3
        assert await settled(practice, orders) == [S.SENT] * 3
        answers = await practice.backend.reconcile(practice.client, ["ready", "after the copy"])
        with pytest.raises(NotFound, match="DOCUMENT_UNKNOWN_SINCE_RESTORE"):
            await practice.backend.document_orders(practice.client, "after the copy")

    assert answers == {"ready": "sent", "after the copy": "unknown_since_restore"}
    assert max(Counter(dmp.complete_bodies).values()) == 1


@pytest.mark.parametrize("machine", ["a", "b"], ids=["same_machine", "other_machine"])
@pytest.mark.parametrize("original_sends", [True, False], ids=["alive", "dead"])
async def test_a_copy_sends_nothing_that_its_original_may_send_until_a_person_says_so(
    tmp_path: Path, machine: str, original_sends: bool
) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    clock, dmp = FakeClock(), ScriptedDmp()
    copy = around(second / "config", machine)
    async with office(first / "state", clock=clock, keys=KEYS, dmp=dmp, surroundings=around(first)) as original:
        orders = await deposits(original)
        shutil.copytree(first, second)  # while it runs, with its marker and its witness
        async with office(second / "state", clock=clock, keys=KEYS, dmp=dmp, surroundings=copy, seed=2) as practice:
            # It asks, is told "unknown there", and keeps its doubt: the original may be about to send.
            assert await settled(practice, orders, rest=S.IN_DOUBT) == [S.IN_DOUBT] * 3
            assert {kind for order in orders for kind in await practice.kinds(order)} >= {"order.looked_up"}
            assert dmp.complete_bodies == []
        if original_sends:
            assert await settled(original, orders) == [S.SENT] * 3
    # Opened again, it is the same copy: what its original sent is found, the rest waits for a person.
    async with office(second / "state", clock=clock, keys=KEYS, dmp=dmp, surroundings=copy, seed=3) as practice:
        assert practice.store.recovery.incarnated == 0
        assert practice.store.recovery.copied_at is not None
        rest = S.SENT if original_sends else S.IN_DOUBT
        assert await settled(practice, orders, rest=rest) == [rest] * 3
    assert adopt_copy(second / "state", KEYS, clock, NoFailpoints(), copy, only_living_copy)
    assert not adopt_copy(second / "state", KEYS, clock, NoFailpoints(), copy, only_living_copy)
    async with office(second / "state", clock=clock, keys=KEYS, dmp=dmp, surroundings=copy, seed=4) as practice:
        assert await settled(practice, orders) == [S.SENT] * 3

    assert sorted(Counter(dmp.complete_bodies).values()) == [1, 1, 1]


async def test_a_copy_is_not_adopted_while_its_original_lives_here(tmp_path: Path) -> None:
    clock = FakeClock()
    async with office(tmp_path / "first", clock=clock, keys=KEYS) as original:
        shutil.copytree(tmp_path / "first", tmp_path / "second")
        with (
            only_living_copy(original.real.store_id),  # type: ignore[attr-defined]  # the real store behind the port
            pytest.raises(Conflict, match="STORE_RUNS_ELSEWHERE"),
        ):
            adopt_copy(tmp_path / "second", KEYS, clock, NoFailpoints(), Surroundings(), only_living_copy)
    assert adopt_copy(tmp_path / "second", KEYS, clock, NoFailpoints(), Surroundings(), only_living_copy)


async def test_a_moved_folder_goes_on_and_an_original_knows_its_adopted_copy(tmp_path: Path) -> None:
    clock, config = FakeClock(), tmp_path / "config"  # as the system's key store: one memory for both folders
    async with office(tmp_path / "first", clock=clock, keys=KEYS, surroundings=around(config)) as practice:
        order = await practice.deposit()
    (tmp_path / "first").rename(tmp_path / "moved")
    async with office(tmp_path / "moved", clock=clock, keys=KEYS, surroundings=around(config), seed=2) as practice:
        assert (practice.store.recovery.incarnated, (await practice.now(order)).state) == (0, S.PREPARING)
    shutil.copytree(tmp_path / "moved", tmp_path / "copy")
    assert adopt_copy(tmp_path / "copy", KEYS, clock, NoFailpoints(), around(config), only_living_copy)
    async with office(tmp_path / "moved", clock=clock, keys=KEYS, surroundings=around(config), seed=3) as practice:
        assert practice.store.recovery.copied_at is not None


async def test_what_never_left_as_itself_is_not_doubted(tmp_path: Path) -> None:
    clock = FakeClock()
    async with office(tmp_path / "first", clock=clock, keys=KEYS) as practice:
        order = await practice.deposit(body=b"not a pdf")
        await practice.preparation.prepare(order)
    shutil.copytree(tmp_path / "first", tmp_path / "second")
    async with office(tmp_path / "second", clock=clock, keys=KEYS, seed=2) as practice:
        assert practice.store.recovery.copied_at is not None
        assert (await practice.now(order)).state is S.PREPARATION_FAILED


async def test_a_document_given_to_a_copy_after_it_was_recognised_leaves(tmp_path: Path) -> None:
    clock, dmp = FakeClock(), ScriptedDmp()
    async with office(tmp_path / "first", clock=clock, keys=KEYS):
        pass
    shutil.copytree(tmp_path / "first", tmp_path / "second")
    async with office(tmp_path / "second", clock=clock, keys=KEYS, dmp=dmp, seed=2) as practice:
        clock.advance(1.0)
        order = await practice.deposit()
        assert await settled(practice, [order]) == [S.SENT]


@pytest.mark.parametrize("arrives", [True, False])
async def test_a_deletion_that_named_no_version_before_the_restore_is_asked_again(
    tmp_path: Path, arrives: bool
) -> None:
    state, kept, config = tmp_path / "state", tmp_path / "kept", tmp_path / "config"
    clock, dmp = FakeClock(), ScriptedDmp()
    dmp.submissions.append(Step(sign=Sign.CUT, stores=arrives))
    async with office(state, clock=clock, keys=KEYS, dmp=dmp, surroundings=around(config)) as practice:
        document = await practice.claimed("cr-1")
        await practice.dispatch.send(document)
        answer = await practice.backend.delete_document(
            practice.client, "cr-1", DeletionMotive.FEEDING_ERROR, SECRETARY, None
        )
        assert answer.answer is ChangeAnswer.WAITS
    shutil.copytree(state, kept)
    async with office(state, clock=clock, keys=KEYS, dmp=dmp, surroundings=around(config), seed=2) as practice:
        rest = S.SENT if arrives else S.CANCELLED
        await settled(practice, [document, answer.order], rest=rest)
    for file in kept.iterdir():
        (state / file.name).write_bytes(file.read_bytes())
    async with office(state, clock=clock, keys=KEYS, dmp=dmp, surroundings=around(config), seed=3) as practice:
        assert (await practice.now(answer.order)).state is S.IN_DOUBT
        await settled(practice, [document, answer.order], rest=rest)

    assert len(dmp.complete_bodies) == int(arrives)
    assert len(dmp.complete_changes) == int(arrives)


@pytest.mark.parametrize("deletes", [True, False], ids=["deletion", "visibility"])
async def test_what_was_found_without_having_been_built_here_can_be_changed(tmp_path: Path, deletes: bool) -> None:
    state, kept, config = tmp_path / "state", tmp_path / "kept", tmp_path / "config"
    clock, dmp = FakeClock(), ScriptedDmp()
    async with office(state, clock=clock, keys=KEYS, dmp=dmp, surroundings=around(config)) as practice:
        order = await practice.deposit("cr-1", change={"visibility": ["INVISIBLE_PATIENT"]})
    shutil.copytree(state, kept)
    async with office(state, clock=clock, keys=KEYS, dmp=dmp, surroundings=around(config), seed=2) as practice:
        await settled(practice, [order])
    for file in kept.iterdir():
        (state / file.name).write_bytes(file.read_bytes())
    async with office(state, clock=clock, keys=KEYS, dmp=dmp, surroundings=around(config), seed=3) as practice:
        assert await settled(practice, [order]) == [S.SENT]
        if deletes:
            asked = await practice.backend.delete_document(
                practice.client, "cr-1", DeletionMotive.FEEDING_ERROR, SECRETARY, None
            )
        else:
            asked = await practice.backend.set_visibility(practice.client, "cr-1", frozenset(), SECRETARY, None)
        await settled(practice, [asked.order])

    assert len(dmp.complete_bodies) == 1
    assert len(dmp.complete_changes) == 1
