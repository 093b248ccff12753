"""Requests generated from the OpenAPI description, on every route of a real agent: no 5xx, no leak, no hang, no growth.

Some twenty seconds here; ``VAGUEMESTRE_FUZZ_MINUTES=10`` for the long run, ``-s`` to see its figures (docs/api.md). A
failure tells the seed. In a long run memory must flatten: caches fill in the first minutes, a leak goes on.
"""

from __future__ import annotations

import asyncio
import collections
import itertools
import json
import os
import random
import re
import secrets
import socket
import statistics
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from http.client import HTTPConnection, HTTPException, HTTPResponse
from pathlib import Path

import pytest

from vaguemestre_agent.paths import agent_paths
from vaguemestre_agent.practice.agent import ACTOR, Practice
from vaguemestre_agent.practice.documents import DOCTOR, PATIENTS, metadata, tiny_pdf
from vaguemestre_agent.practice.home import DEMO_PACE, make_home
from vaguemestre_agent.practice.processes import stopped_at_the_end
from vaguemestre_agent.practice.sandbox import running_sandbox
from vaguemestre_api import openapi
from vaguemestre_api.client import DocumentBody, write_actor
from vaguemestre_api.messages import catalogue
from vaguemestre_testkit.request_generation import GeneratedRequest, Known, generated

psutil = pytest.importorskip("psutil")

MINUTES = float(os.environ.get("VAGUEMESTRE_FUZZ_MINUTES", "0.3"))
SEED = int(os.environ.get("VAGUEMESTRE_FUZZ_SEED", str(secrets.randbelow(10**6))))
PATIENCE_S = 10.0  # longest answer: nothing in the API waits for a national service
GROWTH_BYTES = 25_000_000  # from the first fifth to the end
LONG_MINUTES = 5.0  # from there on, the second half is judged too
FLAT_BYTES = 5_000_000  # most that the last fifth may stand above the middle one
SAMPLES = 40
SAME_REQUEST = 4  # each request naming a professional is sent that often, each time about another one


PROFESSIONAL = re.compile(rb'("national_id": ?")[^"]*"')


class UnixConnection(HTTPConnection):
    """HTTP on a Unix socket."""

    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=PATIENCE_S)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(PATIENCE_S)
        self.sock.connect(self._path)


@dataclass(slots=True)
class Verdict:
    """What was seen."""

    sent: int = 0
    statuses: collections.Counter[str] = field(default_factory=collections.Counter)
    operations: set[str] = field(default_factory=set)
    faults: list[str] = field(default_factory=list)


def about_others(requests: Iterator[GeneratedRequest], seed: int) -> Iterator[GeneratedRequest]:
    """Repeat what names a professional about other ones: what is kept for each name shows, if it is kept for ever."""
    chance = random.Random(seed)
    for request in requests:
        yield request
        if PROFESSIONAL.search(request.body):
            for _ in range(SAME_REQUEST - 1):
                other = b"8%011d" % chance.randrange(10**11)
                yield replace(request, body=PROFESSIONAL.sub(rb"\g<1>" + other + b'"', request.body))


def shoot(
    address: str, requests: Iterator[GeneratedRequest], until: float, verdict: Verdict, marks: list[float], pid: int
) -> None:
    """Send requests until the time is over; note what no request may ever cause."""
    known_codes = catalogue()
    agent = psutil.Process(pid)
    started = time.monotonic()
    for request in requests:
        now = time.monotonic()
        if now > until:
            return
        if now - started > (len(marks) + 1) * (until - started) / SAMPLES:
            marks.append(float(agent.memory_full_info().uss))
        verdict.sent += 1
        verdict.operations.add(request.operation)
        line = f"{request.method} {request.target[:80]} ({request.operation}, seed {SEED})"
        connection = UnixConnection(address)
        try:
            connection.request(request.method, request.target, body=request.body, headers=dict(request.headers))
            answer = connection.getresponse()
            body = read(answer)
        except TimeoutError:
            verdict.faults.append(f"hang: {line}")
            continue
        except (HTTPException, ConnectionError, ValueError, OSError):
            verdict.statuses["closed"] += 1  # a request that HTTP does not allow
            continue
        finally:
            connection.close()
        verdict.statuses[f"{answer.status // 100}xx"] += 1
        if answer.status >= 500 and answer.status != 503:
            verdict.faults.append(f"{answer.status}: {line}")
        if answer.status >= 400:
            problem = json.loads(body)
            if not {"code", "title", "action", "support_id"} <= set(problem):
                verdict.faults.append(f"not a problem: {line}")
            elif problem["code"] not in known_codes:
                verdict.faults.append(f"unknown code {problem['code']}: {line}")
        for secret in (b"Traceback", b"site-packages", PATIENTS[1][0].encode()):
            if secret in body:
                verdict.faults.append(f"leak of {secret!r}: {line}")


def read(answer: HTTPResponse) -> bytes:
    """Return a body; of a stream that does not end, its beginning."""
    if answer.getheader("Content-Type", "").startswith("text/event-stream"):
        return answer.readline()
    return answer.read()


def fifths(samples: list[float]) -> list[int]:
    """Return the median of each fifth of the run: one large document under way is no growth."""
    bounds = [round(len(samples) * part / 5) for part in range(6)]
    return [int(statistics.median(samples[low:high])) for low, high in itertools.pairwise(bounds)]


@pytest.mark.skipif(sys.platform == "win32", reason="the generated requests go through a Unix socket")
@pytest.mark.timeout(int(MINUTES * 60) + 240)
async def test_no_generated_request_hurts_the_agent(tmp_path: Path) -> None:
    async with running_sandbox(tmp_path / "sandbox") as sandbox:
        environment = make_home(tmp_path / "home", sandbox.facts, DEMO_PACE)
        practice = Practice(tmp_path / "home", environment, sandbox.facts)
        agent = await practice.start()
        async with stopped_at_the_end(agent):
            await practice.wait_ready(agent)
            await practice.pair()
            await practice.open_session()
            assert practice.credentials is not None
            refs = tuple(f"fuzz-{number}" for number in range(6))
            async with practice.client() as client:
                for number, ref in enumerate(refs):
                    body = DocumentBody(
                        metadata=metadata(f"Essai {number}", number % 2),
                        body=tiny_pdf(ref),
                        media_type="application/pdf",
                    )
                    await client.put_document(ref, body, hold=number % 2 == 1)
                orders = tuple(order.order_id for order in (await client.orders()).orders)
            token = f"Vaguemestre {practice.credentials.client_id}:{practice.credentials.secret}"
            known = Known(
                values={"client_ref": refs, "order_id": orders, "professional": (DOCTOR,)},
                headers={"Authorization": token, "Vaguemestre-Actor": write_actor(ACTOR)},
                metadata=metadata("Essai").decode(),
            )
            requests = about_others(generated(json.loads(openapi.document_bytes()), known, SEED), SEED)
            verdict, marks = Verdict(), list[float]()
            address = str(agent_paths({**os.environ, **environment}).endpoint.address)
            await asyncio.to_thread(
                shoot, address, requests, time.monotonic() + MINUTES * 60, verdict, marks, agent.pid
            )
            memory = fifths([*marks, float(psutil.Process(agent.pid).memory_full_info().uss)])
            figures = f"{verdict.sent} {dict(verdict.statuses)}, {memory} B by fifths, seed {SEED}"
            sys.stdout.write(f"\n{figures}\n")
            assert verdict.faults == []
            assert agent.is_alive
            async with practice.client() as client:
                health = await client.health()
                assert health.ready, health
                lines = (await client.verify_ledger()).lines
            assert lines > len(refs)
            assert memory[4] - memory[0] < GROWTH_BYTES, figures
            if MINUTES >= LONG_MINUTES:
                assert memory[4] - memory[2] < FLAT_BYTES, figures
            log = agent.errors.read_bytes()
            for personal in (PATIENTS[0][1], PATIENTS[1][1], PATIENTS[0][0], PATIENTS[1][0]):
                assert personal.encode() not in log
            assert b"unexpected" not in log.lower()
