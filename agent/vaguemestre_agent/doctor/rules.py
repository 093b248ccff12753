"""The doctor's judgement: a table of rules from facts to findings, without any input or output.

Owns when each code is told. A rule names one cause; a cause that explains another keeps it quiet. The sentences are in
``codes``. Source of the faults: field reports on readers (no service, no driver, held, remote, several middlewares).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Final

from vaguemestre_agent.doctor.codes import REASONS, Code, Weight, sentences
from vaguemestre_agent.doctor.facts import (
    AgentAnswer,
    Facts,
    GalssFile,
    PcscAnswer,
    ServiceState,
    SocketState,
    Told,
)
from vaguemestre_api.messages import fill
from vaguemestre_core.cards import CardKind, ReaderState
from vaguemestre_core.readerports import ReadersSource
from vaguemestre_drivers.cps.middleware import HostSystem
from vaguemestre_drivers.cps.probing import TechnicalReason

OLDEST_MIDDLEWARE: Final = (5, 2)
"""The first that reads CPS4 cards. Source: Cryptolib CPS release notes."""

Params = Mapping[str, str | int]
When = Callable[[Facts], Iterable[Params]]
_UNKNOWN: Final = "non connu"
_HERE: Final[Params] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing found: its code, its weight, and its sentences with the facts in them; nothing personal."""

    code: Code
    weight: Weight
    doctor: str
    technician: str
    action: str
    params: Params


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """When a code is told: ``when`` gives the facts of each time it must be, none when it must not."""

    code: Code
    weight: Weight
    when: When


def judge(facts: Facts) -> tuple[Finding, ...]:
    """Return what the facts mean, causes first; empty when nothing is to be said."""
    return tuple(_finding(rule, params) for rule in RULES for params in rule.when(facts))


def _finding(rule: Rule, params: Params) -> Finding:
    said = sentences()[rule.code]
    return Finding(
        code=rule.code,
        weight=rule.weight,
        doctor=fill(said.doctor, params),
        technician=fill(said.technician, params),
        action=fill(said.action, params),
        params=MappingProxyType(dict(params)),
    )


def _if(condition: bool, params: Params = _HERE) -> Iterable[Params]:
    return (params,) if condition else ()


# PC/SC and its service


def _service(facts: Facts) -> Params:
    return {"service": facts.service.name, "result": facts.pcsc.result or _UNKNOWN}


def _pcsc_answers(answer: PcscAnswer, facts: Facts) -> Iterable[Params]:
    return _if(facts.pcsc.answer is answer, _service(facts))


def _is_unreachable(facts: Facts) -> bool:
    """Say whether no context is given, by a service that may be away or may keep this user out."""
    return facts.pcsc.answer in (PcscAnswer.NO_SERVICE, PcscAnswer.FAILED)


def _sleeps_without_reader(facts: Facts) -> bool:
    """Windows stops the service when no reader is plugged: the reader is the cause, not the service."""
    is_windows = facts.system.system is HostSystem.WINDOWS
    return is_windows and facts.service.state is ServiceState.STOPPED and facts.system.plugged == 0


def _service_is(state: ServiceState, facts: Facts) -> Iterable[Params]:
    return _if(_is_unreachable(facts) and facts.service.state is state, _service(facts))


def _refusal_of_running_service(facts: Facts) -> bool:
    """Say whether a service that listens gives no context: on Linux, polkit refused this user."""
    return (
        facts.pcsc.answer is PcscAnswer.NO_SERVICE
        and facts.system.system is HostSystem.LINUX
        and facts.service.socket is SocketState.OPEN
    )


def _is_kept_out(facts: Facts) -> bool:
    return _is_unreachable(facts) and facts.service.socket is SocketState.DENIED


def _pcsc_stopped(facts: Facts) -> Iterable[Params]:
    explained = (
        facts.service.state in (ServiceState.ABSENT, ServiceState.DISABLED)
        or _is_kept_out(facts)
        or _refusal_of_running_service(facts)
        or _sleeps_without_reader(facts)
    )
    return _if(facts.pcsc.answer is PcscAnswer.NO_SERVICE and not explained, _service(facts))


def _pcsc_denied(facts: Facts) -> Iterable[Params]:
    says_so = facts.pcsc.answer is PcscAnswer.DENIED
    return _if(says_so or _refusal_of_running_service(facts), _service(facts))


def _pcsc_refuses(facts: Facts) -> Iterable[Params]:
    away = facts.service.state in (ServiceState.ABSENT, ServiceState.DISABLED)
    is_refused = facts.pcsc.answer is PcscAnswer.FAILED and not away and not _is_kept_out(facts)
    return _if(is_refused, _service(facts))


# readers and cards


def _lists_none(facts: Facts) -> bool:
    """Say whether the service answers, or sleeps for want of a reader, and lists none."""
    is_answered = facts.pcsc.answer is PcscAnswer.WORKS
    return (is_answered or (_is_unreachable(facts) and _sleeps_without_reader(facts))) and not facts.sees_readers


def _counts(facts: Facts) -> Params:
    plugged, faulty, driver = facts.system.plugged, facts.system.faulty, facts.system.has_driver
    return {
        "plugged": _UNKNOWN if plugged is None else plugged,
        "faulty": _UNKNOWN if faulty is None else faulty,
        "listed": len(facts.pcsc.readers),
        "driver": _UNKNOWN if driver is None else ("présent" if driver else "absent"),
    }


def _driver_missing(facts: Facts) -> Iterable[Params]:
    is_faulty = bool(facts.system.faulty)
    is_unlisted = _lists_none(facts) and bool(facts.system.plugged)
    return _if(is_faulty or is_unlisted, _counts(facts))


def _remote_without_reader(facts: Facts) -> Iterable[Params]:
    is_remote = bool(facts.system.remote) and not facts.system.plugged
    return _if(_lists_none(facts) and is_remote, {"remote": facts.system.remote})


def _not_plugged(facts: Facts) -> Iterable[Params]:
    is_bare = not facts.system.plugged and not facts.system.faulty and not facts.system.remote
    return _if(_lists_none(facts) and is_bare, _counts(facts))


def _readers_in(state: ReaderState, facts: Facts) -> Iterable[Params]:
    return tuple({"reader": one.name} for one in facts.pcsc.readers if one.state is state)


def _cps_tokens(facts: Facts) -> tuple[str, ...]:
    if facts.system.system is not HostSystem.MACOS:
        return ()
    return tuple(one for one in facts.system.card_tokens if "cps" in one.lower())


def _kept(facts: Facts) -> Iterable[Params]:
    if _cps_tokens(facts):
        return ()
    holders = ", ".join(facts.pcsc.holders) or "non nommés par le système"
    return tuple({**one, "holders": holders} for one in _readers_in(ReaderState.HELD, facts))


def _kept_by_macos(facts: Facts) -> Iterable[Params]:
    tokens = _cps_tokens(facts)
    held = _readers_in(ReaderState.HELD, facts) if tokens else ()
    return tuple({**one, "tokens": ", ".join(tokens)} for one in held)


def _card_unknown(facts: Facts) -> Iterable[Params]:
    kinds = (None, CardKind.UNKNOWN)
    readers = facts.pcsc.readers
    return tuple({"reader": one.name} for one in readers if one.state is ReaderState.CARD and one.card in kinds)


def _no_card(facts: Facts) -> Iterable[Params]:
    are_empty = all(one.state is ReaderState.EMPTY for one in facts.pcsc.readers)
    return _if(facts.sees_readers and are_empty, _counts(facts))


# the middleware and what is left of others


def _middleware(reason: TechnicalReason, facts: Facts) -> Iterable[Params]:
    explanation = facts.middleware.explanation
    return _if(explanation.reason is reason, explanation.params)


def _middleware_blind(facts: Facts) -> Iterable[Params]:
    explanation = facts.middleware.explanation
    is_blind = explanation.reason is TechnicalReason.NO_READER and facts.sees_readers
    return _if(is_blind, {**explanation.params, **_counts(facts)})


def _middleware_without_card(facts: Facts) -> Iterable[Params]:
    explanation = facts.middleware.explanation
    return _if(explanation.reason is TechnicalReason.NO_CARD and facts.sees_cps, explanation.params)


def _several_middlewares(facts: Facts) -> Iterable[Params]:
    libraries = facts.middleware.libraries
    return _if(len(libraries) > 1, {"libraries": ", ".join(libraries)})


def _galss_ini(kind: GalssFile, facts: Facts) -> Iterable[Params]:
    return _if(facts.system.galss.ini is kind)


def _galss_left(facts: Facts) -> Iterable[Params]:
    galss = facts.system.galss
    is_told = galss.ini in (GalssFile.EMPTY, GalssFile.SERIAL)
    programs = ", ".join(galss.programs) or "galss.ini"
    return _if(galss.is_there and not is_told, {"programs": programs})


# the agent


def _agent_answers(answer: AgentAnswer, facts: Facts) -> Iterable[Params]:
    return _if(facts.agent.answer is answer)


def _said(told: Told) -> Params:
    return {"code": told.code, "title": told.title, "action": told.action}


def _ailments(is_ready: bool, facts: Facts) -> Iterable[Params]:
    agent = facts.agent
    is_told = agent.answer is AgentAnswer.ANSWERS and agent.is_ready is is_ready
    return tuple(_said(one) for one in agent.ailments if one.minutes is None) if is_told else ()


def _clock_moved(facts: Facts) -> Iterable[Params]:
    moved = [(one, one.minutes) for one in facts.agent.ailments if one.minutes is not None]
    return tuple({"code": told.code, "minutes": minutes} for told, minutes in moved)


def _source_is(source: ReadersSource, facts: Facts) -> Iterable[Params]:
    return _if(not facts.agent.settings_error and facts.agent.source is source)


def _readers_down(facts: Facts) -> Iterable[Params]:
    return _if(facts.agent.readers_state == "down", {"state": facts.agent.readers_state})


def _readers_trouble(facts: Facts) -> Iterable[Params]:
    # What PC/SC says here as well has its own rule, as have a process that is down and readers that are switched off.
    trouble = facts.agent.trouble
    is_off = facts.agent.source is ReadersSource.OFF or facts.agent.readers_state == "off"
    is_told = is_off or facts.agent.readers_state == "down" or not facts.sees_readers
    return () if trouble is None or is_told else (_said(trouble),)


def _sees_fewer(facts: Facts) -> Iterable[Params]:
    agent = facts.agent
    if agent.readers_state != "running" or agent.trouble is not None or agent.source is not ReadersSource.PCSC:
        return ()
    return tuple({"reader": one.name} for one in facts.pcsc.readers if one.name not in agent.readers)


def _not_asked(facts: Facts) -> Iterable[Params]:
    return _if(facts.agent.answer is AgentAnswer.ANSWERS and not facts.agent.is_paired)


def _settings_wrong(facts: Facts) -> Iterable[Params]:
    return _if(bool(facts.agent.settings_error), {"code": facts.agent.settings_error})


def _proxied(facts: Facts) -> Iterable[Params]:
    return _if(bool(facts.system.proxies), {"proxies": ", ".join(facts.system.proxies)})


def _clock_not_kept(facts: Facts) -> Iterable[Params]:
    return _if(facts.system.is_clock_kept is False)


_BLIND: Final = (TechnicalReason.NO_READER, TechnicalReason.NO_CARD)  # told only when PC/SC sees more
_UNTRIED: Final = (TechnicalReason.NOT_TRIED,)


def _rules() -> Iterable[Rule]:
    fault, notice = Weight.FAULT, Weight.NOTICE
    reasons = [one for one in REASONS if one not in _BLIND + _UNTRIED]
    table: dict[Code, tuple[Weight, When]] = {
        Code.PCSC_LIBRARY_ABSENT: (fault, partial(_pcsc_answers, PcscAnswer.LIBRARY_ABSENT)),
        Code.PCSC_NOT_INSTALLED: (fault, partial(_service_is, ServiceState.ABSENT)),
        Code.PCSC_DISABLED: (fault, partial(_service_is, ServiceState.DISABLED)),
        Code.PCSC_SERVICE_STOPPED: (fault, _pcsc_stopped),
        Code.PCSC_SOCKET_DENIED: (fault, lambda facts: _if(_is_kept_out(facts), _service(facts))),
        Code.PCSC_NOT_ALLOWED: (fault, _pcsc_denied),
        Code.PCSC_REFUSES: (fault, _pcsc_refuses),
        Code.PCSC_CRASHES: (fault, partial(_pcsc_answers, PcscAnswer.CRASHED)),
        Code.PCSC_SILENT: (fault, partial(_pcsc_answers, PcscAnswer.SILENT)),
        Code.PCSC_NOT_TRIED: (fault, partial(_pcsc_answers, PcscAnswer.NOT_ASKED)),
        Code.REMOTE_SESSION_NO_READER: (fault, _remote_without_reader),
        Code.READER_DRIVER_MISSING: (fault, _driver_missing),
        Code.READER_NOT_PLUGGED: (fault, _not_plugged),
        Code.READER_NOT_ANSWERING: (fault, partial(_readers_in, ReaderState.FAILING)),
        Code.READER_KEPT: (fault, _kept),
        Code.CARD_OWNED_BY_MACOS: (fault, _kept_by_macos),
        Code.CARD_SAYS_NOTHING: (fault, partial(_readers_in, ReaderState.MUTE)),
        Code.CARD_NOT_KNOWN: (notice, _card_unknown),
        Code.CARD_NOT_INSERTED: (notice, _no_card),
        **{REASONS[reason]: (fault, partial(_middleware, reason)) for reason in reasons},
        Code.MIDDLEWARE_NOT_TRIED: (notice, partial(_middleware, TechnicalReason.NOT_TRIED)),
        Code.MIDDLEWARE_NO_READER: (fault, _middleware_blind),
        Code.MIDDLEWARE_NO_CARD: (fault, _middleware_without_card),
        Code.MIDDLEWARE_SEVERAL: (notice, _several_middlewares),
        Code.GALSS_INI_EMPTY: (notice, partial(_galss_ini, GalssFile.EMPTY)),
        Code.GALSS_SERIAL_PORT: (notice, partial(_galss_ini, GalssFile.SERIAL)),
        Code.GALSS_LEFT: (notice, _galss_left),
        Code.AGENT_DOWN: (fault, partial(_agent_answers, AgentAnswer.STOPPED)),
        Code.AGENT_SOCKET_DENIED: (fault, partial(_agent_answers, AgentAnswer.DENIED)),
        Code.AGENT_ANSWERS_NOT: (fault, partial(_agent_answers, AgentAnswer.SILENT)),
        Code.AGENT_ANSWERS_WRONG: (fault, partial(_agent_answers, AgentAnswer.UNREADABLE)),
        Code.AGENT_SETTINGS_WRONG: (fault, _settings_wrong),
        Code.AGENT_NOT_READY: (fault, partial(_ailments, False)),
        Code.AGENT_WARNS: (notice, partial(_ailments, True)),
        Code.AGENT_CLOCK_MOVED: (fault, _clock_moved),
        Code.AGENT_READERS_OFF: (notice, partial(_source_is, ReadersSource.OFF)),
        Code.AGENT_READERS_VIRTUAL: (notice, partial(_source_is, ReadersSource.VIRTUAL)),
        Code.AGENT_READERS_DOWN: (fault, _readers_down),
        Code.AGENT_READERS_TROUBLE: (fault, _readers_trouble),
        Code.AGENT_SEES_FEWER: (fault, _sees_fewer),
        Code.AGENT_NOT_ASKED: (notice, _not_asked),
        Code.LOCAL_CALLS_PROXIED: (notice, _proxied),
        Code.CLOCK_NOT_KEPT: (notice, _clock_not_kept),
    }
    return (Rule(code=code, weight=table[code][0], when=table[code][1]) for code in Code)


RULES: Final[tuple[Rule, ...]] = tuple(_rules())
"""One rule a code, in the order of ``Code``."""
