"""The wire ledger: when a complete body counts as sent twice, and when a valid "unknown" allows it."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vaguemestre_sandbox.ledger import AnswerRow, BodyRow, Outcome, WireLedger, judge

AT = "2026-11-24T10:00:00.000Z"


@dataclass(slots=True)
class Journal:
    bodies: dict[int, BodyRow] = field(default_factory=dict)
    answers: dict[int, AnswerRow] = field(default_factory=dict)

    def save_body(self, row: BodyRow) -> None:
        self.bodies[row.order] = row

    def save_answer(self, row: AnswerRow) -> None:
        self.answers[row.order] = row


def receive(ledger: WireLedger, unique_id: str = "1.2.3") -> int:
    return ledger.receive(at=AT, unique_id=unique_id, patient="1^2", sha256="ab", message_id="m")


def ask(ledger: WireLedger, *, found: bool, held: bool = False, unique_id: str = "1.2.3") -> int:
    return ledger.answer(at=AT, unique_id=unique_id, found=found, held=held, explicit=True)


def test_one_body_is_never_sent_twice() -> None:
    ledger = WireLedger(Journal())
    ledger.finish(receive(ledger), Outcome.STORED)
    verdict = ledger.verdict()
    assert (verdict.documents, verdict.complete_bodies, verdict.stored, verdict.sent_twice) == (1, 1, 1, 0)


def test_a_second_body_refused_as_duplicate_is_still_seen() -> None:
    ledger = WireLedger(Journal())
    ledger.finish(receive(ledger), Outcome.STORED_CUT)
    ledger.finish(receive(ledger), Outcome.REFUSED, "XDSDuplicateUniqueIdInRegistry")
    assert ledger.verdict().sent_twice == 1


def test_an_unknown_given_once_all_is_finished_and_unstored_entitles_to_one_resend() -> None:
    ledger = WireLedger(Journal())
    ledger.finish(receive(ledger), Outcome.CUT)
    ask(ledger, found=False)
    ledger.finish(receive(ledger), Outcome.STORED)
    assert ledger.verdict().sent_twice == 0
    receive(ledger)
    assert ledger.verdict().sent_twice == 1


@pytest.mark.parametrize("case", ["processing", "lie", "undelivered", "found", "other document", "before"])
def test_an_unknown_without_value_entitles_to_nothing(case: str) -> None:
    ledger = WireLedger(Journal())
    if case == "before":
        ask(ledger, found=False)
    first = receive(ledger)
    if case != "processing":
        ledger.finish(first, Outcome.STORED if case == "lie" else Outcome.CUT)
    if case != "before":
        order = ask(
            ledger,
            found=case == "found",
            held=case == "lie",
            unique_id="9.9" if case == "other document" else "1.2.3",
        )
        if case == "undelivered":
            ledger.undelivered(order)
    receive(ledger)
    assert ledger.verdict().sent_twice == 1


def test_a_resend_after_a_readable_refusal_is_told_apart() -> None:
    ledger = WireLedger(Journal())
    ledger.finish(receive(ledger), Outcome.REFUSED, "XDSRegistryBusy")
    ledger.finish(receive(ledger), Outcome.STORED)
    verdict = ledger.verdict()
    assert (verdict.sent_twice, verdict.resent_after_refusal) == (1, 1)


def test_a_body_without_identifier_counts_and_accuses_nobody() -> None:
    ledger = WireLedger(Journal())
    receive(ledger, "")
    receive(ledger, "")
    verdict = ledger.verdict()
    assert (verdict.complete_bodies, verdict.documents, verdict.sent_twice) == (2, 0, 0)


def test_a_restart_ends_what_was_in_processing_and_goes_on_counting() -> None:
    journal = Journal()
    before = WireLedger(journal)
    lost = receive(before)
    kept = receive(before, "4.5")
    before.mark_stored(kept)
    after = WireLedger(journal, list(journal.bodies.values()), list(journal.answers.values()))
    rows = {row.order: row for row in after.bodies()}
    assert rows[lost].outcome is Outcome.INTERRUPTED
    assert rows[kept].outcome is Outcome.STORED_CUT
    ask(after, found=False)
    assert receive(after) > max(kept, lost)
    assert after.verdict().sent_twice == 0


def test_an_outcome_once_given_does_not_change() -> None:
    ledger = WireLedger(Journal())
    order = receive(ledger)
    ledger.finish(order, Outcome.STORED)
    ledger.finish(order, Outcome.CUT)
    assert ledger.bodies()[0].outcome is Outcome.STORED


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("body"), st.sampled_from("ab"), st.none()),
        st.tuples(
            st.just("finish"),
            st.sampled_from("ab"),
            st.sampled_from([outcome for outcome in Outcome if outcome is not Outcome.PROCESSING]),
        ),
        st.tuples(st.just("unknown"), st.sampled_from("ab"), st.none()),
        st.tuples(st.just("found"), st.sampled_from("ab"), st.none()),
    ),
    max_size=40,
)


@given(STEPS)
def test_the_count_is_that_of_a_naive_reading(steps: list[tuple[str, str, Outcome | None]]) -> None:
    journal = Journal()
    ledger = WireLedger(journal)
    open_bodies: dict[str, list[int]] = {"a": [], "b": []}
    stored = {"a": False, "b": False}
    sent = {"a": 0, "b": 0}
    entitled = {"a": True, "b": True}
    twice = 0
    for kind, name, outcome in steps:
        if kind == "body":
            open_bodies[name].append(receive(ledger, name))
            twice += sent[name] > 0 and not entitled[name]
            sent[name] += 1
            entitled[name] = False
        elif kind == "finish" and open_bodies[name]:
            assert outcome is not None
            ledger.finish(open_bodies[name].pop(0), outcome)
            stored[name] |= outcome in (Outcome.STORED, Outcome.STORED_CUT, Outcome.STORED_UNSAID)
        elif kind in ("unknown", "found"):
            ask(ledger, found=kind == "found", held=stored[name], unique_id=name)
            if kind == "unknown" and not open_bodies[name] and not stored[name]:
                entitled[name] = True
    verdict = ledger.verdict()
    assert verdict.sent_twice == twice
    assert verdict.complete_bodies == sum(sent.values())
    assert judge(list(journal.bodies.values()), list(journal.answers.values())) == verdict
    orders = [
        *journal.bodies,
        *journal.answers,
        *(row.finished_order for row in journal.bodies.values() if row.finished_order is not None),
    ]
    assert len(set(orders)) == len(orders)
