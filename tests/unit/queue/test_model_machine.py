"""The store against a dictionary: whatever is asked in whatever order, both must say the same.

The model is small on purpose: it knows the table of transitions, holds, lanes and clocks, and nothing of SQL.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from vaguemestre_core.errors import Conflict, VaguemestreError
from vaguemestre_core.facts import FactKind, of_patient, opposition, view_of
from vaguemestre_core.orders import (
    ASKED_NOW,
    CANCEL_ASKED_ONLY,
    TERMINAL,
    TRANSITIONS,
    ClientId,
    HoldKind,
    OrderEvent,
    OrderKind,
    OrderState,
    can,
)
from vaguemestre_core.records import Accepted, CancelAnswer, OrderFilter, OrderPatch
from vaguemestre_core.redaction import Personal
from vaguemestre_queue import acceptance as accepting
from vaguemestre_queue import rows, scheduling, transitions
from vaguemestre_testkit.orders import DOCTOR, a_build, an_acceptance, frozen, rights
from vaguemestre_testkit.queue_model import PROFESSIONALS, Expected, StoreBesideModel, patient_of, set_of

REFERENCES = st.integers(0, 3)
ANY = st.integers(0, 10_000)
S, E = OrderState, OrderEvent
# Events that the store applies by itself, with more than a transition.
_OWN = frozenset(
    {E.ACCEPTED, E.PREPARED, E.RESTARTED, E.INCARNATED, E.SUPERSEDE, E.CLAIM, E.FIRST_BYTE, E.DUE, E.PREDECESSOR_GONE}
)


class QueueMachine(StoreBesideModel):
    """Store and model side by side."""

    @initialize(ready=st.integers(0, 4))
    def begin(self, ready: int) -> None:
        """Begin a day with some orders that may leave."""
        self.open()
        for reference in range(4):
            self.accept_until_ready(reference, reference < ready)

    # Accepting

    @rule(reference=REFERENCES, content=st.integers(0, 2), key=st.none() | st.integers(0, 5))
    def accept(self, reference: int, content: int, key: int | None) -> None:
        made = self.acceptance(reference, content, key)
        expected = self.expect_accepted(made, reference)
        try:
            accepted: Accepted | str = self.run(self.store.accept(made))
        except Conflict as error:
            accepted = error.code
        if isinstance(accepted, str):
            assert accepted == expected
            return
        if made.idempotency_key is not None:
            self.keys[made.idempotency_key] = (made.request_digest, accepted.order.order_id)
        if expected is not None:
            assert (accepted.replayed, accepted.order.order_id) == (True, expected)
            return
        assert (accepted.replayed, accepted.order.order_id) == (False, made.order_id)
        self.orders.append(
            Expected(
                order_id=made.order_id,
                seq=len(self.orders),
                reference=reference,
                digest=made.request_digest,
                patient=patient_of(reference),
                holds={HoldKind.OPPOSITION} if patient_of(reference) in self.opposed else set(),
                lane=(patient_of(reference), set_of(reference)),
                professional=made.professional,
                not_before=made.schedule.not_before,
                undo_until=made.schedule.undo_until,
                undo_s=made.schedule.undo_s,
                undo_boot_s=self.clock.boot_s() + made.schedule.undo_s,
                boot_id=self.clock.boot_id(),
                between_patients=made.schedule.between_patients,
                unique_id=made.unique_id,
            )
        )

    @rule(number=ANY)
    def prepare(self, number: int) -> None:
        waiting = self.run(self.store.preparing(100))
        now = self.clock.now()
        assert {order.order_id for order in waiting} == {
            order.order_id
            for order in self.orders
            if self.may_be_prepared(order) and (order.next_attempt is None or order.next_attempt <= now)
        }
        found = [order for order in self.orders if self.may_be_prepared(order)]
        if found:
            self.save_prepared(found[number % len(found)])

    def save_prepared(self, order: Expected) -> None:
        made = an_acceptance(self.clock, order.seq + 1, content=b"x")
        self.run(self.store.preparing(100))
        linked, there = self.run(self.store.order(order.order_id)), self.there_before(order)
        if order.next_attempt is None or order.next_attempt <= self.clock.now():
            assert linked.predecessor == (None if there is None else there.order_id)
            assert linked.predecessor_unique_id == (None if there is None else there.unique_id)
            assert linked.kind is (OrderKind.DMP_SUBMIT if there is None else OrderKind.DMP_REPLACE)
            sent = [other.version for other in self.earlier(order) if other.state is S.SENT]
            assert linked.version == max(sent, default=0) + 1
        order.version = linked.version
        build = replace(a_build(made), unique_id=order.unique_id, set_id=order.lane[1], version=order.version)
        self.run(self.store.save_prepared(order.order_id, build, frozen(order.seq)))
        order.state, order.next_attempt = S.DEFERRED, None
        body = self.run(self.store.body(order.order_id))
        assert hashlib.sha256(body.body).hexdigest() == order.digest

    @rule(reference=REFERENCES, now=st.booleans())
    def accept_until_ready(self, reference: int, now: bool) -> None:
        """Bring a document's order quickly to DEFERRED or READY, where most of the life begins."""
        if self.latest(reference) is None:
            self.accept(reference, 0, None)
        order = self.latest(reference)
        assert order is not None
        if self.may_be_prepared(order):
            self.save_prepared(order)
        if order.state is S.DEFERRED and now:
            self.apply(order, E.SEND_NOW)

    # Any event on any order

    def apply(self, order: Expected, event: OrderEvent, patch: OrderPatch | None = None) -> bool:
        expected = self.after(order, event)
        try:
            after = self.run(self.store.apply(order.order_id, event, DOCTOR, patch=patch))
        except Conflict as error:
            self.must_be(error.code == "TRANSITION_ILLEGAL" and expected is None)
            return False
        assert after.state is expected
        order.state = after.state
        order.asked_now |= event in ASKED_NOW
        return True

    @rule(number=ANY, event=st.sampled_from(sorted(set(E) - _OWN)))
    def any_event(self, number: int, event: OrderEvent) -> None:
        order = self.pick(number)
        if order is not None:
            self.apply(order, event)

    @rule(number=ANY, event=st.sampled_from((E.DELIVERED, E.REFUSED, E.NOT_SENT, E.DOUBT)), wait_s=st.integers(0, 900))
    def outcome(self, number: int, event: OrderEvent, wait_s: int) -> None:
        order = self.pick(number, S.SENDING)
        if order is None:
            return
        later = self.clock.now() + timedelta(seconds=wait_s)
        if self.apply(order, event, OrderPatch(next_attempt_at=later, attempts_plus=1)):
            order.next_attempt = later

    @rule(number=ANY, event=st.sampled_from((E.FOUND_THERE, E.UNKNOWN_THERE, E.RESOLVED_NOT_SENT, E.RESOLVED_SENT)))
    def verdict(self, number: int, event: OrderEvent) -> None:
        order = self.pick(number, S.IN_DOUBT)
        if order is not None:
            self.apply(order, event)

    @rule()
    def look_for_doubt(self) -> None:
        now = self.clock.now()
        found = {order.order_id for order in self.run(self.store.doubtful("dmp", rights(*PROFESSIONALS), now))}
        assert found == {
            order.order_id
            for order in self.orders
            if order.state is S.IN_DOUBT and (order.next_attempt is None or order.next_attempt <= now)
        }

    # Sending

    @rule(who=st.sampled_from(((0,), (1,), (0, 1), (1, 0), ())))
    def claim(self, who: tuple[int, ...]) -> None:
        """Claim: the first of the professionals who has something, and what a person asked before the rest."""
        professionals = [PROFESSIONALS[index] for index in who]
        expected = [found[0] for professional in professionals if (found := self.claimable(professional))]
        claimed = self.run(self.store.claim("dmp", rights(*professionals), self.clock.now()))
        if claimed is None:
            assert expected == []
            return
        order = self.by_id(claimed.order_id)
        assert [order] == expected[:1]
        order.state = S.CLAIMED

    @rule()
    def claim_all_that_may_leave(self) -> None:
        before = -1
        while before != len([order for order in self.orders if order.state is S.CLAIMED]):
            before = len([order for order in self.orders if order.state is S.CLAIMED])
            self.claim((0, 1))

    @rule(event=st.sampled_from((E.DELIVERED, E.REFUSED, E.NOT_SENT, E.DOUBT)), wait_s=st.integers(1, 900))
    def send(self, event: OrderEvent, wait_s: int) -> None:
        """Send what is claimed, or claim something, until its outcome."""
        if not any(order.state is S.CLAIMED for order in self.orders):
            self.claim((0, 1))
        claimed = self.pick(0, S.CLAIMED)
        if claimed is not None:
            self.run(self.store.first_byte(claimed.order_id, None))
            claimed.state = S.SENDING
            self.outcome(0, event, wait_s)
            self.claim((0, 1))

    @rule(number=ANY)
    def first_byte(self, number: int) -> None:
        order = self.pick(number, S.CLAIMED, S.READY, S.CANCELLED, S.SENDING)
        if order is None:
            return
        allowed = order.state is S.CLAIMED and not order.holds
        try:
            self.run(self.store.first_byte(order.order_id, b"signature"))
        except Conflict:
            assert not allowed
            return
        assert allowed
        order.state = S.SENDING

    @rule(number=ANY)
    def predecessor_is_gone(self, number: int) -> None:
        order = self.pick(number, S.CLAIMED)
        if order is None:
            return
        before = self.run(self.store.order(order.order_id)).predecessor
        assert self.run(self.store.predecessor_gone(order.order_id)).state is S.PREPARING
        order.state, order.next_attempt = S.PREPARING, None
        if before is not None:
            self.by_id(before).is_gone = True

    # Stopping

    @rule(number=ANY)
    def cancel(self, number: int) -> None:
        order = self.pick(number)
        if order is None:
            return
        answer, after = self.run(self.store.cancel(order.order_id, DOCTOR))
        if can(order.state, E.CANCEL) or order.state is S.CANCELLED:
            assert (answer, after.state) == (CancelAnswer.CANCELLED, S.CANCELLED)
            order.state = S.CANCELLED
        elif order.state in CANCEL_ASKED_ONLY:
            assert (answer, after.state) == (CancelAnswer.ASKED, order.state)
            order.cancel_requested = True
        else:
            assert (answer, after.state) == (CancelAnswer.TOO_LATE, order.state)

    @rule(number=ANY)
    def hold(self, number: int) -> None:
        order = self.pick(number)
        if order is None:
            return
        try:
            self.run(self.store.put_hold(order.order_id, HoldKind.PERSON, DOCTOR, "person"))
        except Conflict as error:
            self.must_be(error.code == "TOO_LATE" and not self.expect_hold(order, HoldKind.PERSON))
            return
        assert self.expect_hold(order, HoldKind.PERSON)

    @rule(number=ANY)
    def lift(self, number: int) -> None:
        order = self.pick(number)
        if order is not None:
            self.run(self.store.lift_hold(order.order_id, HoldKind.PERSON, DOCTOR, "person"))
            order.holds.discard(HoldKind.PERSON)

    @rule(patient=st.integers(0, 1), opposed=st.booleans())
    def opposition(self, patient: int, opposed: bool) -> None:
        name = f"patient-{patient}"
        self.run(self.store.record_facts(of_patient(Personal(name)), [opposition(opposed)], DOCTOR))
        (self.opposed.add if opposed else self.opposed.discard)(name)
        told, version = self.run(self.store.patient_facts([Personal(name)]))
        assert (FactKind.OPPOSITION in view_of(told, version).refused) is opposed
        for order in self.orders:
            if order.patient == name and order.state not in TERMINAL:
                if opposed:
                    self.expect_hold(order, HoldKind.OPPOSITION)
                else:
                    order.holds.discard(HoldKind.OPPOSITION)

    # Time

    @rule(seconds=st.sampled_from((1, 60, 121, 601, 3600)))
    def time_passes(self, seconds: int) -> None:
        self.clock.advance(seconds)

    @rule(hours=st.sampled_from((-3, -1, 1, 5)))
    def wall_clock_is_set(self, hours: int) -> None:
        self.clock.set_wall(self.clock.now() + timedelta(hours=hours))

    @rule()
    def due(self) -> None:
        now, boot_s, boot_id = self.clock.now(), self.clock.boot_s(), self.clock.boot_id()
        expected = [
            order
            for order in self.orders
            if order.state is S.DEFERRED
            and max(order.not_before, order.undo_until) <= now
            and (order.boot_id != boot_id or order.undo_boot_s <= boot_s)
        ]
        assert self.run(self.store.due(now, boot_s, boot_id, 1000)) == len(expected)
        for order in expected:
            order.state = S.READY

    @rule()
    def overdue(self) -> None:
        now, boot_s, boot_id = self.clock.now(), self.clock.boot_s(), self.clock.boot_id()
        older = now - timedelta(seconds=60)
        waiting = {S.DEFERRED, S.PREPARING}
        expected = [order for order in self.orders if order.state in waiting and order.not_before < older]
        assert self.run(self.store.refresh_overdue(now, boot_s, boot_id, older)) == len(expected)
        for order in expected:
            # Fresh undo minutes are as long as the first ones, however often it happens.
            order.undo_until = order.not_before = now + timedelta(seconds=order.undo_s)
            order.undo_boot_s, order.boot_id = boot_s + order.undo_s, boot_id

    @rule(nights=st.integers(1, 3))
    def nights_asleep(self, nights: int) -> None:
        """The machine sleeps through the hour of departure, more than once."""
        for _ in range(nights):
            self.clock.advance(43_200)
            self.overdue()

    @rule()
    def patient_leaves(self) -> None:
        now = self.clock.now()
        expected = [
            order
            for order in self.orders
            if order.state is S.DEFERRED and order.between_patients and order.not_before > max(order.undo_until, now)
        ]
        assert self.run(self.store.patient_left(ClientId("lgc-1"), now)) == len(expected)
        for order in expected:
            order.not_before = max(order.undo_until, now)

    # Stops

    @precondition(lambda self: self.orders)
    @rule(clean=st.booleans(), off_s=st.sampled_from((None, 10.0, 40_000.0)))
    def restart(self, clean: bool, off_s: float | None) -> None:
        """Stop cleanly, or leave as a killed process does: the files as they are at that instant."""
        self.stop_and_open(clean=clean, off_s=off_s)
        report = self.store.recovery
        assert report.previous_stop_clean is clean
        assert (report.incarnated, report.unauthenticated) == (0, 0)
        assert report.doubtful == sum(order.state is S.SENDING for order in self.orders)
        assert report.unclaimed == sum(order.state is S.CLAIMED for order in self.orders)
        for order in self.orders:
            if order.state is S.SENDING:
                order.state, order.next_attempt = S.IN_DOUBT, None
            elif order.state is S.CLAIMED:
                order.state = S.READY

    # What must always hold

    @invariant()
    def both_say_the_same(self) -> None:
        found = {order.order_id: order for order in self.run(self.store.orders(OrderFilter(limit=1000)))}
        assert set(found) == {order.order_id for order in self.orders}
        for expected in self.orders:
            order = found[expected.order_id]
            assert (order.state, set(order.holds)) == (expected.state, expected.holds)
            assert order.cancel_requested is expected.cancel_requested
            assert (order.not_before, order.undo_until) == (expected.not_before, expected.undo_until)
        counts = self.run(self.store.counts())
        assert counts.pop("quarantined") == 0
        states = [order.state.value for order in self.orders]
        assert counts == {state: states.count(state) for state in set(states)}

    @invariant()
    def a_document_has_one_live_order_that_is_not_away(self) -> None:
        for reference in range(4):
            live = [order for order in self.orders if order.reference == reference and order.state not in TERMINAL]
            assert all(order.state in CANCEL_ASKED_ONLY for order in live[:-1])

    @invariant()
    def the_ledger_tells_the_same_story(self) -> None:
        for entry in self.run(self.store.ledger(self.lines)):
            assert entry.seq == self.lines + 1
            self.lines = entry.seq
            if entry.order_id is None:
                continue
            assert entry.before == self.replayed.get(entry.order_id)
            assert entry.after is not None
            if entry.before is not None and entry.before is not entry.after:
                event = OrderEvent(entry.kind.removeprefix("order."))
                assert TRANSITIONS[entry.before, event] is entry.after
            self.replayed[entry.order_id] = entry.after
        assert self.replayed == {order.order_id: order.state for order in self.orders}


Step = Callable[[QueueMachine], None]
SLOW = 1 if sys.platform != "win32" else 10  # an event loop in wine turns slowly
SETTINGS = settings(
    max_examples=70 // SLOW,
    stateful_step_count=40,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
    phases=(Phase.generate, Phase.shrink),
)


@pytest.mark.slow
def test_the_store_and_the_model_agree() -> None:
    run_state_machine_as_test(QueueMachine, settings=SETTINGS)


def test_the_machine_sees_a_lane_that_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    lane = scheduling._CLAIMABLE.index("AND NOT EXISTS")
    end = scheduling._CLAIMABLE.index("AND (predecessor")
    without = scheduling._CLAIMABLE[:lane] + scheduling._CLAIMABLE[end:]
    day = (2, lambda day: day.claim_all_that_may_leave())
    must_see(day, lambda: monkeypatch.setattr(scheduling, "_CLAIMABLE", without))


def test_the_machine_sees_a_key_that_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    day = (0, lambda day: day.accept(3, 0, 1), lambda day: day.accept(3, 1, 1))
    must_see(day, lambda: monkeypatch.setattr(accepting, "_remember_key", lambda *_: None))


def test_the_machine_sees_a_hold_that_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    without = scheduling._CLAIMABLE.replace("AND holds = '' ", "")
    day = (1, lambda day: day.hold(0), lambda day: day.claim((0, 1)))
    must_see(day, lambda: monkeypatch.setattr(scheduling, "_CLAIMABLE", without))


def test_the_machine_sees_a_correction_that_replaces_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    day = (1, lambda day: day.accept(0, 1, None))
    must_see(day, lambda: monkeypatch.setattr(accepting, "_make_room", lambda *_: None))


def test_the_machine_sees_a_recovery_that_does_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    day = (1, lambda day: day.claim((0, 1)), lambda day: day.restart(False, None))
    must_see(day, lambda: monkeypatch.setattr(scheduling, "moving", lambda *_: []))


def test_the_machine_sees_a_column_that_is_not_saved(monkeypatch: pytest.MonkeyPatch) -> None:
    real = transitions.patch_columns

    def forgetful(row: rows.Row, patch: OrderPatch | None) -> rows.Row:
        return {name: value for name, value in real(row, patch).items() if name != "next_attempt_at_us"}

    day = (1, lambda day: day.send(E.DOUBT, 900), lambda day: day.look_for_doubt())
    must_see(day, lambda: monkeypatch.setattr(transitions, "patch_columns", forgetful))


def live(ready: int, *steps: Step) -> None:
    """Live one written day: how many orders may leave when it begins, then what happens."""
    day = QueueMachine()
    try:
        day.begin(ready)
        for step in steps:
            step(day)
            day.both_say_the_same()
            day.a_document_has_one_live_order_that_is_not_away()
            day.the_ledger_tells_the_same_story()
    finally:
        day.teardown()


def must_see(day: tuple[int, *tuple[Step, ...]], break_it: Callable[[], None]) -> None:
    """Say that this day goes well, and that the machine finds it wrong once the store is broken."""
    live(*day)
    break_it()
    with pytest.raises((AssertionError, VaguemestreError)):
        live(*day)
