"""A practice to measure: a sandbox and an agent as real processes, an LGC paired with a session open."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from vaguemestre_agent.practice.agent import Practice
from vaguemestre_agent.practice.documents import metadata, tiny_pdf
from vaguemestre_agent.practice.home import CRASH_PACE, make_home
from vaguemestre_agent.practice.processes import Child, stopped_at_the_end
from vaguemestre_agent.practice.sandbox import SandboxFacts, running_sandbox
from vaguemestre_api.client import DocumentBody


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """What runs."""

    practice: Practice
    agent: Child
    facts: SandboxFacts


def document(number: int, size: int = 0) -> DocumentBody:
    """Return a report whose PDF has about that many bytes: the rest is a comment at its end."""
    pdf = tiny_pdf(f"Compte rendu {number}")
    filler = b"%" + b"x" * max(0, size - len(pdf) - 8) + b"\n"
    body = pdf.replace(b"%%EOF\n", b"") + (filler if size else b"") + b"%%EOF\n"
    return DocumentBody(metadata=metadata(f"Compte rendu {number}"), body=body, media_type="application/pdf")


@asynccontextmanager
async def running(folder: Path) -> AsyncIterator[Running]:
    """Run a practice whose agent sends at once; no session is open yet."""
    async with running_sandbox(folder / "sandbox") as sandbox:
        environment = make_home(folder / "home", sandbox.facts, CRASH_PACE)
        practice = Practice(folder / "home", environment, sandbox.facts)
        agent = await practice.start()
        async with stopped_at_the_end(agent):
            await practice.wait_ready(agent)
            await practice.pair()
            yield Running(practice=practice, agent=agent, facts=sandbox.facts)
