"""Deposits, deletions and changes of visibility in any order and any state, judged by what a service really holds.

Nothing here knows what state an order should be in: what leaves is judged at its first byte, and when everything has
come to its end the service must hold what was wished last.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, precondition, rule, run_state_machine_as_test

from vaguemestre_core.changes import CHANGES, ChangeAccepted, ChangeAnswer, ChangeRequest
from vaguemestre_core.errors import Conflict, VaguemestreError
from vaguemestre_core.orders import (
    CANCEL_ASKED_ONLY,
    TERMINAL,
    HoldKind,
    OrderEvent,
    OrderId,
    OrderKind,
    OrderState,
)
from vaguemestre_core.ports import PreparedBuild
from vaguemestre_core.records import AGENT_ACTOR, CancelAnswer, Order, OrderFilter, OrderPatch
from vaguemestre_queue import changing, relations, transitions
from vaguemestre_queue.rows import Row
from vaguemestre_testkit.changes import a_deletion, a_showing
from vaguemestre_testkit.orders import DOCTOR, PROFESSIONAL, QUALIFIED, an_acceptance, frozen, rights
from vaguemestre_testkit.queue_model import StoreBesideModel
from vaguemestre_testkit.service_truth import Truth, Wish

ANY = st.integers(0, 10_000)
REFERENCES = st.sampled_from((1, 1, 1, 2))
SELDOM = st.sampled_from((False, False, False, True))
CODES = st.sampled_from(((), ("INVISIBLE_PATIENT",), ("MASQUE_PS",)))
S, E, K = OrderState, OrderEvent, OrderKind
OPEN_OUTSIDE = CANCEL_ASKED_ONLY  # it left, or may have: only a verdict ends it
ROUNDS = 60  # far more than any wish needs to come to its end
UNDECIDED = frozenset({S.REJECTED})  # a person looks


class Beginning(NamedTuple):
    """How a day begins: a version at the service or not, one in doubt or none, and a change of them or none."""

    is_there: bool = False
    arrives: bool | None = None
    then: OrderKind | None = None


BEGINNINGS = (
    Beginning(),
    Beginning(is_there=True, then=K.DMP_VISIBILITY),
    Beginning(is_there=True, then=K.DMP_DELETE),
    Beginning(arrives=False, then=K.DMP_VISIBILITY),
    Beginning(is_there=True, arrives=True, then=K.DMP_DELETE),
)


class ChangingMachine(StoreBesideModel):
    """A store and the truth of the service."""

    beginning = Beginning()

    @initialize()
    def begin(self) -> None:
        is_there, arrives, then = self.beginning
        self.open()
        self.truth = Truth()
        self.wishes: dict[str, Wish] = {}
        self.contents: dict[OrderId, bytes] = {}
        self.seq: dict[OrderId, int] = {}
        self.asked: list[tuple[ChangeRequest, ChangeAccepted]] = []
        self.number = 0
        if is_there:
            self.put(1, 0, ("INVISIBLE_PATIENT",), keyed=False)
            self.settle(0)
        if arrives is not None:
            self.put(1, 1, ("INVISIBLE_PATIENT",), keyed=False)
            self.fall_in_doubt(0, arrives=arrives)
        if then is K.DMP_DELETE:
            self.delete(1)
        elif then is K.DMP_VISIBILITY:
            self.show(1, ())

    def teardown(self) -> None:
        """End each day by letting everything come to its end."""
        try:
            self.settle(0)
        finally:
            super().teardown()

    def all(self) -> list[Order]:
        """Return the orders, oldest first."""
        return sorted(self.run(self.store.orders(OrderFilter(limit=1000))), key=lambda order: self.seq[order.order_id])

    def of(self, client_ref: str) -> list[Order]:
        return [order for order in self.all() if order.client_ref == client_ref]

    def one(self, number: int, *states: OrderState) -> Order | None:
        found = [order for order in self.all() if order.state in states]
        return found[number % len(found)] if found else None

    def unsure(self, order: Order) -> None:
        """A person or the service made a wish void: what shall be there is no longer said."""
        self.wishes[order.client_ref] = replace(self.wishes[order.client_ref], is_sure=False)

    # Wishes

    @rule(reference=REFERENCES, content=st.integers(0, 1), codes=CODES, keyed=st.booleans())
    def put(self, reference: int, content: int, codes: tuple[str, ...], *, keyed: bool) -> None:
        self.number += 1
        made = an_acceptance(
            self.clock,
            self.number,
            content=b"content-%d" % content + ",".join(codes).encode(),
            client_ref=f"doc-{reference}",
            idempotency_key=f"put-{self.number}" if keyed else None,
            facts=json.dumps({**json.loads(QUALIFIED), "visibility": sorted(codes)}),
            patient_key=an_acceptance(self.clock, reference).patient_key,
        )
        accepted = self.run(self.store.accept(made))
        if accepted.replayed:
            return  # the same wish again
        self.seq[made.order_id] = len(self.seq)
        self.contents[made.order_id] = made.body
        self.wishes[made.client_ref] = Wish(content=made.body, codes=frozenset(codes))

    def ask(self, request: ChangeRequest) -> ChangeAccepted | str:
        try:
            accepted = self.run(self.store.accept_change(request))
        except Conflict as error:
            return error.code
        self.asked.append((request, accepted))
        if accepted.order.order_id == request.order_id:
            self.seq[request.order_id] = len(self.seq)
        else:
            assert accepted.replayed or accepted.stopped
        return accepted

    @rule(reference=REFERENCES)
    def delete(self, reference: int) -> None:
        client_ref = f"doc-{reference}"
        wished = self.wishes.get(client_ref)
        if wished is None:
            return
        self.number += 1
        key = f"delete-{self.number}"
        answer = self.ask(replace(a_deletion(self.clock, key, client_ref), idempotency_key=key))
        if isinstance(answer, str):
            # Nothing is there, and nothing that is wished could come.
            assert answer == "DOCUMENT_NOT_THERE"
            assert self.truth.present(client_ref) is None
            assert not wished.is_sure or wished.content is None
            return
        self.wishes[client_ref] = Wish(content=None)
        if answer.answer in {ChangeAnswer.DONE, ChangeAnswer.STOPPED}:
            assert self.truth.present(client_ref) is None, "it said so, and it is there"
            assert all(order.state in TERMINAL for order in self.of(client_ref) if order.kind not in CHANGES)
        else:
            assert answer.order.kind is K.DMP_DELETE

    @rule(reference=REFERENCES, codes=CODES)
    def show(self, reference: int, codes: tuple[str, ...]) -> None:
        client_ref = f"doc-{reference}"
        wished = self.wishes.get(client_ref)
        if wished is None:
            return
        self.number += 1
        key = f"show-{self.number}"
        request = a_showing(self.clock, *codes, order_id=key, client_ref=client_ref)
        answer = self.ask(replace(request, idempotency_key=key))
        if isinstance(answer, str):
            if answer == "DMP_CANNOT_HIDE_AGAIN":
                there = self.truth.present(client_ref)
                assert there is not None
                assert "INVISIBLE_PATIENT" in set(codes) - there.codes
            else:
                assert answer in {"DELETION_UNDER_WAY", "DOCUMENT_NOT_THERE"}
                assert not wished.is_sure or wished.content is None
            return
        assert not wished.is_sure or wished.content is not None, "what is deleted was shown"
        self.wishes[client_ref] = replace(wished, codes=frozenset(codes))
        if answer.answer is ChangeAnswer.CORRECTED:
            origin = answer.stopped[-1] if answer.stopped else answer.order.order_id
            self.contents[answer.order.order_id] = self.run(self.store.body(answer.order.order_id)).body
            assert origin not in self.contents or self.contents[origin] == self.contents[answer.order.order_id]
        if answer.answer is ChangeAnswer.DONE:
            there = self.truth.present(client_ref)
            assert there is not None
            assert there.codes == frozenset(codes)

    @precondition(lambda self: self.asked)
    @rule(number=ANY)
    def repeat(self, number: int) -> None:
        """A request given again with its key changes nothing and finds the same order."""
        request, first = self.asked[number % len(self.asked)]
        before = self.all()
        again = self.run(self.store.accept_change(request))
        assert (again.replayed, again.order.order_id) == (True, first.order.order_id)
        assert self.all() == before

    @rule(number=ANY, is_meant=SELDOM)
    def cancel(self, number: int, *, is_meant: bool) -> None:
        order = self.one(number, *(set(S) - TERMINAL)) if is_meant else None
        if order is not None:
            answer, _ = self.run(self.store.cancel(order.order_id, DOCTOR))
            assert answer is not CancelAnswer.TOO_LATE
            self.unsure(order)

    @rule(number=ANY, kept=SELDOM)
    def hold(self, number: int, *, kept: bool) -> None:
        order = self.one(number, S.PREPARING, S.DEFERRED, S.READY, S.CLAIMED)
        if order is not None and kept:
            self.run(self.store.put_hold(order.order_id, HoldKind.PERSON, DOCTOR, "person"))
        elif order is not None:
            self.run(self.store.lift_hold(order.order_id, HoldKind.PERSON, DOCTOR, "person"))

    # Work of the agent

    @rule(far=st.integers(1, 5), number=ANY, arrives=st.booleans(), is_told=st.booleans(), is_refused=st.booleans())
    def work(self, far: int, number: int, *, arrives: bool, is_told: bool, is_refused: bool) -> None:
        """Bring what may move as far as that: prepared, due, claimed, on the wire, told or doubted."""
        steps = (
            self.prepare,
            lambda: self.time_passes(1000),
            self.claim,
            lambda: self.leave(number, arrives=arrives),
            lambda: self.answer(number, is_told=is_told, is_refused=is_refused),
        )
        for step in steps[:far]:
            step()

    @rule(number=ANY, arrives=st.booleans())
    def fall_in_doubt(self, number: int, *, arrives: bool) -> None:
        self.work(4, number, arrives=arrives, is_told=False, is_refused=False)
        self.answer(number, is_told=False, is_refused=False)

    def prepare(self) -> None:
        for order in self.run(self.store.preparing(100)):
            if order.kind in CHANGES:
                patch = OrderPatch(frozen_ids=frozen(self.seq[order.order_id]))
                self.run(self.store.apply(order.order_id, E.PREPARED, AGENT_ACTOR, patch=patch))
                continue
            given = self.run(self.store.body(order.order_id)).body
            self.contents[order.order_id] = given
            build = PreparedBuild(
                prepared=b"built:" + given,
                type_code=order.type_code,
                unique_id=order.unique_id,
                set_id=order.set_id,
                version=order.version,
            )
            self.run(self.store.save_prepared(order.order_id, build, frozen(self.seq[order.order_id])))

    def time_passes(self, seconds: int) -> None:
        self.clock.advance(seconds)
        self.run(self.store.due(self.clock.now(), self.clock.boot_s(), self.clock.boot_id(), 100))

    def claim(self) -> None:
        self.run(self.store.claim("dmp", rights(PROFESSIONAL), self.clock.now()))

    def leave(self, number: int, *, arrives: bool) -> None:
        """Let a claimed order leave; its body arrives whole or not at all."""
        order = self.one(number, S.CLAIMED)
        if order is None or HoldKind.PERSON in order.holds:
            return
        self.must_be_allowed_to_leave(order)
        if order.kind in CHANGES and self.truth.is_done(order):
            self.run(self.store.apply(order.order_id, E.ALREADY_SO, AGENT_ACTOR))
        elif self.truth.would_refuse(order):
            self.run(self.store.apply(order.order_id, E.REFUSED, AGENT_ACTOR))
            self.unsure(order)
        else:
            self.run(self.store.first_byte(order.order_id, None))
            if arrives:
                self.truth.receive(order, self.contents.get(order.order_id))

    def must_be_allowed_to_leave(self, order: Order) -> None:
        """Judge an order at its first byte, by the other orders and by the truth."""
        others = [other for other in self.of(order.client_ref) if other.order_id != order.order_id]
        earlier = [other for other in others if self.seq[other.order_id] < self.seq[order.order_id]]
        later = [other for other in others if self.seq[other.order_id] > self.seq[order.order_id]]
        assert all(other.state in TERMINAL for other in earlier), "its lane is not kept"
        assert all(other.state in TERMINAL for other in later), "it is not what was wished last"
        assert not any(other.state in OPEN_OUTSIDE for other in others), "something of it may be on its way"
        if order.kind is K.DMP_SUBMIT:
            assert order.predecessor is None
            assert self.truth.present(order.client_ref) is None, "it is there already"
            return
        before = next((other for other in others if other.order_id == order.predecessor), None)
        assert before is not None, "it names nothing"
        assert before.state is S.SENT, "what it names is not proved"
        assert before.unique_id == order.predecessor_unique_id
        self.truth.named(order)  # neither deleted nor replaced since

    def answer(self, number: int, *, is_told: bool, is_refused: bool) -> None:
        """Tell truly what became of a body, or nothing at all."""
        order = self.one(number, S.SENDING)
        if order is None:
            return
        event = E.DOUBT
        if is_told and order.order_id in self.truth.arrivals:
            event = E.DELIVERED
        elif is_told:
            event = E.REFUSED if is_refused else E.NOT_SENT
        patch = OrderPatch(doubt_since=self.clock.now()) if event is E.DOUBT else None
        after = self.run(self.store.apply(order.order_id, event, AGENT_ACTOR, patch=patch))
        if event is E.REFUSED and after.state is S.REJECTED:
            self.unsure(order)

    @rule(number=ANY)
    def verdict(self, number: int) -> None:
        """Look up truly what became of a body in doubt."""
        order = self.one(number, S.IN_DOUBT)
        if order is not None:
            event = E.FOUND_THERE if self.truth.is_done(order) else E.UNKNOWN_THERE
            self.run(self.store.apply(order.order_id, event, AGENT_ACTOR))

    @rule(clean=st.booleans())
    def restart(self, *, clean: bool) -> None:
        """Stop, or be killed, with something on its way."""
        if self.one(0, S.CLAIMED, S.SENDING) is None:
            return
        self.stop_and_open(clean=clean)
        assert self.store.recovery.incarnated == 0

    @rule(now=st.integers(0, 1))
    def settle(self, now: int) -> None:
        """Now and then, let everything come to its end: the service then holds what was wished last."""
        if now > 0:
            return
        for _ in range(ROUNDS):
            for order in self.all():
                if HoldKind.PERSON in order.holds and order.state not in TERMINAL:
                    self.run(self.store.lift_hold(order.order_id, HoldKind.PERSON, DOCTOR, "person"))
            if all(order.state in TERMINAL | UNDECIDED for order in self.all()):
                break
            self.prepare()
            self.time_passes(1000)
            self.claim()
            self.leave(0, arrives=True)
            self.answer(0, is_told=True, is_refused=False)
            self.verdict(0)
        for client_ref, wished in self.wishes.items():
            states = {order.order_id: order.state for order in self.of(client_ref)}
            assert set(states.values()) <= TERMINAL | UNDECIDED, "it never comes to its end"
            if wished.is_sure:
                there = self.truth.present(client_ref)
                assert (None if there is None else there.content) == wished.content
                assert there is None or there.codes == wished.codes

    @invariant()
    def what_is_said_to_be_sent_is_there_and_nothing_arrived_twice(self) -> None:
        for order in self.all():
            assert self.truth.arrivals.get(order.order_id, 0) <= 1
            if order.state is S.SENT and order.kind not in CHANGES:
                assert order.unique_id in self.truth.entries
                assert self.truth.entries[order.unique_id].content == self.contents[order.order_id]
            if order.state in {S.CANCELLED, S.SUPERSEDED}:
                assert order.order_id not in self.truth.arrivals, "stopped, and it arrived"


Step = Callable[[ChangingMachine], None]
SETTINGS = settings(
    # An event loop in wine turns slowly: six examples of forty steps took more than 400 s on a loaded machine.
    max_examples=30 if sys.platform != "win32" else 3,
    stateful_step_count=40 if sys.platform != "win32" else 20,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
    phases=(Phase.generate, Phase.shrink),
)


@pytest.mark.slow
@pytest.mark.req("SC.DMP/CONF.03", "SC.DMP/UX.51", "DMP/va1.16")
@pytest.mark.parametrize("beginning", BEGINNINGS)
def test_the_service_holds_what_was_wished_last_and_nothing_leaves_too_early(beginning: Beginning) -> None:
    run_state_machine_as_test(beginning_with(beginning), settings=SETTINGS)


def beginning_with(beginning: Beginning) -> type[ChangingMachine]:
    """Return the machine whose days all begin so."""
    return type("Machine", (ChangingMachine,), {"beginning": beginning})


@pytest.mark.parametrize("oldest_first", [True, False])
@pytest.mark.parametrize("arrived", [False, True])
def test_a_change_takes_over_the_version_that_was_wished_last(arrived: bool, oldest_first: bool) -> None:
    """Two versions and a change, all in doubt because the store was restored; the earlier version never arrived."""

    def restored(day: ChangingMachine) -> None:
        for order in day.all():
            if order.state is S.PREPARING:
                day.run(day.store.apply(order.order_id, E.INCARNATED, AGENT_ACTOR))

    def verdicts(day: ChangingMachine) -> None:
        second = day.all()[1]
        if arrived:  # in the life that the restored store does not remember
            day.truth.receive(replace(second, kind=K.DMP_SUBMIT), day.contents[second.order_id])
        doubtful = [order for order in day.all() if order.state is S.IN_DOUBT]
        for order in doubtful if oldest_first else reversed(doubtful):
            now = day.run(day.store.order(order.order_id))  # an earlier verdict may have changed it
            unknown = E.UNKNOWN_THERE if now.frozen_ids is not None else E.UNKNOWN_THERE_UNPREPARED
            event = E.FOUND_THERE if order.unique_id in day.truth.entries else unknown
            day.run(day.store.apply(order.order_id, event, AGENT_ACTOR))

    live(
        Beginning(arrives=False),
        lambda day: day.put(1, 1, (), keyed=False),
        restored,
        lambda day: day.show(1, ("MASQUE_PS",)),
        restored,
        verdicts,
        lambda day: day.settle(0),
    )


def test_the_machine_sees_a_change_linked_before_a_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    day = (Beginning(is_there=True, arrives=True), lambda day: day.delete(1))
    must_see(day, lambda: monkeypatch.setattr(relations, "IS_FREE", "1"))


def test_the_machine_sees_a_deletion_that_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    real = relations.standing

    def forgetful(orders: Sequence[Row]) -> relations.Standing:
        return real([row for row in orders if row["kind"] != K.DMP_DELETE or row["state"] != S.SENT])

    day = (
        Beginning(is_there=True, then=K.DMP_DELETE),
        lambda day: day.settle(0),
        lambda day: day.put(1, 0, (), keyed=False),
    )
    must_see(day, lambda: monkeypatch.setattr(relations, "standing", forgetful))


def test_the_machine_sees_a_version_that_ignores_its_deletion(monkeypatch: pytest.MonkeyPatch) -> None:
    day = (Beginning(arrives=False), lambda day: day.delete(1), lambda day: day.verdict(0), lambda day: day.claim())
    must_see(day, lambda: monkeypatch.setattr(transitions, "_newer_wish", lambda *_: None))


def test_the_machine_sees_a_doubt_taken_for_an_absence(monkeypatch: pytest.MonkeyPatch) -> None:
    day = (Beginning(arrives=True), lambda day: day.delete(1))
    must_see(day, lambda: monkeypatch.setattr(changing._Work, "_away", lambda _: None))


def live(beginning: Beginning, *steps: Step) -> None:
    """Live one written day until everything has come to its end."""
    day = beginning_with(beginning)()
    try:
        day.begin()
        for step in steps:
            step(day)
            day.what_is_said_to_be_sent_is_there_and_nothing_arrived_twice()
    finally:
        day.teardown()


def must_see(day: tuple[Beginning, *tuple[Step, ...]], break_it: Callable[[], None]) -> None:
    """Say that this day goes well, and that the machine finds it wrong once the store is broken."""
    live(*day)
    break_it()
    with pytest.raises((AssertionError, VaguemestreError)):
        live(*day)
