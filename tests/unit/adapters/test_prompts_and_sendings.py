"""While professionals have not answered their prompts, what leaves meanwhile has connections of its own."""

from __future__ import annotations

import asyncio

from vaguemestre_agent.parts import Parts
from vaguemestre_agent.practice.documents import DOCTOR
from vaguemestre_agent.services.sessions import PENDING_MAX
from vaguemestre_agent.settings import ServiceSettings
from vaguemestre_agent.ways import open_ways
from vaguemestre_testkit import sendings
from vaguemestre_testkit.tls_server import TestPki, answer, read_request, tls_server

PATIENCE_S = 20.0


async def test_the_dmp_is_reached_while_everybody_is_prompted(pki: TestPki) -> None:
    answered, prompts, asked = asyncio.Event(), asyncio.Semaphore(0), list[str]()

    async def behaviour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await read_request(reader)
        if "/connect" in request.head.partition("\r\n")[0]:
            prompts.release()
            await answered.wait()
        else:
            asked.append(request.head)
        await answer(writer, 500, b"")

    async with tls_server(pki, behaviour) as server:
        settings = ServiceSettings(
            profile="sandbox",
            proxy_url=server.url,
            ca_file=str(pki.ca),
            signing_certificate=str(pki.client_cert),
            signing_key=str(pki.client_key),
        )
        async with open_ways(settings, Parts()) as ways, asyncio.TaskGroup() as group:
            for number in range(PENDING_MAX):
                group.create_task(ways.proxy.connect(DOCTOR, f"{number:02d}", "lgc", "CARD"))
            async with asyncio.timeout(PATIENCE_S):
                for _ in range(PENDING_MAX):
                    await prompts.acquire()
                told = await ways.dmp.test_existence(sendings.prepared("1.2.3"), sendings.sending_context())
            answered.set()

    assert len(asked) == 1, told
