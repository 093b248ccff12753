"""Every rule of the doctor fires on its own facts, and keeps quiet when another cause explains them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vaguemestre_agent.doctor.codes import REASONS, Code, Weight, sentences
from vaguemestre_agent.doctor.facts import (
    AgentAnswer,
    AgentFacts,
    Facts,
    GalssFacts,
    GalssFile,
    MiddlewareFacts,
    PcscAnswer,
    PcscFacts,
    SeenReader,
    ServiceFacts,
    ServiceState,
    SocketState,
    SystemFacts,
    Told,
)
from vaguemestre_agent.doctor.rules import RULES, judge
from vaguemestre_core.cards import CardKind, ReaderState
from vaguemestre_core.readerports import ReadersSource
from vaguemestre_drivers.cps.middleware import HostSystem
from vaguemestre_drivers.cps.probing import MiddlewareExplanation, TechnicalReason
from vaguemestre_testkit.loading import loaded

DOCS = Path(__file__).resolve().parents[3] / "docs"
LIBRARY = "/opt/santesocial/CPS/lib/libcps3_pkcs11_lux.so"
# What each sentence of the middleware may name.
MIDDLEWARE_PARAMS: dict[str, str | int] = {
    "path": LIBRARY,
    "paths": LIBRARY,
    "found": "5.1",
    "needed": "5.2",
    "step": "slots",
    "rv": "0x00000005",
    "exit_code": -11,
    "library": "5.2",
    "readers": 1,
    "cards": 1,
}
LINUX, WINDOWS, MACOS = HostSystem.LINUX, HostSystem.WINDOWS, HostSystem.MACOS
A_READER = SeenReader(name="Lecteur A", state=ReaderState.CARD, card=CardKind.CPS4)
HEALTHY = Facts(
    system=SystemFacts(system=LINUX, plugged=1, has_driver=True, is_clock_kept=True),
    service=ServiceFacts(name="pcscd", state=ServiceState.RUNNING, socket=SocketState.OPEN),
    pcsc=PcscFacts(answer=PcscAnswer.WORKS, readers=(A_READER,)),
    middleware=MiddlewareFacts(
        explanation=MiddlewareExplanation(
            situation=None, reason=TechnicalReason.WORKS, params=MIDDLEWARE_PARAMS, path=LIBRARY, version=(5, 2)
        ),
        libraries=(LIBRARY,),
    ),
    agent=AgentFacts(
        answer=AgentAnswer.ANSWERS,
        is_ready=True,
        is_paired=True,
        readers_state="running",
        readers=("Lecteur A",),
        source=ReadersSource.PCSC,
    ),
)
SILENT_SERVICE = PcscFacts(answer=PcscAnswer.NO_SERVICE, result="0x8010001D")
OTHER_ERROR = PcscFacts(answer=PcscAnswer.FAILED, result="0x80100006")
NO_READER = PcscFacts(answer=PcscAnswer.WORKS)
AILING = Told(code="STORE_FULL", title="Le disque est plein.", action="Libérez de la place.")
MOVED = Told(code="CLOCK_SET_BACK", title="L'horloge a reculé.", action="Vérifiez l'heure.", minutes=7)


def system(facts: Facts = HEALTHY, **changes: object) -> Facts:
    return replace(facts, system=replace(facts.system, **changes))  # type: ignore[arg-type]


def service(state: ServiceState, socket: SocketState = SocketState.UNKNOWN, pcsc: PcscFacts = SILENT_SERVICE) -> Facts:
    return replace(HEALTHY, service=replace(HEALTHY.service, state=state, socket=socket), pcsc=pcsc)


def pcsc(answer: PcscAnswer, result: str = "") -> Facts:
    return replace(HEALTHY, pcsc=PcscFacts(answer=answer, result=result))


def reader(state: ReaderState, card: CardKind | None = None, holders: tuple[str, ...] = ()) -> Facts:
    seen = replace(A_READER, state=state, card=card)
    return replace(HEALTHY, pcsc=PcscFacts(answer=PcscAnswer.WORKS, readers=(seen,), holders=holders))


def agent(**changes: object) -> Facts:
    return replace(HEALTHY, agent=replace(HEALTHY.agent, **changes))  # type: ignore[arg-type]


def silent_agent(answer: AgentAnswer) -> Facts:
    return replace(HEALTHY, agent=AgentFacts(answer=answer, source=ReadersSource.PCSC))


def middleware(reason: TechnicalReason, facts: Facts = HEALTHY) -> Facts:
    return replace(
        facts,
        middleware=replace(
            facts.middleware, explanation=replace(facts.middleware.explanation, reason=reason, version=None)
        ),
    )


def galss(ini: GalssFile, *programs: str) -> Facts:
    return system(galss=GalssFacts(ini=ini, programs=programs))


STOPPED_WINDOWS = system(
    service(ServiceState.STOPPED), system=WINDOWS, plugged=0, faulty=0, has_driver=None, is_clock_kept=True
)
BARE = replace(HEALTHY, pcsc=NO_READER)
CASES: dict[str, tuple[Facts, set[Code]]] = {
    "healthy": (HEALTHY, set()),
    # the service
    "binding absent": (pcsc(PcscAnswer.LIBRARY_ABSENT), {Code.PCSC_LIBRARY_ABSENT}),
    "service absent": (service(ServiceState.ABSENT, SocketState.ABSENT), {Code.PCSC_NOT_INSTALLED}),
    "service absent, other error": (
        service(ServiceState.ABSENT, SocketState.ABSENT, OTHER_ERROR),
        {Code.PCSC_NOT_INSTALLED},
    ),
    "service disabled": (service(ServiceState.DISABLED, SocketState.ABSENT), {Code.PCSC_DISABLED}),
    "service stopped": (service(ServiceState.STOPPED, SocketState.ABSENT), {Code.PCSC_SERVICE_STOPPED}),
    "socket left behind": (service(ServiceState.STOPPED, SocketState.DEAF), {Code.PCSC_SERVICE_STOPPED}),
    "service not told": (service(ServiceState.UNKNOWN), {Code.PCSC_SERVICE_STOPPED}),
    "windows service stopped, reader plugged": (system(STOPPED_WINDOWS, plugged=1), {Code.PCSC_SERVICE_STOPPED}),
    "windows service stopped, plugged readers not told": (
        system(STOPPED_WINDOWS, plugged=None),
        {Code.PCSC_SERVICE_STOPPED},
    ),
    "windows service asleep for want of a reader": (STOPPED_WINDOWS, {Code.READER_NOT_PLUGGED}),
    "windows service asleep, remote": (system(STOPPED_WINDOWS, remote="rdp"), {Code.REMOTE_SESSION_NO_READER}),
    "socket denied": (service(ServiceState.STOPPED, SocketState.DENIED), {Code.PCSC_SOCKET_DENIED}),
    "socket denied, other error": (
        service(ServiceState.STOPPED, SocketState.DENIED, OTHER_ERROR),
        {Code.PCSC_SOCKET_DENIED},
    ),
    "polkit refuses": (service(ServiceState.RUNNING, SocketState.OPEN), {Code.PCSC_NOT_ALLOWED}),
    "the service says denied": (pcsc(PcscAnswer.DENIED, "0x8010006A"), {Code.PCSC_NOT_ALLOWED}),
    "running on windows and no context": (
        system(service(ServiceState.RUNNING), system=WINDOWS, has_driver=None),
        {Code.PCSC_SERVICE_STOPPED},
    ),
    "other error": (service(ServiceState.RUNNING, SocketState.OPEN, OTHER_ERROR), {Code.PCSC_REFUSES}),
    "native crash": (pcsc(PcscAnswer.CRASHED, "readers"), {Code.PCSC_CRASHES}),
    "native hang": (pcsc(PcscAnswer.SILENT, "status"), {Code.PCSC_SILENT}),
    "child not started": (pcsc(PcscAnswer.NOT_ASKED), {Code.PCSC_NOT_TRIED}),
    # readers
    "remote without redirection": (
        system(BARE, remote="rdp", plugged=0),
        {Code.REMOTE_SESSION_NO_READER},
    ),
    "remote with a reader": (system(remote="rdp"), set()),
    "remote, reader plugged without driver": (system(BARE, remote="ssh"), {Code.READER_DRIVER_MISSING}),
    "driver missing": (system(BARE, plugged=1, has_driver=False), {Code.READER_DRIVER_MISSING}),
    "driver faulty beside a good reader": (system(plugged=2, faulty=1), {Code.READER_DRIVER_MISSING}),
    "driver faulty, none listed": (system(BARE, plugged=0, faulty=1), {Code.READER_DRIVER_MISSING}),
    "nothing plugged": (system(BARE, plugged=0), {Code.READER_NOT_PLUGGED}),
    "plugged readers not told": (system(BARE, plugged=None, has_driver=None), {Code.READER_NOT_PLUGGED}),
    "reader failing": (reader(ReaderState.FAILING), {Code.READER_NOT_ANSWERING}),
    "reader held": (reader(ReaderState.HELD, CardKind.CPS4, ("facturation.exe",)), {Code.READER_KEPT}),
    "reader held by nobody that is told": (reader(ReaderState.HELD, CardKind.CPS4), {Code.READER_KEPT}),
    "macOS holds the card": (
        system(reader(ReaderState.HELD), system=MACOS, card_tokens=("fr.asip.esante.CPSToken",), has_driver=None),
        {Code.CARD_OWNED_BY_MACOS},
    ),
    "another token of macOS": (
        system(reader(ReaderState.HELD), system=MACOS, card_tokens=("com.apple.pivtoken",), has_driver=None),
        {Code.READER_KEPT},
    ),
    "a token, and the card is read": (
        system(system=MACOS, card_tokens=("fr.asip.esante.CPSToken",), has_driver=None),
        set(),
    ),
    "card upside down": (reader(ReaderState.MUTE), {Code.CARD_SAYS_NOTHING}),
    "card unknown": (reader(ReaderState.CARD, CardKind.UNKNOWN), {Code.CARD_NOT_KNOWN}),
    "card without kind": (reader(ReaderState.CARD), {Code.CARD_NOT_KNOWN}),
    "vitale": (reader(ReaderState.CARD, CardKind.VITALE_2), set()),
    "no card": (reader(ReaderState.EMPTY), {Code.CARD_NOT_INSERTED}),
    # middleware
    **{
        f"middleware {reason.value}": (middleware(reason), {REASONS[reason]})
        for reason in TechnicalReason
        if reason is not TechnicalReason.WORKS
    },
    "middleware sees no reader, nor does the system": (
        middleware(TechnicalReason.NO_READER, system(BARE, plugged=0)),
        {Code.READER_NOT_PLUGGED},
    ),
    "middleware sees no card, and it is a vitale": (
        middleware(TechnicalReason.NO_CARD, reader(ReaderState.CARD, CardKind.VITALE_1)),
        set(),
    ),
    "several middlewares": (
        replace(HEALTHY, middleware=replace(HEALTHY.middleware, libraries=(LIBRARY, "/usr/lib64/other.so"))),
        {Code.MIDDLEWARE_SEVERAL},
    ),
    "galss, empty settings": (galss(GalssFile.EMPTY, "galsvw32.exe"), {Code.GALSS_INI_EMPTY}),
    "galss, serial port": (galss(GalssFile.SERIAL, "galsvw32.exe"), {Code.GALSS_SERIAL_PORT}),
    "galss, programs alone": (galss(GalssFile.ABSENT, "galsvw32.exe"), {Code.GALSS_LEFT}),
    "galss, settings alone": (galss(GalssFile.PLAIN), {Code.GALSS_LEFT}),
    # the agent
    "agent stopped": (silent_agent(AgentAnswer.STOPPED), {Code.AGENT_DOWN}),
    "agent of another user": (silent_agent(AgentAnswer.DENIED), {Code.AGENT_SOCKET_DENIED}),
    "agent silent": (silent_agent(AgentAnswer.SILENT), {Code.AGENT_ANSWERS_NOT}),
    "agent of another version": (silent_agent(AgentAnswer.UNREADABLE), {Code.AGENT_ANSWERS_WRONG}),
    "settings unreadable": (
        agent(settings_error="SETTING_UNKNOWN", source=ReadersSource.OFF),
        {Code.AGENT_SETTINGS_WRONG},
    ),
    "not ready": (agent(is_ready=False, ailments=(AILING,)), {Code.AGENT_NOT_READY}),
    "ready with a warning": (agent(ailments=(AILING,)), {Code.AGENT_WARNS}),
    "clock moved": (agent(ailments=(MOVED,)), {Code.AGENT_CLOCK_MOVED}),
    "clock moved, not ready": (
        agent(is_ready=False, ailments=(MOVED, AILING)),
        {Code.AGENT_CLOCK_MOVED, Code.AGENT_NOT_READY},
    ),
    "readers off": (
        agent(source=ReadersSource.OFF, readers_state="off", trouble=AILING, readers=()),
        {Code.AGENT_READERS_OFF},
    ),
    "readers off, scanners alone": (
        agent(source=ReadersSource.OFF, readers_state="running", trouble=AILING, readers=()),
        {Code.AGENT_READERS_OFF},
    ),
    "readers virtual": (agent(source=ReadersSource.VIRTUAL), {Code.AGENT_READERS_VIRTUAL}),
    "readers process down": (agent(readers_state="down", trouble=AILING), {Code.AGENT_READERS_DOWN}),
    "agent has a trouble of its own": (agent(trouble=AILING), {Code.AGENT_READERS_TROUBLE}),
    "agent says what PC/SC says": (
        replace(agent(trouble=AILING), pcsc=NO_READER, system=replace(HEALTHY.system, plugged=0)),
        {Code.READER_NOT_PLUGGED},
    ),
    "agent sees fewer": (agent(readers=()), {Code.AGENT_SEES_FEWER}),
    "agent starting": (agent(readers_state="starting", readers=()), set()),
    "not paired": (
        agent(is_paired=False, readers_state="", readers=()),
        {Code.AGENT_NOT_ASKED},
    ),
    # around
    "proxy": (system(proxies=("HTTP_PROXY",)), {Code.LOCAL_CALLS_PROXIED}),
    "clock not kept": (system(is_clock_kept=False), {Code.CLOCK_NOT_KEPT}),
    "clock not told": (system(is_clock_kept=None), set()),
}


@pytest.mark.parametrize(("facts", "expected"), CASES.values(), ids=CASES)
def test_a_cause_is_told_once_and_alone(facts: Facts, expected: set[Code]) -> None:
    codes = [finding.code for finding in judge(facts)]
    assert (set(codes), len(codes)) == (expected, len(expected))


@pytest.mark.parametrize(("facts", "expected"), CASES.values(), ids=CASES)
def test_a_sentence_names_every_fact_it_announces(facts: Facts, expected: set[Code]) -> None:
    for finding in judge(facts):
        for sentence in (finding.doctor, finding.technician, finding.action):
            assert sentence
            assert "?" not in sentence
            assert "{" not in sentence


def test_every_code_has_its_rule_its_sentences_and_a_case() -> None:
    assert [rule.code for rule in RULES] == list(Code)
    assert set(sentences()) == set(Code)
    assert {code for _, expected in CASES.values() for code in expected} == set(Code)


def test_a_held_reader_names_its_holders() -> None:
    (named,) = judge(CASES["reader held"][0])
    (unnamed,) = judge(CASES["reader held by nobody that is told"][0])
    assert "facturation.exe" in named.technician
    assert "non nommés par le système" in unnamed.technician


def test_each_reader_and_each_ailment_has_its_finding() -> None:
    two = (replace(A_READER, name="B", state=ReaderState.MUTE), replace(A_READER, name="C", state=ReaderState.MUTE))
    facts = replace(HEALTHY, pcsc=replace(HEALTHY.pcsc, readers=two), agent=replace(HEALTHY.agent, readers=("B", "C")))
    assert [finding.params["reader"] for finding in judge(facts)] == ["B", "C"]


def test_what_only_explains_is_no_fault() -> None:
    notices = {rule.code for rule in RULES if rule.weight is Weight.NOTICE}
    assert notices >= {Code.CARD_NOT_INSERTED, Code.AGENT_READERS_OFF, Code.GALSS_LEFT, Code.CLOCK_NOT_KEPT}
    assert not notices & {Code.PCSC_SERVICE_STOPPED, Code.READER_KEPT, Code.MIDDLEWARE_NO_FILE, Code.AGENT_DOWN}


def facts_of_anywhere() -> st.SearchStrategy[Facts]:
    words = st.text(alphabet="abcAB .-", max_size=6)
    readers = st.builds(
        SeenReader,
        name=words,
        state=st.sampled_from(ReaderState),
        card=st.none() | st.sampled_from(CardKind),
    )
    several = st.lists(readers, max_size=3).map(tuple)
    names = st.lists(words, max_size=2).map(tuple)
    counts = st.none() | st.integers(0, 3)
    told = st.builds(Told, code=words, title=words, action=words, minutes=st.none() | st.integers(1, 90))
    return st.builds(
        Facts,
        system=st.builds(
            SystemFacts,
            system=st.sampled_from(HostSystem),
            remote=st.sampled_from(("", "rdp")),
            plugged=counts,
            faulty=counts,
            has_driver=st.none() | st.booleans(),
            card_tokens=names,
            galss=st.builds(GalssFacts, ini=st.sampled_from(GalssFile), programs=names),
            proxies=names,
            is_clock_kept=st.none() | st.booleans(),
        ),
        service=st.builds(
            ServiceFacts, name=words, state=st.sampled_from(ServiceState), socket=st.sampled_from(SocketState)
        ),
        pcsc=st.builds(PcscFacts, answer=st.sampled_from(PcscAnswer), result=words, readers=several, holders=names),
        middleware=st.builds(
            MiddlewareFacts,
            explanation=st.builds(
                MiddlewareExplanation,
                situation=st.none(),
                reason=st.sampled_from(TechnicalReason),
                params=st.just(MIDDLEWARE_PARAMS),
            ),
            libraries=names,
        ),
        agent=st.builds(
            AgentFacts,
            answer=st.sampled_from(AgentAnswer),
            is_ready=st.booleans(),
            ailments=st.lists(told, max_size=2).map(tuple),
            is_paired=st.booleans(),
            readers_state=st.sampled_from(("", "off", "starting", "running", "down")),
            trouble=st.none() | told,
            readers=names,
            settings_error=words,
            source=st.sampled_from(ReadersSource),
        ),
    )


@settings(max_examples=300, deadline=None)
@given(facts_of_anywhere())
def test_any_facts_are_judged_and_an_unusable_service_is_always_a_fault(facts: Facts) -> None:
    found = judge(facts)
    assert [finding.code for finding in found] == sorted((finding.code for finding in found), key=list(Code).index)
    if facts.pcsc.answer is not PcscAnswer.WORKS:
        assert any(finding.weight is Weight.FAULT for finding in found)
    elif not facts.pcsc.readers:
        explained = {Code.READER_NOT_PLUGGED, Code.READER_DRIVER_MISSING, Code.REMOTE_SESSION_NO_READER}
        assert explained & {finding.code for finding in found}


def test_the_page_shows_the_rules_as_they_are() -> None:
    page = (DOCS / "doctor.md").read_text("utf-8")
    assert loaded(DOCS / "generate.py").rendered("doctor.md", page) == page, "run: python docs/generate.py"
    with pytest.raises(ValueError, match="doctor-rules"):
        loaded(DOCS / "generate.py").rendered("doctor.md", "no table here")
