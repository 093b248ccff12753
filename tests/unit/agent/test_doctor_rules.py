"""The doctor's rules, apart from its looking: what is seen gives the code that a person can act on."""

from __future__ import annotations

import pytest

from vaguemestre_agent.cli.doctor import Surroundings, diagnosis
from vaguemestre_api.wire_readers import Reader, Readers, Situation
from vaguemestre_core.cps import CpsSituation
from vaguemestre_drivers.cps.probing import MiddlewareExplanation, TechnicalReason

CALM = Surroundings(has_galss=False, is_remote=False)
WORKS = MiddlewareExplanation(situation=None, reason=TechnicalReason.WORKS, params={})
ABSENT = MiddlewareExplanation(situation=CpsSituation.MIDDLEWARE_ABSENT, reason=TechnicalReason.NO_FILE, params={})


def readers(state: str = "running", trouble: str | None = None, situation: str | None = None) -> Readers:
    def told(code: str | None) -> Situation | None:
        return None if code is None else Situation(code=code, title="", action="")

    reader = Reader(name="Lecteur 1", state="mute", card=None, card_id="a", is_shared=False, situation=told(situation))
    return Readers(state=state, trouble=told(trouble), readers=(reader,) if trouble is None else ())


@pytest.mark.parametrize(
    ("seen", "middleware", "around", "codes"),
    [
        (readers(), WORKS, CALM, []),
        ("AGENT_NOT_RUNNING", WORKS, CALM, ["AGENT_NOT_RUNNING"]),
        (Readers(state="off", trouble=None, readers=()), WORKS, CALM, ["READERS_OFF"]),
        (Readers(state="running", trouble=None, readers=()), WORKS, CALM, ["READERS_NONE"]),
        (readers(trouble="PCSC_STOPPED"), WORKS, CALM, ["PCSC_STOPPED"]),
        (readers(situation="CARD_MUTE"), WORKS, CALM, ["CARD_MUTE"]),
        (readers(situation="READER_HELD"), ABSENT, CALM, ["READER_HELD", "MIDDLEWARE_ABSENT"]),
        (readers(), WORKS, Surroundings(has_galss=True, is_remote=True), ["GALSS_LEFT", "REMOTE_SESSION"]),
    ],
)
def test_what_is_seen_gives_its_codes_with_two_sentences(
    seen: Readers | str, middleware: MiddlewareExplanation, around: Surroundings, codes: list[str]
) -> None:
    found = list(diagnosis(seen, middleware, around))

    assert [item.code for item in found] == codes
    assert all(item.practice and item.technician for item in found)
