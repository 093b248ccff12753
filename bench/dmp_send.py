"""From a deposit to a receipt, against a bare loop that builds, signs and submits the same documents, in one run.

    python bench/dmp_send.py [--json] [--rounds N] [--documents N]

Both sides talk to the same sandbox over TLS on loopback: TD0.2, then TD2.1, for each document. The bare loop is one
process that keeps nothing: prepare, ask, sign, submit, one after the other. The agent's side is deposit by the API,
durable acceptance, preparation in the worker, four commits with synchronous=FULL, three sendings at once. The
sandbox's own work is in both, on the same machine.
"""

from __future__ import annotations

import argparse
import asyncio
import datetime as dt
import json
import statistics
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from machine import machine
from practice import Running, document, running

from vaguemestre_agent.adapters.dmp.adapter import EsanteDmp
from vaguemestre_agent.adapters.http import HttpClient, TlsFiles
from vaguemestre_agent.adapters.signing.software import SoftwareSigner
from vaguemestre_agent.adapters.system.clock import SystemClock
from vaguemestre_agent.adapters.system.random import SystemRandom
from vaguemestre_agent.practice.documents import DOCTOR, OID_ROOT
from vaguemestre_agent.practice.sandbox import open_proxy_session
from vaguemestre_agent.profiles.loader import shipped_profile
from vaguemestre_core.outcomes import Certainty
from vaguemestre_core.ports import SendingContext
from vaguemestre_core.records import FrozenIds, ProductProfile, ProxySession
from vaguemestre_core.redaction import Secret
from vaguemestre_documents.preparation import FrozenIdentifiers, PreparationRequest, PreparationResult, prepare


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """Documents per second on both sides, and the median ratio of the rounds."""

    documents: int
    agent_per_s: float
    bare_per_s: float
    ratio: float


async def commit_nothing() -> None:
    """Do what a sender that keeps nothing does before the first byte."""


async def bare(here: Running, first: int, count: int) -> float:
    """Build, ask, sign and submit; return documents per second."""
    facts, clock = here.facts, SystemClock()
    cookie, state = await open_proxy_session(facts, DOCTOR)
    product = ProductProfile(
        lps_name="LGC Essai",
        lps_version="1.0",
        lps_id="0001",
        homologation_id="ESSAI-0001",
        proxy_client_id=facts.client_id,
        oid_root=OID_ROOT,
    )
    session = ProxySession(
        national_id=DOCTOR,
        cookie=Secret(cookie),
        session_state=state,
        opened_at=clock.now(),
        until=clock.now() + dt.timedelta(hours=1),
        adopted=False,
        proxy_client_id=facts.client_id,
    )
    context = SendingContext(session=session, product=product)
    tls = TlsFiles(ca_file=facts.ca, certificate_file=facts.client_certificate, key_file=facts.client_key)
    client = HttpClient(facts.proxy, tls)
    signer = SoftwareSigner.from_files(facts.signature_certificate, facts.signature_key)
    port = EsanteDmp(client, shipped_profile("sandbox"), clock, SystemRandom(), signer=signer)
    documents = [document(number) for number in range(first, first + count)]
    started = time.perf_counter()
    try:
        for number, given in enumerate(documents, start=first):
            made = prepare(
                PreparationRequest(
                    media_type=given.media_type,
                    body=given.body,
                    metadata=given.metadata,
                    identifiers=FrozenIdentifiers(
                        document_id=f"{OID_ROOT}.9.{number}", set_id=f"{OID_ROOT}.8.{number}", version=1
                    ),
                    now=clock.now(),
                    for_dmp=True,
                )
            )
            assert isinstance(made, PreparationResult), made
            container = made.document.to_bytes()
            ids = FrozenIds(
                submission_set_id=f"{OID_ROOT}.7.{number}",
                signature_id=f"{OID_ROOT}.6.{number}",
                message_id=f"urn:uuid:00000000-0000-4000-8000-{number:012d}",
                boundary=f"bench_{number:032d}",
                submission_at=clock.now().replace(microsecond=0),
            )
            await port.test_existence(container, context)
            signature = await port.sign(container, ids, context)
            outcome = await port.submit(container, ids, signature, context, commit_nothing)
            assert outcome.certainty is Certainty.DELIVERED, outcome
    finally:
        await client.aclose()
    return count / (time.perf_counter() - started)


async def by_agent(here: Running, first: int, count: int) -> float:
    """Deposit and wait for the last receipt; return documents per second."""
    documents = [document(number) for number in range(first, first + count)]
    async with here.practice.client() as client:
        started = time.perf_counter()
        for number, given in enumerate(documents, start=first):
            await client.put_document(f"bench-{number}", given)
        while (counts := (await client.health()).counts).get("sent", 0) < first + count:
            assert not counts.get("rejected"), counts
            await asyncio.sleep(0.02)
        return count / (time.perf_counter() - started)


async def measure(rounds: int, count: int) -> Figure:
    """Alternate both; return the medians."""
    sides: list[tuple[float, float]] = []
    with tempfile.TemporaryDirectory(prefix="vaguemestre-bench-") as name_of_folder:
        async with running(Path(name_of_folder)) as here:
            await here.practice.open_session()
            for index in range(rounds):
                other = await bare(here, index * count, count)
                sides.append((await by_agent(here, index * count, count), other))
    return Figure(
        documents=count,
        agent_per_s=round(statistics.median(side[0] for side in sides), 1),
        bare_per_s=round(statistics.median(side[1] for side in sides), 1),
        ratio=round(statistics.median(side[0] / side[1] for side in sides), 2),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--documents", type=int, default=30)
    arguments = parser.parse_args()
    figure = asyncio.run(measure(arguments.rounds, arguments.documents))
    if arguments.json:
        print(json.dumps({"machine": machine(), "figures": [asdict(figure)]}))
        return
    print(f"deposit to receipt {figure.agent_per_s}/s, bare loop {figure.bare_per_s}/s, ratio {figure.ratio}")


if __name__ == "__main__":
    main()
