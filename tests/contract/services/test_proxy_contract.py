"""One contract for every ProxyPort: the double of the services' tests, and the real adapter on the sandbox."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import pytest

from vaguemestre_agent.adapters.http import HttpClient, TlsFiles
from vaguemestre_agent.adapters.proxy.adapter import EsanteProxy
from vaguemestre_agent.profiles.loader import shipped_profile
from vaguemestre_core.errors import ServiceError
from vaguemestre_core.ports import ConnectRefused, ProxyPort
from vaguemestre_core.records import ProxySession
from vaguemestre_sandbox.psc import Decision, Script
from vaguemestre_sandbox.sandbox import Sandbox
from vaguemestre_sandbox.settings import ProxyProfile, SandboxConfig
from vaguemestre_testkit.clocks import FakeClock
from vaguemestre_testkit.practice_kit import ScriptedProxy
from vaguemestre_testkit.sendings import CLIENT, DOCTOR, SystemTime


class Bench(Protocol):
    """A proxy, and what the professional and the network do around it."""

    @property
    def port(self) -> ProxyPort: ...
    def professional_refuses(self) -> None: ...
    def live_sessions(self) -> int: ...
    async def unreachable(self) -> None: ...


@dataclass(frozen=True, slots=True)
class DoubleBench:
    port: ScriptedProxy

    def professional_refuses(self) -> None:
        self.port.answers.append(ConnectRefused(code="PSC_REFUSED", retry=True))

    def live_sessions(self) -> int:
        return len(self.port.open_cookies)

    async def unreachable(self) -> None:
        self.port.answers.append(ConnectRefused(code="PROXY_CONNECTION_REFUSED", retry=True))
        self.port.disconnect_error = ServiceError("PROXY_CONNECTION_REFUSED")


@dataclass(frozen=True, slots=True)
class SandboxBench:
    port: EsanteProxy
    sandbox: Sandbox

    def professional_refuses(self) -> None:
        self.sandbox.psc.set_script(DOCTOR, Script(decision=Decision.DENY))

    def live_sessions(self) -> int:
        return len(self.sandbox.proxy.sessions())

    async def unreachable(self) -> None:
        await self.sandbox.listeners["proxy"].stop()


@asynccontextmanager
async def bench_of(kind: str, folder: Path, pki: Path) -> AsyncIterator[Bench]:
    if kind == "double":
        yield DoubleBench(ScriptedProxy(FakeClock()))
        return
    proxy = ProxyProfile(ciba_poll_interval_s=0.01, ciba_expires_in_s=5.0)
    async with Sandbox.start(SandboxConfig(state_dir=folder, pki_dir=pki, proxy=proxy)) as sandbox:
        client = HttpClient(sandbox.addresses.proxy, TlsFiles(ca_file=sandbox.pki.authority.certificate_path))
        try:
            yield SandboxBench(EsanteProxy(client, shipped_profile("sandbox"), SystemTime()), sandbox)
        finally:
            await client.aclose()


@pytest.fixture(params=["double", "sandbox"])
async def bench(request: pytest.FixtureRequest, tmp_path: Path, pki: Path) -> AsyncIterator[Bench]:
    async with bench_of(request.param, tmp_path, pki) as made:
        yield made


async def connected(bench: Bench) -> ProxySession:
    answer = await bench.port.connect(DOCTOR, "42", CLIENT, "CARD")
    assert isinstance(answer, ProxySession)
    return answer


async def test_a_session_opened_belongs_to_who_accepted(bench: Bench) -> None:
    session = await connected(bench)

    assert (session.national_id, session.proxy_client_id, session.adopted) == (DOCTOR, CLIENT, False)
    assert session.cookie
    assert session.session_state
    assert session.until > session.opened_at
    assert session.cookie.reveal() not in repr(session)
    assert bench.live_sessions() == 1


async def test_a_second_professional_gets_a_session_of_their_own(bench: Bench) -> None:
    """Nothing of the first login may be shown in the second."""
    first = await connected(bench)
    second = await bench.port.connect("899700000020", "43", CLIENT, "CARD")

    assert isinstance(second, ProxySession)
    assert second.national_id == "899700000020"
    assert second.cookie != first.cookie
    assert bench.live_sessions() == 2


async def test_a_refusal_is_an_answer_and_the_next_request_is_new(bench: Bench) -> None:
    bench.professional_refuses()
    answer = await bench.port.connect(DOCTOR, "42", CLIENT, "CARD")

    assert isinstance(answer, ConnectRefused)
    assert answer.retry
    assert bench.live_sessions() == 0
    await connected(bench)


async def test_a_session_closed_is_gone_and_closing_it_again_is_no_error(bench: Bench) -> None:
    session = await connected(bench)
    await bench.port.disconnect(session)
    assert bench.live_sessions() == 0
    await bench.port.disconnect(session)


async def test_an_unreachable_proxy_opens_nothing_and_says_that_it_could_not_close(bench: Bench) -> None:
    session = await connected(bench)
    await bench.unreachable()
    answer = await bench.port.connect(DOCTOR, "42", CLIENT, "CARD")

    assert isinstance(answer, ConnectRefused)
    assert answer.retry
    with pytest.raises(ServiceError):
        await bench.port.disconnect(session)


async def test_a_connect_may_be_cancelled(bench: Bench) -> None:
    async with asyncio.TaskGroup() as group:
        asking = group.create_task(bench.port.connect(DOCTOR, "42", CLIENT, "CARD"))
        await asyncio.sleep(0)
        asking.cancel()
    assert asking.cancelled() or asking.done()
    await connected(bench)
