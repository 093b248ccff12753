"""The home of an agent that talks to a sandbox: settings, profile with short times, environment."""

from __future__ import annotations

import json
import socket
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from vaguemestre_agent.practice.sandbox import SandboxFacts
from vaguemestre_agent.settings import SETTINGS_FILE


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How fast things go in a practice that has no patience.

    Attributes:
        delay_s, undo_s: deferral.
        retry_base_s, retry_ceiling_s: backoff.
        feed_total_s: longest feeding.
        longest_exchange_s: after which an "unknown there" counts.
        first_lookup_s: first lookup of a doubt.
    """

    delay_s: float
    undo_s: float
    retry_base_s: float
    retry_ceiling_s: float
    feed_total_s: float
    longest_exchange_s: float
    first_lookup_s: float


DEMO_PACE = Pace(
    delay_s=4.0,
    undo_s=3.0,
    retry_base_s=1.0,
    retry_ceiling_s=4.0,
    feed_total_s=6.0,
    longest_exchange_s=8.0,
    first_lookup_s=1.5,
)
CRASH_PACE = Pace(
    delay_s=0.0,
    undo_s=0.0,
    retry_base_s=0.1,
    retry_ceiling_s=0.5,
    feed_total_s=1.5,
    longest_exchange_s=2.5,
    first_lookup_s=0.2,
)


def make_home(folder: Path, facts: SandboxFacts, pace: Pace, card_ports: Sequence[int] = ()) -> Mapping[str, str]:
    """Write the settings of an agent for a sandbox; return the environment that makes an agent use them.

    Args:
        folder: the agent's home.
        facts: the sandbox.
        pace: how fast things go.
        card_ports: loopback ports of virtual readers; none: a workstation without readers.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    profile = folder / "profile.toml"
    profile.write_text(_profile(pace), encoding="utf-8")
    tables: dict[str, dict[str, object]] = {
        "agent": {"key_store": "file", "station": "POSTE-1", "log_level": "INFO", "drain_s": 2.0},
        "services": {
            "profile": str(profile),
            "proxy_url": facts.proxy,
            "ca_file": str(facts.ca),
            "client_certificate": str(facts.client_certificate),
            "client_key": str(facts.client_key),
            "signing_certificate": str(facts.signature_certificate),
            "signing_key": str(facts.signature_key),
        },
        "deferral": {"delay_s": pace.delay_s, "undo_s": pace.undo_s},
        # A sandbox fails on purpose: no order is to be blamed for it.
        "dispatch": {"first_lookup_s": pace.first_lookup_s, "idle_s": 5.0, "strikes": 1000},
        "breaker": {"base_s": pace.retry_base_s, "ceiling_s": pace.retry_ceiling_s},
        "retry": {"base_s": pace.retry_base_s, "ceiling_s": pace.retry_ceiling_s, "no_dmp_s": pace.retry_ceiling_s},
    }
    if card_ports:
        ports = " ".join(str(port) for port in card_ports)
        # A busy machine is no reason to start the readers anew in front of somebody.
        tables["readers"] = {"source": "virtual", "virtual_ports": ports, "silent_s": 5.0}
    (folder / SETTINGS_FILE).write_text(_toml(tables), encoding="utf-8")
    return {"VAGUEMESTRE_HOME": str(folder)}


def free_ports(count: int) -> tuple[int, ...]:
    """Return loopback ports that nobody listens on, all different: for virtual readers."""
    with ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return tuple(int(probe.getsockname()[1]) for probe in probes)


def _profile(pace: Pace) -> str:
    """Return the shipped sandbox profile with this pace's times."""
    text = resources.files("vaguemestre_agent").joinpath("profiles/sandbox.toml").read_text(encoding="utf-8")
    times = {
        "read_s": pace.feed_total_s,
        "feed_total_s": pace.feed_total_s,
        "query_total_s": pace.feed_total_s,
        "longest_exchange_s": pace.longest_exchange_s,
    }
    lines = [
        f"{name} = {times[name]}" if (name := line.partition("=")[0].strip()) in times else line
        for line in text.splitlines()
    ]
    return "\n".join(lines) + "\n"


def _toml(tables: Mapping[str, Mapping[str, object]]) -> str:
    """Return tables of texts and numbers as TOML (a JSON text is a TOML basic string)."""
    lines: list[str] = []
    for table, values in tables.items():
        lines.append(f"[{table}]")
        lines += [f"{name} = {json.dumps(value, ensure_ascii=False)}" for name, value in values.items()]
    return "\n".join(lines) + "\n"
