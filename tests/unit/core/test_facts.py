"""What facts say: the last one told counts, a forged one objects, and a patient is one under all identifiers."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vaguemestre_core.facts import (
    NEVER_BEFORE,
    Care,
    Fact,
    FactKind,
    FactView,
    KeptFacts,
    delegation,
    guard_input,
    is_delegated,
    keep,
    kept,
    opposition,
    pair_of,
    pair_scope,
    view_of,
    wish,
)
from vaguemestre_core.guards import examine
from vaguemestre_core.orders import OrderKind
from vaguemestre_core.records import Actor

QUALIFIED = '{"identity_status": "qualifiée", "has_ins": true}'
EPISODE, OTHER = Care(episode="e-1", team="t-1"), Care(episode="e-2", team="t-2")


def fact(
    kind: FactKind, value: str, version: int, *, subject: str = "p", scope: str = "", is_authentic: bool = True
) -> Fact:
    return Fact(
        subject=subject,
        kind=kind.value,
        scope=scope,
        value=value,
        version=version,
        actor=Actor(user="u"),
        at=datetime(2026, 1, 1, tzinfo=UTC),
        is_authentic=is_authentic,
    )


def told(*words: tuple[bool, Care]) -> list[Fact]:
    """Return oppositions and withdrawals told one after the other."""
    facts = [opposition(opposed, care) for opposed, care in words]
    return [fact(new.kind, new.value, version + 1, scope=new.scope) for version, new in enumerate(facts)]


def codes(view: FactView, accepted_under: int = 0, kind: OrderKind = OrderKind.DMP_SUBMIT) -> set[str]:
    looked_at = guard_input(kind, QUALIFIED, view, accepted_under=accepted_under, has_product_reference=True)
    return {answer.code for answer in examine(looked_at) if not answer.passed}


@pytest.mark.req("SC.DMP/CONF.09.BIS")
def test_feeding_is_allowed_until_the_patient_opposes_under_any_identifier() -> None:
    opposed = fact(FactKind.OPPOSITION, "opposed", 1)
    withdrawn = fact(FactKind.OPPOSITION, "not_opposed", 2)
    elsewhere = fact(FactKind.OPPOSITION, "opposed", 1, subject="q")

    assert codes(view_of([], 0)) == set()
    assert codes(view_of([opposed], 1)) == {"OPPOSITION_RECORDED"}
    assert codes(view_of([opposed, withdrawn], 2)) == set()
    assert codes(view_of([withdrawn, opposed, elsewhere], 2)) == {"OPPOSITION_RECORDED"}


@pytest.mark.parametrize(
    ("words", "in_episode", "in_other", "in_unknown"),
    [
        ([(True, EPISODE)], True, False, True),
        ([(True, EPISODE), (False, EPISODE)], False, False, False),
        ([(True, Care()), (False, EPISODE)], False, True, True),
        ([(True, EPISODE), (False, Care())], False, False, False),
        ([(True, Care(team="t-1"))], True, False, True),
        ([(True, Care(team="t-1")), (False, Care(episode="e-1"))], False, False, True),
    ],
)
def test_the_newest_word_that_covers_an_episode_and_a_team_decides(
    words: list[tuple[bool, Care]], in_episode: bool, in_other: bool, in_unknown: bool
) -> None:
    facts = told(*words)
    for care, opposed in ((EPISODE, in_episode), (OTHER, in_other), (Care(), in_unknown)):
        assert (FactKind.OPPOSITION in view_of(facts, 9, care=care).refused) is opposed


def test_consultation_is_refused_until_the_patient_consents() -> None:
    new = wish(FactKind.CONSULTATION, granted=True, care=EPISODE)
    consent = fact(new.kind, new.value, 1, scope=new.scope)

    assert FactKind.CONSULTATION in view_of([], 0).refused
    assert FactKind.CONSULTATION not in view_of([consent], 1, care=EPISODE).refused
    assert FactKind.CONSULTATION in view_of([consent], 1, care=OTHER).refused
    assert FactKind.CONSULTATION in view_of([consent], 1).refused


def test_a_message_that_the_patient_refuses_is_held_and_no_other() -> None:
    view = view_of([fact(FactKind.MSS_PROFESSIONALS, "refused", 1)], 1)

    assert codes(view, kind=OrderKind.MSS_SEND) == {"MESSAGE_REFUSED_BY_PATIENT"}
    assert codes(view) == set()
    to_patient = keep(
        KeptFacts(
            identity_status="qualifiée",
            has_ins=True,
            identity_doubtful=False,
            visibility=frozenset(),
            to_patient=True,
        )
    )
    looked_at = guard_input(OrderKind.MSS_SEND, to_patient, view, accepted_under=0, has_product_reference=True)
    assert not looked_at.message_refused


def test_a_forged_fact_is_every_objection() -> None:
    forged = fact(FactKind.MSS_PATIENT, "granted", 1, is_authentic=False)

    view = view_of([forged], 1)
    assert codes(view) == {"OPPOSITION_RECORDED", "IDENTITY_CHANGED", "INS_NOT_QUALIFIED"}
    assert view.identity_event == NEVER_BEFORE
    assert FactKind.CONSULTATION in view.refused


def test_what_was_accepted_before_a_change_of_identity_is_stale_and_what_comes_after_is_not() -> None:
    view = view_of([fact(FactKind.IDENTITY_EVENT, "trait_changed", 5)], 5)

    assert codes(view, accepted_under=4) == {"IDENTITY_CHANGED"}
    assert codes(view, accepted_under=5) == set()
    assert codes(view, accepted_under=4, kind=OrderKind.DMP_DELETE) == set()


def test_a_status_told_later_than_the_document_counts() -> None:
    downgraded = fact(FactKind.IDENTITY_STATUS, "validée", 3)
    again = fact(FactKind.IDENTITY_STATUS, "qualifiée", 4)

    assert codes(view_of([downgraded], 3), accepted_under=2) == {"INS_NOT_QUALIFIED"}
    assert codes(view_of([downgraded], 3), accepted_under=3) == set()
    assert codes(view_of([downgraded, again], 4), accepted_under=2) == set()
    assert codes(view_of([downgraded], 3), accepted_under=2, kind=OrderKind.DMP_DELETE) == set()


def test_a_delegation_covers_one_station_and_one_type_or_all_types() -> None:
    def facts(*words: tuple[str, str | None, bool]) -> list[Fact]:
        new = [delegation(station, type_code, granted=granted) for station, type_code, granted in words]
        return [fact(item.kind, item.value, number + 1, scope=item.scope) for number, item in enumerate(new)]

    nothing: list[Fact] = []
    assert not is_delegated(nothing, "A", "t", relayed=True)
    assert is_delegated(nothing, "A", "t", relayed=False)
    every = facts(("A", None, True))
    assert is_delegated(every, "A", "t", relayed=True)
    assert not is_delegated(every, "B", "t", relayed=True)
    but_one = facts(("A", None, True), ("A", "t", False))
    assert not is_delegated(but_one, "A", "t", relayed=False)
    assert is_delegated(but_one, "A", "u", relayed=True)
    assert is_delegated(facts(("A", "t", False), ("A", None, True)), "A", "t", relayed=True)


@given(st.text(), st.text())
def test_a_scope_is_read_as_it_was_written(first: str, second: str) -> None:
    assert pair_of(pair_scope(first, second)) == (first, second)


@given(
    st.builds(
        KeptFacts,
        identity_status=st.text(),
        has_ins=st.booleans(),
        identity_doubtful=st.booleans(),
        visibility=st.frozensets(st.text()),
        care=st.builds(Care, episode=st.none() | st.text(min_size=1), team=st.none() | st.text(min_size=1)),
        to_patient=st.booleans(),
        station=st.text(),
        relayed=st.booleans(),
    )
)
def test_what_is_kept_is_read_as_it_was_written(facts: KeptFacts) -> None:
    assert kept(keep(facts)) == facts
