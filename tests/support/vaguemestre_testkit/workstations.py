"""A whole agent in this process, as the software of its workstation uses it: paired, given documents, asked again."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from vaguemestre_agent.paths import AgentPaths
from vaguemestre_agent.practice.agent import first_credentials
from vaguemestre_agent.practice.documents import metadata, tiny_pdf
from vaguemestre_api import wire
from vaguemestre_api.client import Client, Credentials, DocumentBody
from vaguemestre_testkit.sendings import PRODUCT

ACTOR = wire.Actor(user="sec-1", role="secretaire")
PATIENCE_S = 30.0
T = TypeVar("T")


async def until(ask: Callable[[], Awaitable[T]], holds: Callable[[T], bool]) -> T:
    """Ask as a program asks the API, until it holds; return that answer."""
    async with asyncio.timeout(PATIENCE_S):
        while not holds(found := await ask()):  # noqa: ASYNC110 - what a program sees
            await asyncio.sleep(0.05)
        return found


async def until_order(lgc: Client, order_id: str, holds: Callable[[wire.Order], bool]) -> wire.Order:
    """Ask for an order until it holds."""
    return await until(lambda: lgc.order(order_id), holds)


async def deposit(lgc: Client, ref: str) -> str:
    """Deposit a document, let it leave as soon as it is prepared; return its order."""
    body = DocumentBody(metadata=metadata(ref), body=tiny_pdf(ref), media_type="application/pdf")
    order_id = (await lgc.put_document(ref, body)).order.order_id
    await until_order(lgc, order_id, lambda order: order.state != "preparing")
    await lgc.send_now(order_id)
    return order_id


async def paired(paths: AgentPaths) -> Credentials:
    """Return the credentials of the first software, which declares ``PRODUCT``."""
    product = wire.Product(
        lps_name=PRODUCT.lps_name,
        lps_version=PRODUCT.lps_version,
        lps_id=PRODUCT.lps_id,
        homologation_id=PRODUCT.homologation_id,
        proxy_client_id=PRODUCT.proxy_client_id,
        oid_root=PRODUCT.oid_root,
    )
    return await first_credentials(paths, product)
