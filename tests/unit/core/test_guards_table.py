"""The guards: who objects to what, with which code, and whether it can change."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vaguemestre_core.guards import GUARDS, GuardInput, GuardName, examine, holds_of
from vaguemestre_core.orders import HoldKind, OrderKind

GOOD = GuardInput(kind=OrderKind.DMP_SUBMIT, identity_status="qualifiée", has_ins=True)
DELETION = replace(GOOD, kind=OrderKind.DMP_DELETE)
MAIL = replace(GOOD, kind=OrderKind.MSS_SEND)
INPUTS = st.builds(
    GuardInput,
    kind=st.sampled_from(OrderKind),
    identity_status=st.sampled_from(["provisoire", "validée", "récupérée", "qualifiée"]),
    has_ins=st.booleans(),
    identity_doubtful=st.booleans(),
    identity_changed=st.booleans(),
    opposed=st.booleans(),
    message_refused=st.booleans(),
    visibility=st.frozensets(st.sampled_from(["INVISIBLE_PATIENT", "MASQUE_PS", "INVISIBLE_REPRESENTANTS"])),
    to_patient=st.booleans(),
    has_product_reference=st.booleans(),
    delegated=st.booleans(),
)


def objections(facts: GuardInput) -> dict[GuardName, str]:
    return {answer.guard: answer.code for answer in examine(facts) if not answer.passed}


def test_nobody_objects_to_what_is_in_order() -> None:
    assert objections(GOOD) == objections(MAIL) == {}
    assert {answer.guard for answer in examine(GOOD)} == set(GuardName)
    assert len(GUARDS) == len(GuardName)


@pytest.mark.req("INS/va1.53")
@pytest.mark.parametrize(
    ("facts", "codes"),
    [
        (replace(GOOD, identity_status="récupérée"), {GuardName.INS_QUALIFIEE: "INS_NOT_QUALIFIED"}),
        (replace(GOOD, identity_status="validée"), {GuardName.INS_QUALIFIEE: "INS_NOT_QUALIFIED"}),
        (replace(GOOD, has_ins=False), {GuardName.INS_QUALIFIEE: "INS_NOT_QUALIFIED"}),
        (replace(MAIL, identity_status="validée", has_ins=False), {}),
        (replace(GOOD, identity_changed=True), {GuardName.IDENTITY_SURE: "IDENTITY_CHANGED"}),
        (replace(DELETION, identity_changed=True), {}),
        (replace(GOOD, message_refused=True), {}),
        (replace(GOOD, identity_doubtful=True), {GuardName.IDENTITY_SURE: "IDENTITY_DOUBTFUL"}),
        (replace(MAIL, identity_doubtful=True), {GuardName.IDENTITY_SURE: "IDENTITY_DOUBTFUL"}),
    ],
)
def test_identity(facts: GuardInput, codes: dict[GuardName, str]) -> None:
    assert objections(facts) == codes
    assert holds_of(examine(facts)) == ({HoldKind.IDENTITY} if codes else set())


@pytest.mark.req("SC.DMP/CONF.09.BIS")
@pytest.mark.parametrize("kind", OrderKind)
def test_an_opposition_blocks_feeding_and_nothing_else(kind: OrderKind) -> None:
    feeding = {OrderKind.DMP_SUBMIT, OrderKind.DMP_REPLACE}
    codes = objections(replace(GOOD, kind=kind, opposed=True))
    assert codes == ({GuardName.OPPOSITION: "OPPOSITION_RECORDED"} if kind in feeding else {})


@pytest.mark.req("SC.DMP/UX.51")
@pytest.mark.parametrize(
    ("facts", "codes"),
    [
        (replace(MAIL, to_patient=True, visibility=frozenset({"INVISIBLE_PATIENT"})), {"INVISIBLE_TO_PATIENT"}),
        (replace(MAIL, to_patient=False, visibility=frozenset({"INVISIBLE_PATIENT"})), set()),
        (replace(GOOD, to_patient=True, visibility=frozenset({"INVISIBLE_PATIENT"})), set()),
        (replace(GOOD, visibility=frozenset({"INVISIBLE_PATIENT", "MASQUE_PS"})), {"VISIBILITY_COMBINATION_FORBIDDEN"}),
        (replace(GOOD, visibility=frozenset({"MASQUE_PS"})), set()),
        (replace(GOOD, has_product_reference=False), {"PRODUCT_PROFILE_MISSING"}),
    ],
)
def test_what_cannot_change_is_refused_and_holds_nothing(facts: GuardInput, codes: set[str]) -> None:
    answers = examine(facts)
    refusing = [answer for answer in answers if not answer.passed]
    assert {answer.code for answer in refusing} == codes
    assert all(answer.refuses and answer.hold is None for answer in refusing)
    assert holds_of(answers) == frozenset()


def test_a_delegation_that_is_missing_holds() -> None:
    assert objections(replace(GOOD, delegated=False)) == {GuardName.DELEGATION: "DELEGATION_MISSING"}
    assert holds_of(examine(replace(GOOD, delegated=False))) == {HoldKind.DELEGATION}


@given(INPUTS)
def test_every_objection_says_what_helps(facts: GuardInput) -> None:
    answers = examine(facts)
    assert [answer.guard for answer in answers] == [answer.guard for answer in examine(GOOD)]
    for answer in answers:
        if answer.passed:
            assert (answer.code, answer.hold, answer.refuses) == ("OK", None, False)
        else:
            # Either it is refused for ever, or something can lift the hold: never both, never neither.
            assert answer.code != "OK"
            assert answer.refuses is (answer.hold is None)
    kinds = [answer.refuses for answer in answers if not answer.passed]
    assert kinds == sorted(kinds, reverse=True)


def test_a_message_that_the_patient_refuses_is_held_by_that_refusal() -> None:
    refused = replace(MAIL, message_refused=True)
    assert objections(refused) == {GuardName.MESSAGE_CONSENT: "MESSAGE_REFUSED_BY_PATIENT"}
    assert holds_of(examine(refused)) == {HoldKind.CONSENT}
