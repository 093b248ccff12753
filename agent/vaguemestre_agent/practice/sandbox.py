"""The sandbox as a child process, seen through its inspection API: what a person could see on its page."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from vaguemestre_agent.adapters.http import HttpClient, Timeouts, TlsFiles
from vaguemestre_agent.practice.processes import Child, start_module, stopped_at_the_end, wait_for_line
from vaguemestre_core.errors import ServiceError

START_S: Final = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxFacts:
    """Where a sandbox is and what it accepts.

    Attributes:
        proxy: base URL of its Proxy e-santé.
        inspection: address of its inspection page.
        ca, client_certificate, client_key, signature_certificate, signature_key: PEM files of its test PKI.
        client_id: the clientId its proxy knows.
        national_ids: its doctors.
        patients: matricules of its patients with their DMP's state.
    """

    proxy: str
    inspection: str
    ca: Path
    client_certificate: Path
    client_key: Path
    signature_certificate: Path
    signature_key: Path
    client_id: str
    national_ids: tuple[str, ...]
    patients: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class WireVerdict:
    """What the sandbox counted at the wire.

    Attributes:
        held: documents it holds.
        complete_bodies: complete bodies it received.
        sent_twice: complete bodies beyond the first without a valid "unknown" in between.
    """

    held: int
    complete_bodies: int
    sent_twice: int


class Inspection:
    """The inspection API of a running sandbox."""

    def __init__(self, address: str) -> None:
        self._address = address.rstrip("/")

    async def call(self, method: str, path: str, body: object = None) -> object:
        """Call a route; return its JSON answer. Raises ServiceError SANDBOX_REFUSED, SANDBOX_AWAY."""
        import aiohttp

        try:
            async with (
                aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30)) as session,
                session.request(method, f"{self._address}{path}", json=body) as answer,
            ):
                if answer.status >= 400:
                    raise ServiceError("SANDBOX_REFUSED", status=answer.status)
                return json.loads(await answer.text() or "null")
        except (aiohttp.ClientError, TimeoutError) as error:
            raise ServiceError("SANDBOX_AWAY") from error

    async def verdict(self) -> WireVerdict:
        """Return what was counted."""
        found = await self.call("GET", "/api/verdict")
        assert isinstance(found, dict)
        return WireVerdict(
            held=int(found["held"]),
            complete_bodies=int(found["complete_bodies"]),
            sent_twice=int(found["sent_twice"]),
        )

    async def held(self) -> frozenset[str]:
        """Return the uniqueIds of the documents it holds."""
        found = await self.call("GET", "/api/documents")
        assert isinstance(found, (list, dict))
        documents = found["documents"] if isinstance(found, dict) else found
        return frozenset(str(document["unique_id"]) for document in documents)

    async def add_rule(self, rule: Mapping[str, object]) -> None:
        """Script a failure."""
        await self.call("POST", "/api/rules", dict(rule))

    async def insert_card(self, slot: int, name: str) -> None:
        """Put a card of its catalogue into a reader that listens."""
        await self.call("PUT", f"/api/readers/{slot}/card", {"card": name})

    async def remove_card(self, slot: int) -> None:
        """Pull the card of a reader."""
        await self.call("DELETE", f"/api/readers/{slot}/card")

    async def clear_rules(self) -> None:
        """Forget all scripted failures."""
        await self.call("DELETE", "/api/rules")


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningSandbox:
    """A sandbox that runs."""

    child: Child
    facts: SandboxFacts
    inspection: Inspection


async def start_sandbox(folder: Path, arguments: Sequence[str] = (), *, detached: bool = False) -> RunningSandbox:
    """Start a sandbox with its state in a folder; the caller stops its process."""
    await asyncio.to_thread(folder.mkdir, parents=True, exist_ok=True)
    state = ["--state-dir", str(folder / "state"), "--json", *arguments]
    child = await start_module("vaguemestre_sandbox", state, folder, "sandbox", detached=detached)
    try:
        facts = parse_facts(await wait_for_line(child, "ready", START_S))
    except BaseException:
        await child.kill()
        raise
    return RunningSandbox(child=child, facts=facts, inspection=Inspection(facts.inspection))


@asynccontextmanager
async def running_sandbox(folder: Path, arguments: Sequence[str] = ()) -> AsyncIterator[RunningSandbox]:
    """Run a sandbox with its state in a folder; stop it at the end."""
    sandbox = await start_sandbox(folder, arguments)
    async with stopped_at_the_end(sandbox.child):
        yield sandbox


def parse_facts(printed: str) -> SandboxFacts:
    """Return the facts of what a sandbox printed at its start."""
    line = next(line for line in printed.splitlines() if line.startswith("{"))
    found = json.loads(line)
    return SandboxFacts(
        proxy=found["proxy"],
        inspection=found["inspection"],
        ca=Path(found["ca"]),
        client_certificate=Path(found["client_certificate"]),
        client_key=Path(found["client_key"]),
        signature_certificate=Path(found["signature_certificate"]),
        signature_key=Path(found["signature_key"]),
        client_id=found["client_id"],
        national_ids=tuple(found["national_ids"]),
        patients=tuple((patient["matricule"], patient["dmp"]) for patient in found["patients"]),
    )


async def open_proxy_session(facts: SandboxFacts, national_id: str) -> tuple[str, str]:
    """Open a session at the sandbox's proxy as an LGC would; return (cookie, session_state)."""
    client = HttpClient(
        facts.proxy,
        TlsFiles(ca_file=facts.ca, certificate_file=facts.client_certificate, key_file=facts.client_key),
    )
    body = {
        "nationalId": national_id,
        "bindingMessage": "42",
        "clientId": facts.client_id,
        "channel": "CARD",
    }
    try:
        exchange = await client.request(
            "POST",
            "/connect",
            headers=(("Content-Type", "application/json"),),
            body=json.dumps(body).encode(),
            timeouts=Timeouts(connect_s=5, write_s=5, read_s=60, total_s=60),
        )
    finally:
        await client.aclose()
    status = getattr(exchange, "status", None)
    if status != 200:
        raise ServiceError("SANDBOX_REFUSED", status=status)
    answer = json.loads(getattr(exchange, "body", b"{}"))
    return str(answer["proxy_session_id"]), str(answer["session_state"])
