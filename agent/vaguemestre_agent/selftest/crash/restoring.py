"""Copies of a practice's folders made while no agent runs: a state put back later, or a whole home living beside.

Owns the copies only: recognising them is the agent's affair.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from vaguemestre_agent.paths import agent_paths
from vaguemestre_agent.practice.agent import Practice


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedState:
    """A copy of a state folder."""

    state: Path
    copy: Path

    @classmethod
    @asynccontextmanager
    async def of(cls, practice: Practice) -> AsyncIterator[SavedState]:
        """Copy the state of a practice whose agent is dead; forget the copy at the end."""
        state = agent_paths({**os.environ, **practice.environment}).state
        with tempfile.TemporaryDirectory(dir=practice.home) as place:
            saved = cls(state=state, copy=Path(place) / "state")
            await asyncio.to_thread(shutil.copytree, state, saved.copy)
            yield saved

    async def put_back(self) -> None:
        """Put the copy in the place of the state, whose agent is dead."""
        await asyncio.to_thread(shutil.rmtree, self.state)
        await asyncio.to_thread(shutil.copytree, self.copy, self.state)


@asynccontextmanager
async def copied_home(practice: Practice) -> AsyncIterator[Practice]:
    """Copy the whole home of a practice whose agent is dead: the same agent, sessions and LGCs, elsewhere."""
    with tempfile.TemporaryDirectory(prefix="vaguemestre-copy-") as place:
        home = Path(place) / "agent"
        await asyncio.to_thread(shutil.copytree, practice.home, home, ignore=shutil.ignore_patterns("run", "*.err"))
        yield replace(practice, home=home, environment={**practice.environment, "VAGUEMESTRE_HOME": str(home)})
