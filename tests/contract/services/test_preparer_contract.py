"""One contract for every PreparerPort: the double of the services' tests, and the worker process."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from vaguemestre_agent.adapters.preparer.worker import WorkerPreparer
from vaguemestre_core.ports import PreparationRefusal, PreparedBuild, PreparerPort
from vaguemestre_core.records import Order, StoredBody
from vaguemestre_documents.prepared import PreparedDocument
from vaguemestre_testkit import cda_samples
from vaguemestre_testkit.metadata_samples import metadata
from vaguemestre_testkit.practice_kit import office
from vaguemestre_testkit.scripted_preparer import ScriptedPreparer

PDF = StoredBody(metadata=json.dumps(metadata()).encode(), body=cda_samples.pdf(), media_type="application/pdf")
INTERRUPTED = PreparationRefusal(code="PREPARER_INTERRUPTED", retry=True)


@asynccontextmanager
async def preparer_of(kind: str) -> AsyncIterator[PreparerPort]:
    if kind == "double":
        yield ScriptedPreparer()
        return
    async with WorkerPreparer() as worker:
        yield worker


@asynccontextmanager
async def losing(kind: str) -> AsyncIterator[PreparerPort]:
    """Yield a preparer that loses the document it is given."""
    if kind == "double":
        double = ScriptedPreparer()
        double.steps.append(INTERRUPTED)
        double.steps.append(PreparationRefusal(code="PREPARER_CRASHED", findings=(("PREPARER_CRASHED", "/body"),)))
        yield double
        return
    async with WorkerPreparer(command=("false",)) as worker:
        yield worker


@pytest.fixture(params=["double", "worker"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
async def order(tmp_path: Path) -> Order:
    async with office(tmp_path) as practice:
        return await practice.deposit()


async def test_a_build_carries_the_identifiers_of_the_order(kind: str, order: Order) -> None:
    async with preparer_of(kind) as preparer:
        build = await preparer.prepare(order, PDF, cda_samples.NOW)

    assert isinstance(build, PreparedBuild)
    assert (build.unique_id, build.set_id, build.version) == (order.unique_id, order.set_id, order.version)
    assert build.type_code == order.type_code
    assert PreparedDocument.from_bytes(build.prepared).entry.unique_id == order.unique_id


async def test_what_cannot_be_built_is_refused_for_good_with_findings(kind: str, order: Order) -> None:
    broken = StoredBody(metadata=PDF.metadata, body=b"no PDF", media_type="application/pdf")
    async with preparer_of(kind) as preparer:
        refusal = await preparer.prepare(order, broken, cda_samples.NOW)
        again = await preparer.prepare(order, PDF, cda_samples.NOW)

    assert isinstance(refusal, PreparationRefusal)
    assert not refusal.retry
    assert refusal.findings[0][0] == refusal.code
    assert isinstance(again, PreparedBuild)


async def test_a_document_lost_once_may_be_tried_again_and_twice_may_not(kind: str, order: Order) -> None:
    async with losing(kind) as preparer:
        first = await preparer.prepare(order, PDF, cda_samples.NOW)
        second = await preparer.prepare(order, PDF, cda_samples.NOW)

    assert isinstance(first, PreparationRefusal)
    assert first.retry
    assert isinstance(second, PreparationRefusal)
    assert not second.retry
    assert second.findings
