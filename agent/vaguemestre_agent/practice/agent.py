"""The agent as a child process, and the LGC that talks to it: pairing, sessions, deposits that survive its death."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from vaguemestre_agent.paths import AgentPaths, agent_paths
from vaguemestre_agent.practice.documents import DOCTOR, OID_ROOT
from vaguemestre_agent.practice.processes import Child, start_module
from vaguemestre_agent.practice.sandbox import SandboxFacts, open_proxy_session
from vaguemestre_agent.practice.warming import WarmProcess
from vaguemestre_api import wire
from vaguemestre_api.client import Client, Credentials
from vaguemestre_api.failures import AgentNotRunning, AgentSilent
from vaguemestre_core.errors import ServiceError

START_S: Final = 30.0
FIRST_LGC: Final = "LGC Essai"
SECOND_LGC: Final = "LGC Second"
ACTOR: Final = wire.Actor(user="dr-essai", role="medecin", rpps=DOCTOR[1:])


@dataclass(slots=True)
class Practice:
    """An agent's home, the sandbox it talks to, and an LGC paired with it.

    Attributes:
        home: the agent's home.
        environment: what makes an agent use that home.
        facts: the sandbox.
        module: what is run as the agent.
        credentials: the LGC's, once paired.
        other: a second LGC's, once paired.
        detached: the agent outlives us.
        cookie: the LGC's own session at the proxy, once opened.
        warm: what starts agents faster than a new interpreter, where there is one.
    """

    home: Path
    environment: Mapping[str, str]
    facts: SandboxFacts
    module: str = "vaguemestre_agent"
    credentials: Credentials | None = None
    other: Credentials | None = None
    detached: bool = False
    cookie: tuple[str, str] | None = None
    warm: WarmProcess | None = None

    async def start(self, extra: Mapping[str, str] | None = None) -> Child:
        """Start an agent; it may not be ready yet."""
        environment = {**self.environment, **(extra or {})}
        if self.warm is not None:
            return await self.warm.start(self.module, ["agent"], self.home, "agent", environment)
        return await start_module(self.module, ["agent"], self.home, "agent", environment, detached=self.detached)

    def client(self, timeout_s: float = 10.0, credentials: Credentials | None = None) -> Client:
        """Return an LGC's connection to the agent: the first one's, unless others are named."""
        paths = agent_paths({**os.environ, **self.environment})
        return Client(
            paths.endpoint, credentials or self.credentials, actor=ACTOR, timeout_s=timeout_s, start_grace_s=START_S
        )

    async def wait_ready(self, child: Child, timeout_s: float = START_S) -> None:
        """Wait until the agent answers. Raises ServiceError CHILD_ENDED, CHILD_SILENT."""
        try:
            async with asyncio.timeout(timeout_s), self.client() as client:
                while True:
                    if not child.is_alive:
                        raise ServiceError("CHILD_ENDED", status=child.process.returncode)
                    with contextlib.suppress(AgentNotRunning, AgentSilent):
                        await client.health()
                        return
                    await asyncio.sleep(0.02)
        except TimeoutError as error:
            raise ServiceError("CHILD_SILENT") from error

    async def pair(self) -> None:
        """Pair the LGC with the code that only this user can read."""
        paths = agent_paths({**os.environ, **self.environment})
        self.credentials = await first_credentials(paths, self._product(FIRST_LGC))

    async def pair_another(self) -> None:
        """Pair a second LGC with a code that the first one asks for."""
        async with self.client() as client:
            code = await client.open_pairing(["read", "enqueue", "control"])
            self.other = await _paired(client, code.code, SECOND_LGC, self._product(SECOND_LGC))

    def _product(self, name: str) -> wire.Product:
        return wire.Product(
            lps_name=name,
            lps_version="1.0",
            lps_id="0001",
            homologation_id="ESSAI-0001",
            proxy_client_id=self.facts.client_id,
            oid_root=OID_ROOT,
        )

    async def open_session(self, *, fresh: bool = False) -> None:
        """Give the agent each LGC's own session at the proxy, opened once."""
        if self.cookie is None or fresh:
            self.cookie = await open_proxy_session(self.facts, DOCTOR)
        request = wire.AdoptSessionRequest(national_id=DOCTOR, cookie=self.cookie[0], session_state=self.cookie[1])
        for credentials in (self.credentials, self.other):
            if credentials is not None:
                async with self.client(credentials=credentials) as client:
                    await client.adopt_session(request)


async def first_credentials(paths: AgentPaths, product: wire.Product) -> Credentials:
    """Pair the first LGC of an agent with the code that only this user can read; return its credentials.

    Raises:
        TimeoutError: no code was written in ``START_S``.
        ClientFailure: the agent refused it or went away.
    """
    async with asyncio.timeout(START_S):
        while not paths.first_code.exists():  # noqa: ASYNC110 - a file gives no event
            await asyncio.sleep(0.02)
    async with Client(paths.endpoint, None, actor=ACTOR, timeout_s=10.0, start_grace_s=START_S) as client:
        return await _paired(client, paths.first_code.read_text("ascii").strip(), FIRST_LGC, product)


async def _paired(client: Client, code: str, name: str, product: wire.Product) -> Credentials:
    paired = await client.pair(code, name, product)
    return Credentials(client_id=paired.client.client_id, secret=paired.secret)
