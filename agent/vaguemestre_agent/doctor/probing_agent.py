"""Asks the running agent what it sees, through its local API like any program; works, and says so, when none runs.

Owns the reading of health and readers into facts. Keeps codes, sentences of the catalogue, names of readers and
counts: never a card's stay, never a professional.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from vaguemestre_agent.cli.connection import read_credentials
from vaguemestre_agent.doctor.facts import AgentAnswer, AgentFacts, SocketState, Told
from vaguemestre_agent.doctor.probing_pcsc import socket_state
from vaguemestre_agent.paths import AgentPaths
from vaguemestre_agent.settings import load_settings
from vaguemestre_api import wire, wire_readers
from vaguemestre_api.blocking import call
from vaguemestre_api.client import Client, Credentials
from vaguemestre_api.endpoint import PIPE_PREFIX
from vaguemestre_api.failures import AgentNotRunning, AgentSilent, ClientFailure
from vaguemestre_core.errors import Forbidden, InvalidInput
from vaguemestre_core.readerports import ReadersSettings

ANSWER_S: Final = 5.0
START_GRACE_S: Final = 1.0


def read_reader_settings(paths: AgentPaths, environment: Mapping[str, str]) -> tuple[ReadersSettings, str]:
    """Return the settings of the readers, and the code of the error when the file cannot be read (then defaults)."""
    try:
        return load_settings(paths.config, environment).readers, ""
    except InvalidInput as refused:
        return ReadersSettings(), refused.code


def probe_agent(paths: AgentPaths, settings: ReadersSettings, settings_error: str = "") -> AgentFacts:
    """Return what the agent says; asks two questions at most, each bounded."""
    facts = AgentFacts(settings_error=settings_error, source=settings.source)
    if _is_denied(paths.endpoint.address):
        return replace(facts, answer=AgentAnswer.DENIED)
    credentials = _credentials(paths)

    def make() -> Client:
        return Client(paths.endpoint, credentials, timeout_s=ANSWER_S, start_grace_s=START_GRACE_S)

    try:
        health = call(make, lambda client: client.health())
    except ClientFailure as failure:
        return replace(facts, answer=_answer(failure))
    facts = replace(
        facts,
        answer=AgentAnswer.ANSWERS,
        is_ready=health.ready,
        ailments=tuple(_told_of(item) for item in health.items if not item.ok),
    )
    if credentials is None:
        return facts
    try:
        seen = call(make, lambda client: client.readers())
    except ClientFailure:  # revoked, another scope, or an older agent: not asked
        return facts
    return with_readers(facts, seen)


def with_readers(facts: AgentFacts, seen: wire_readers.Readers) -> AgentFacts:
    """Return the facts with what the agent sees of readers."""
    trouble = seen.trouble
    return replace(
        facts,
        is_paired=True,
        readers_state=seen.state,
        trouble=None if trouble is None else Told(code=trouble.code, title=trouble.title, action=trouble.action),
        readers=tuple(one.name for one in seen.readers),
    )


def _told_of(item: wire.HealthItem) -> Told:
    minutes = item.params.get("minutes")
    is_clock = item.code.startswith("CLOCK_") and isinstance(minutes, int)
    return Told(code=item.code, title=item.title, action=item.action, minutes=int(minutes or 0) if is_clock else None)


def _answer(failure: ClientFailure) -> AgentAnswer:
    if isinstance(failure, AgentNotRunning):
        return AgentAnswer.STOPPED
    return AgentAnswer.SILENT if isinstance(failure, AgentSilent) else AgentAnswer.UNREADABLE


def _credentials(paths: AgentPaths) -> Credentials | None:
    try:
        return read_credentials(paths)
    except Forbidden:
        return None


def _is_denied(address: str) -> bool:
    return not address.startswith(PIPE_PREFIX) and socket_state(address) is SocketState.DENIED
