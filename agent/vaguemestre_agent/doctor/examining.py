"""Gathers the facts of this workstation, one bounded question after the other, and judges them.

Owns the order of the questions. Reads and asks only: nothing is written, started, or kept.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

from vaguemestre_agent.doctor.facts import Facts, MiddlewareFacts
from vaguemestre_agent.doctor.probing_agent import probe_agent, read_reader_settings
from vaguemestre_agent.doctor.probing_pcsc import probe_pcsc, probe_service
from vaguemestre_agent.doctor.probing_system import probe_system
from vaguemestre_agent.doctor.rules import OLDEST_MIDDLEWARE
from vaguemestre_agent.paths import agent_paths
from vaguemestre_drivers.cps.middleware import FileVerdict, MiddlewareSearch, host_system, search_here
from vaguemestre_drivers.cps.probing import explain_middleware, probe_middleware


def examine(environment: Mapping[str, str], *, module: str | None = None) -> Facts:
    """Return the facts; each question is bounded.

    Args:
        environment: variables of this session.
        module: the PKCS#11 library to try, over the settings'.
    """
    system = host_system()
    paths = agent_paths(environment)
    settings, settings_error = read_reader_settings(paths, environment)
    windir = environment.get("WINDIR", r"C:\Windows")
    found = search_here(override=module or settings.pkcs11_module or None, windir=windir)
    return Facts(
        system=probe_system(system, environment),
        pcsc=probe_pcsc(),
        service=probe_service(system, environment),
        middleware=without_home(_middleware(found), Path.home()),
        agent=probe_agent(paths, settings, settings_error),
    )


def _middleware(found: MiddlewareSearch) -> MiddlewareFacts:
    chosen = found.chosen
    report = None if chosen is None else probe_middleware(chosen.path)
    return MiddlewareFacts(
        explanation=explain_middleware(found, report, minimum_version=OLDEST_MIDDLEWARE),
        libraries=libraries_of(found),
    )


def without_home(facts: MiddlewareFacts, home: Path) -> MiddlewareFacts:
    """Return the facts with ``~`` for the person's own folder, which may hold a name."""
    own = str(home)

    def shown(value: str) -> str:
        return value.replace(own, "~")

    said = facts.explanation
    params = {name: shown(value) if isinstance(value, str) else value for name, value in said.params.items()}
    path = None if said.path is None else shown(said.path)
    return MiddlewareFacts(
        explanation=replace(said, params=MappingProxyType(params), path=path),
        libraries=tuple(shown(one) for one in facts.libraries),
    )


def libraries_of(found: MiddlewareSearch) -> tuple[str, ...]:
    """Return every library that exists, once each however many links lead to it."""
    there = [one.path for one in found.candidates if one.verdict is not FileVerdict.MISSING]
    return tuple(dict.fromkeys(os.path.realpath(path) for path in there))
