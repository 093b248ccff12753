"""The preparer with the real worker, and with workers that die, hang and lie."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import logging
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from vaguemestre_agent.adapters.preparer.worker import WorkerPreparer
from vaguemestre_core.orders import ClientId, DocumentId, OrderId, OrderKind, OrderState
from vaguemestre_core.ports import PreparationRefusal, PreparedBuild
from vaguemestre_core.records import AGENT_ACTOR, Order, StoredBody
from vaguemestre_documents.prepared import PreparedDocument
from vaguemestre_testkit import cda_samples
from vaguemestre_testkit.metadata_samples import metadata

NOW = dt.datetime(2026, 11, 24, 9, 0, tzinfo=dt.UTC)
BODY = StoredBody(metadata=json.dumps(metadata()).encode(), body=cda_samples.pdf(), media_type="application/pdf")


def an_order(order_id: str = "ordre-1") -> Order:
    return Order(
        order_id=OrderId(order_id),
        document_id=DocumentId("document-1"),
        client_id=ClientId("lgc-1"),
        client_ref="ref-1",
        kind=OrderKind.DMP_SUBMIT,
        state=OrderState.PREPARING,
        version=1,
        set_id=cda_samples.SET_ID,
        unique_id=cda_samples.DOCUMENT_ID,
        type_code="11488-4",
        professional="899700000012",
        lane="voie",
        guard_facts="{}",
        accepted_at=NOW,
        state_at=NOW,
        not_before=NOW,
        undo_until=NOW,
        attempts=0,
        next_attempt_at=None,
        waiting=None,
        holds=frozenset(),
        cancel_requested=False,
        predecessor=None,
        predecessor_unique_id=None,
        depends_on=(),
        failure_code=None,
        service_code=None,
        doubt_since=None,
        fact_version=0,
        incarnation=1,
        actor=AGENT_ACTOR,
        frozen_ids=None,
        holder=None,
        custody_epoch=0,
        receipt=(),
        revision=1,
    )


# A worker whose behaviour is the first byte of the body: the real one when it is "%".
ODD_WORKER = """
import os, sys, time
from vaguemestre_documents import worker

while (frame := worker.read_frame(sys.stdin.buffer)) is not None:
    match frame.content[:1]:
        case b"D":
            os._exit(9)
        case b"H":
            time.sleep(600)
        case b"G":
            sys.stdout.buffer.write(b"Traceback (most recent call last): ...")
        case b"J":
            sys.stdout.buffer.write((3).to_bytes(4, "big") + (0).to_bytes(4, "big") + b"[1]")
        case b"O":
            sys.stdout.buffer.write(worker.encode_frame(worker.Frame(header={"outcome": "perhaps"}, content=b"")))
        case b"E":
            header = {"outcome": "refused", "findings": []}
            sys.stdout.buffer.write(worker.encode_frame(worker.Frame(header=header, content=b"")))
        case b"T":
            sys.stdout.buffer.write((900).to_bytes(4, "big") + (0).to_bytes(4, "big") + b"{")
            sys.stdout.buffer.flush()
            os._exit(0)
        case b"P":
            header = {"outcome": "refused", "findings": [{"code": f"PID_{os.getpid()}", "pointer": "", "sentence": ""}]}
            sys.stdout.buffer.write(worker.encode_frame(worker.named(worker.Frame(header=header, content=b""), frame)))
        case b"L":
            header = {"outcome": "refused", "findings": [{"code": "OF_ANOTHER", "pointer": "", "sentence": ""}]}
            other = worker.Frame(header={"request": "0"}, content=b"")
            sys.stdout.buffer.write(worker.encode_frame(worker.named(worker.Frame(header=header, content=b""), other)))
        case _:
            found = worker.answer(worker.decode_request(frame))
            sys.stdout.buffer.write(worker.encode_frame(worker.named(found, frame)))
    sys.stdout.buffer.flush()
"""


@pytest.fixture
def odd(tmp_path: Path) -> tuple[str, ...]:
    path = tmp_path / "odd_worker.py"
    path.write_text(ODD_WORKER, "utf-8")
    return (sys.executable, str(path))


def body(content: bytes) -> StoredBody:
    return replace(BODY, body=content)


async def test_a_document_is_built_and_the_worker_is_kept() -> None:
    async with WorkerPreparer() as preparer:
        build = await preparer.prepare(an_order(), BODY, NOW)
        assert isinstance(build, PreparedBuild)
        assert (build.type_code, build.unique_id, build.set_id, build.version) == (
            "11488-4",
            cda_samples.DOCUMENT_ID,
            cda_samples.SET_ID,
            1,
        )
        document = PreparedDocument.from_bytes(build.prepared)
        assert document.entry.unique_id == cda_samples.DOCUMENT_ID
        again = await preparer.prepare(an_order(), BODY, NOW)
        assert again == build


async def test_the_offset_written_is_that_of_the_zone() -> None:
    async with WorkerPreparer(zone=dt.timezone(dt.timedelta(hours=4))) as preparer:
        build = await preparer.prepare(an_order(), BODY, NOW)
        assert isinstance(build, PreparedBuild)
        assert b'effectiveTime value="20261124130000+0400"' in build.prepared


async def test_a_replacement_names_its_predecessor() -> None:
    async with WorkerPreparer() as preparer:
        order = replace(an_order(), version=2, predecessor_unique_id="1.2.250.1.999.1.1.20.900")
        build = await preparer.prepare(order, BODY, NOW)
        assert isinstance(build, PreparedBuild)
        assert build.version == 2
        assert PreparedDocument.from_bytes(build.prepared).entry.replaced_unique_id == "1.2.250.1.999.1.1.20.900"


async def test_what_the_client_gave_is_refused_with_all_findings() -> None:
    wrong = metadata()
    del wrong["title"], wrong["type_code"]
    async with WorkerPreparer() as preparer:
        stored = replace(BODY, metadata=json.dumps(wrong).encode())
        refusal = await preparer.prepare(an_order(), stored, NOW)
        assert isinstance(refusal, PreparationRefusal)
        assert {pointer for _, pointer in refusal.findings} >= {"/title", "/type_code"}
        assert refusal.code == refusal.findings[0][0]
        assert not refusal.retry
        assert isinstance(await preparer.prepare(an_order(), BODY, NOW), PreparedBuild)


async def test_metadata_that_are_no_json_are_refused_not_fatal() -> None:
    async with WorkerPreparer() as preparer:
        refusal = await preparer.prepare(an_order(), replace(BODY, metadata=b"\xff{"), NOW)
        assert isinstance(refusal, PreparationRefusal)
        assert (refusal.code, refusal.retry) == ("METADATA_NOT_JSON", False)


async def test_a_body_above_the_limit_never_reaches_the_worker() -> None:
    async with WorkerPreparer(max_body_bytes=10, command=("/nonexistent",)) as preparer:
        refusal = await preparer.prepare(an_order(), BODY, NOW)
        assert refusal == PreparationRefusal(code="BODY_TOO_LARGE", findings=(("BODY_TOO_LARGE", "/body"),))


@pytest.mark.parametrize("kind", [b"D", b"G", b"J", b"O", b"E", b"T"])
async def test_a_lost_worker_is_tried_once_more_then_it_is_final(odd: tuple[str, ...], kind: bytes) -> None:
    async with WorkerPreparer(command=odd, deadline_s=20) as preparer:
        first = await preparer.prepare(an_order(), body(kind), NOW)
        assert first == PreparationRefusal(code="PREPARER_INTERRUPTED", retry=True)
        # Another document goes through meanwhile.
        assert isinstance(await preparer.prepare(an_order("ordre-2"), BODY, NOW), PreparedBuild)
        second = await preparer.prepare(an_order(), body(kind), NOW)
        assert isinstance(second, PreparationRefusal)
        assert (second.code, second.retry) == ("PREPARER_CRASHED", False)
        # A correction of the same order starts anew.
        assert isinstance(await preparer.prepare(an_order(), BODY, NOW), PreparedBuild)


async def test_a_worker_that_hangs_is_killed_at_the_deadline(odd: tuple[str, ...]) -> None:
    async with WorkerPreparer(command=odd, deadline_s=0.5) as preparer:
        refusal = await preparer.prepare(an_order(), body(b"H"), NOW)
        assert refusal == PreparationRefusal(code="PREPARER_INTERRUPTED", retry=True)


async def test_a_command_that_does_not_exist_is_a_loss_too() -> None:
    async with WorkerPreparer(command=("/nonexistent/worker",)) as preparer:
        refusal = await preparer.prepare(an_order(), BODY, NOW)
        assert refusal == PreparationRefusal(code="PREPARER_INTERRUPTED", retry=True)


async def test_one_worker_serves_several_callers_one_at_a_time(odd: tuple[str, ...]) -> None:
    async with WorkerPreparer(command=odd) as preparer:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(preparer.prepare(an_order(f"o{n}"), body(b"P"), NOW)) for n in range(4)]
        answers = {task.result() for task in tasks}
        assert len(answers) == 1


async def test_a_cancelled_preparation_does_not_answer_the_next_one(odd: tuple[str, ...]) -> None:
    async with WorkerPreparer(command=odd, deadline_s=30) as preparer:
        before = await preparer.prepare(an_order(), body(b"P"), NOW)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                await preparer.prepare(an_order("o2"), body(b"H"), NOW)
        after = await preparer.prepare(an_order("o3"), body(b"P"), NOW)
        assert isinstance(after, PreparationRefusal)
        assert after.code.startswith("PID_")
        assert after != before


async def test_a_closed_preparer_prepares_nothing() -> None:
    preparer = WorkerPreparer()
    await preparer.prepare(an_order(), BODY, NOW)
    await preparer.aclose()
    await preparer.aclose()
    refusal = await preparer.prepare(an_order(), BODY, NOW)
    assert refusal == PreparationRefusal(code="PREPARER_INTERRUPTED", retry=True)


async def test_nothing_of_the_patient_in_logs_or_refusals(
    odd: tuple[str, ...], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    async with WorkerPreparer(command=odd) as preparer:
        refusal = await preparer.prepare(an_order(), body(b"D"), NOW)
        build = await preparer.prepare(an_order(), BODY, NOW)
    text = caplog.text + repr(refusal) + repr(build)
    assert "preparer.worker.lost" in caplog.text
    assert "EXEMPLE" not in text
    assert cda_samples.MATRICULE not in text


async def test_the_answer_of_another_request_is_never_taken_for_this_one(odd: tuple[str, ...]) -> None:
    async with WorkerPreparer(command=odd) as preparer:
        assert isinstance(await preparer.prepare(an_order(), BODY, NOW), PreparedBuild)
        refusal = await preparer.prepare(an_order("o2"), body(b"L"), NOW)
        assert refusal == PreparationRefusal(code="PREPARER_INTERRUPTED", retry=True)
        assert isinstance(await preparer.prepare(an_order("o3"), BODY, NOW), PreparedBuild)
