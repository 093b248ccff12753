"""The table of certainties, exhaustively: every sign, every status, every IHE code, and the rule of doubt."""

from __future__ import annotations

import json
from dataclasses import fields
from importlib import resources

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vaguemestre_agent.adapters.dmp.classification import (
    BEFORE_FIRST_BYTE,
    CERTAIN_AFTER_FIRST_BYTE,
    CHANGE_ROWS,
    DIRECT_CODES,
    IHE_ERRORS,
    PROFILE_KINDS,
    TABLE,
    Seen,
    Sign,
    Verdict,
    change_outcome_of,
    outcome_of,
    query_verdict,
    sign_of_errors,
    sign_of_status,
    verdict_of,
)
from vaguemestre_agent.adapters.proxy.adapter import CONNECT_REFUSALS, CONNECTION_CODES
from vaguemestre_core.orders import WaitReason
from vaguemestre_core.outcomes import Certainty

C = Certainty
W = WaitReason

# Written a second time by hand, so that no row changes by inattention: sign → certainty, what it waits for, session.
EXPECTED: dict[Sign, tuple[Certainty, WaitReason | None, bool]] = {
    Sign.HOST_UNKNOWN: (C.NOT_SENT, W.NETWORK, False),
    Sign.CONNECTION_REFUSED: (C.NOT_SENT, W.NETWORK, False),
    Sign.TLS_FAILED: (C.NOT_SENT, W.NETWORK, False),
    Sign.CONNECT_TIMEOUT: (C.NOT_SENT, W.NETWORK, False),
    Sign.UNREACHABLE: (C.NOT_SENT, W.NETWORK, False),
    Sign.LOST_BEFORE_BODY: (C.NOT_SENT, W.NETWORK, False),
    Sign.PREDECESSOR_ABSENT: (C.NOT_SENT, W.PREDECESSOR, False),
    Sign.SIGNER_UNAVAILABLE: (C.NOT_SENT, W.AUTH, False),
    Sign.CARD_REMOVED: (C.NOT_SENT, W.AUTH, False),
    Sign.STRUCTURE_MISMATCH: (C.NOT_SENT, W.AUTH, False),
    Sign.ALREADY_DELETED: (C.DELIVERED, None, False),
    Sign.NOTHING_TO_DELETE: (C.REFUSED, None, False),
    Sign.VISIBILITY_ALREADY_SO: (C.DELIVERED, None, False),
    Sign.NOTHING_TO_CHANGE: (C.REFUSED, None, False),
    Sign.VISIBILITY_FORBIDDEN: (C.REFUSED, None, False),
    Sign.HIDING_AGAIN: (C.REFUSED, None, False),
    Sign.CUT: (C.DOUBT, W.NETWORK, False),
    Sign.SILENCE: (C.DOUBT, W.SERVICE, False),
    Sign.NOT_HTTP: (C.DOUBT, W.NETWORK, False),
    Sign.NO_SESSION: (C.NOT_SENT, W.AUTH, True),
    Sign.API_401: (C.DOUBT, W.AUTH, True),
    Sign.HTTP_3XX: (C.DOUBT, W.SERVICE, False),
    Sign.HTTP_400: (C.DOUBT, W.SERVICE, False),
    Sign.HTTP_403: (C.DOUBT, W.SERVICE, False),
    Sign.HTTP_404: (C.DOUBT, W.SERVICE, False),
    Sign.HTTP_405: (C.DOUBT, W.SERVICE, False),
    Sign.HTTP_413: (C.DOUBT, W.SERVICE, False),
    Sign.HTTP_429: (C.DOUBT, W.SERVICE, False),
    Sign.HTTP_4XX: (C.DOUBT, W.SERVICE, False),
    Sign.HTTP_500: (C.DOUBT, W.SERVICE, False),
    Sign.HTTP_502: (C.DOUBT, W.SERVICE, False),
    Sign.HTTP_503: (C.DOUBT, W.SERVICE, False),
    Sign.HTTP_504: (C.DOUBT, W.SERVICE, False),
    Sign.HTTP_5XX: (C.DOUBT, W.SERVICE, False),
    Sign.EMPTY: (C.DOUBT, W.SERVICE, False),
    Sign.HTML: (C.DOUBT, W.SERVICE, False),
    Sign.WRONG_TYPE: (C.DOUBT, W.SERVICE, False),
    Sign.TRUNCATED: (C.DOUBT, W.SERVICE, False),
    Sign.NOT_XML: (C.DOUBT, W.SERVICE, False),
    Sign.NOT_SOAP: (C.DOUBT, W.SERVICE, False),
    Sign.UNEXPECTED_PAYLOAD: (C.DOUBT, W.SERVICE, False),
    Sign.OTHER_MESSAGE: (C.DOUBT, W.SERVICE, False),
    Sign.FAULT_SECURITY: (C.NOT_SENT, W.AUTH, False),
    Sign.FAULT_SECURITY_EXPIRED: (C.NOT_SENT, W.AUTH, False),
    Sign.FAULT_SENDER: (C.REFUSED, None, False),
    Sign.FAULT_RECEIVER: (C.DOUBT, W.SERVICE, False),
    Sign.SUCCESS: (C.DELIVERED, None, False),
    Sign.PARTIAL: (C.DOUBT, W.SERVICE, False),
    Sign.FAILURE_DUPLICATE: (C.DOUBT, W.SERVICE, False),
    Sign.FAILURE_INTERNAL: (C.DOUBT, W.SERVICE, False),
    Sign.FAILURE_BUSY: (C.NOT_SENT, W.SERVICE, False),
    Sign.FAILURE_PATIENT_UNKNOWN: (C.NOT_SENT, W.NO_DMP, False),
    Sign.FAILURE_CLOSED: (C.REFUSED, None, False),
    Sign.FAILURE_ACCESS: (C.REFUSED, None, False),
    Sign.FAILURE_METADATA: (C.REFUSED, None, False),
    Sign.FAILURE_PREDECESSOR: (C.REFUSED, None, False),
    Sign.FAILURE_VERSION: (C.NOT_SENT, W.SERVICE, False),
    Sign.FAILURE_UPDATE: (C.REFUSED, None, False),
    Sign.FAILURE_OTHER: (C.REFUSED, None, False),
}
# What differs for a change of a document that is there (TD3.3).
EXPECTED_OF_CHANGES: dict[Sign, tuple[Certainty, WaitReason | None, str]] = {
    Sign.FAILURE_DUPLICATE: (C.DOUBT, W.SERVICE, "DMP_CHANGE_ALREADY_SEEN"),
    Sign.FAILURE_PATIENT_UNKNOWN: (C.REFUSED, None, "DMP_CHANGE_REFUSED"),
    Sign.FAILURE_METADATA: (C.REFUSED, None, "DMP_CHANGE_REFUSED"),
    Sign.FAILURE_PREDECESSOR: (C.REFUSED, None, "DMP_CHANGE_REFUSED"),
    Sign.FAILURE_OTHER: (C.REFUSED, None, "DMP_CHANGE_REFUSED"),
}


def test_every_sign_has_a_row_and_an_expectation() -> None:
    assert set(TABLE) == set(Sign) == set(EXPECTED)


@pytest.mark.parametrize("sign", Sign)
def test_row(sign: Sign) -> None:
    row = TABLE[sign]
    assert (row.certainty, row.waiting, row.ends_session) == EXPECTED[sign]


@pytest.mark.req("SC.DMP/ALI/PROG.02")
@pytest.mark.parametrize("sign", sorted(set(Sign) - BEFORE_FIRST_BYTE))
def test_after_the_first_byte_only_the_certain_list_says_not_sent(sign: Sign) -> None:
    said = verdict_of(Seen(sign=sign, body_started=True)).certainty
    assert (said is Certainty.NOT_SENT) == (sign in CERTAIN_AFTER_FIRST_BYTE)


@pytest.mark.parametrize("sign", Sign)
def test_before_the_first_byte_nothing_is_in_doubt(sign: Sign) -> None:
    assert verdict_of(Seen(sign=sign, body_started=False)).certainty is not Certainty.DOUBT


@pytest.mark.parametrize("sign", Sign)
def test_what_was_not_sent_says_what_it_waits_for_and_a_doubt_does_not(sign: Sign) -> None:
    outcome = outcome_of(Seen(sign=sign, retry_after_s=30.0, receipt=(("a", "b"),)))
    is_not_sent = outcome.certainty is Certainty.NOT_SENT
    assert (outcome.waiting is not None) == is_not_sent
    assert (outcome.retry_after_s == 30.0) == is_not_sent
    assert bool(outcome.receipt) == (outcome.certainty is Certainty.DELIVERED)


@pytest.mark.parametrize("sign", Sign)
def test_a_question_leaves_no_doubt_and_always_waits_for_something(sign: Sign) -> None:
    verdict = query_verdict(Seen(sign=sign))
    row = TABLE[sign]
    assert verdict.ends_session == row.ends_session
    assert verdict.waiting == (row.waiting or WaitReason.SERVICE)
    if row.certainty is Certainty.DOUBT:
        assert verdict.code == ("DMP_TOKEN_REFUSED" if sign is Sign.API_401 else "DMP_NO_ANSWER")


def test_only_a_parsed_success_is_a_delivery() -> None:
    delivered = {sign for sign, row in TABLE.items() if row.certainty is Certainty.DELIVERED}
    # The two others are facts of the lookup made before a change: nothing was sent at all.
    assert delivered - BEFORE_FIRST_BYTE == {Sign.SUCCESS}
    assert delivered & BEFORE_FIRST_BYTE == {Sign.ALREADY_DELETED, Sign.VISIBILITY_ALREADY_SO}


@pytest.mark.parametrize("sign", Sign)
def test_a_change_differs_from_a_feeding_by_its_own_rows_only(sign: Sign) -> None:
    outcome = change_outcome_of(Seen(sign=sign))
    if sign not in EXPECTED_OF_CHANGES:
        assert outcome == outcome_of(Seen(sign=sign))
        return
    row = CHANGE_ROWS[sign]
    assert (row.certainty, row.waiting, row.code) == EXPECTED_OF_CHANGES[sign]
    assert (outcome.certainty, outcome.code) == (row.certainty, row.code)


def test_a_change_has_no_row_that_nobody_expects() -> None:
    assert set(CHANGE_ROWS) == set(EXPECTED_OF_CHANGES)


@given(st.integers(min_value=300, max_value=999))
def test_every_status_has_a_sign_that_leaves_a_doubt(status: int) -> None:
    assert TABLE[sign_of_status(status)].certainty is Certainty.DOUBT


@pytest.mark.parametrize(
    ("status", "sign"),
    [
        (302, Sign.HTTP_3XX),
        (400, Sign.HTTP_400),
        (401, Sign.API_401),
        (403, Sign.HTTP_403),
        (404, Sign.HTTP_404),
        (405, Sign.HTTP_405),
        (413, Sign.HTTP_413),
        (418, Sign.HTTP_4XX),
        (429, Sign.HTTP_429),
        (500, Sign.HTTP_500),
        (501, Sign.HTTP_5XX),
        (502, Sign.HTTP_502),
        (503, Sign.HTTP_503),
        (504, Sign.HTTP_504),
    ],
)
def test_status(status: int, sign: Sign) -> None:
    assert sign_of_status(status) is sign


@pytest.mark.parametrize(
    ("codes", "sign"),
    [
        (("XDSDuplicateUniqueIdInRegistry",), Sign.FAILURE_DUPLICATE),
        (("XDSNonIdenticalHash",), Sign.FAILURE_DUPLICATE),
        (("XDSRegistryMetadataError", "XDSDuplicateUniqueIdInRegistry"), Sign.FAILURE_DUPLICATE),
        (("XDSUnknownPatientId",), Sign.FAILURE_PATIENT_UNKNOWN),
        (("XDSRegistryBusy",), Sign.FAILURE_BUSY),
        (("XDSRepositoryBusy",), Sign.FAILURE_BUSY),
        (("XDSRegistryBusy", "XDSRegistryMetadataError"), Sign.FAILURE_METADATA),
        (("XDSRegistryError", "XDSRegistryMetadataError"), Sign.FAILURE_INTERNAL),
        (("XDSRegistryBusy", "UnCodeInconnu"), Sign.FAILURE_OTHER),
        (("UnCodeInconnu",), Sign.FAILURE_OTHER),
        ((), Sign.FAILURE_OTHER),
        (("DMPFerme",), Sign.FAILURE_CLOSED),
    ],
)
def test_errors_of_one_answer(codes: tuple[str, ...], sign: Sign) -> None:
    assert sign_of_errors(codes, {"DMPFerme": "closed"}) is sign


@given(st.lists(st.sampled_from([*IHE_ERRORS, "Autre"]), min_size=1, max_size=5))
def test_a_possible_delivery_is_never_hidden_by_another_error(codes: list[str]) -> None:
    verdict = TABLE[sign_of_errors(tuple(codes), {})]
    may_be_there = any(IHE_ERRORS.get(code) in (Sign.FAILURE_DUPLICATE, Sign.FAILURE_INTERNAL) for code in codes)
    assert (verdict.certainty is Certainty.DOUBT) == may_be_there


def test_every_kind_a_profile_may_name_is_a_parsed_failure() -> None:
    assert all(sign.value.startswith("failure_") for sign in PROFILE_KINDS.values())


def test_every_code_has_its_french_sentences() -> None:
    text = resources.files("vaguemestre_api").joinpath("catalogue/dmp.json").read_text("utf-8")
    catalogue: dict[str, dict[str, str]] = json.loads(text)
    codes = {row.code for row in (*TABLE.values(), *CHANGE_ROWS.values())} - {"OK"}
    codes |= {refusal.code for refusal in CONNECT_REFUSALS.values()} | set(CONNECTION_CODES.values())
    codes |= {query_verdict(Seen(sign=sign)).code for sign in Sign}
    codes |= {"PROXY_ANSWER_UNREADABLE", "PSC_NO_ANSWER", "PREPARER_CRASHED", "PREPARER_INTERRUPTED"}
    codes |= set(DIRECT_CODES.values())
    codes |= {"PROFILE_INVALID", "PROFILE_UNKNOWN", "SIGNER_INVALID", "MIME_BOUNDARY_INVALID"}
    # The forbidden combination is refused by the guards too: its sentence is in the core's catalogue.
    assert codes - {"VISIBILITY_COMBINATION_FORBIDDEN"} == set(catalogue)
    for entry in catalogue.values():
        assert set(entry) == {"title", "detail", "action"}
        assert all(sentence.endswith(".") and sentence[0].isupper() for sentence in entry.values())


def test_a_verdict_has_no_room_for_personal_data() -> None:
    assert {field.name for field in fields(Verdict)} == {"certainty", "code", "waiting", "ends_session"}
