"""The end of a practice's run: the facts are fetched from the agent and from the sandbox, and given to the judge."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from vaguemestre_agent.practice.sandbox import Inspection, RunningSandbox
from vaguemestre_agent.selftest.crash.acts import Office
from vaguemestre_agent.selftest.crash.journal import Journal
from vaguemestre_agent.selftest.crash.judgement import ChangeBody, HeldVersion, Judgement, LookupAnswer
from vaguemestre_agent.selftest.crash.life import PracticeRun
from vaguemestre_agent.selftest.crash.report import CrashReport
from vaguemestre_api import wire
from vaguemestre_api.failures import ApiProblem

_UNKNOWN = frozenset({"DOCUMENT_UNKNOWN", "DOCUMENT_UNKNOWN_SINCE_RESTORE"})


async def report_of(run: PracticeRun, sandbox: RunningSandbox, journal: Journal) -> CrashReport:
    """Compare what the clients were told with what the agent says, what the DMP holds and what came over the wire."""
    inspection = sandbox.inspection
    verdict = await inspection.verdict()
    judgement = Judgement(held=await _held(inspection), refusals=run.refusals)
    judgement.counts.update(run.counts)
    judgement.counts.update(complete_bodies=verdict.complete_bodies, sent_twice=verdict.sent_twice)
    if verdict.sent_twice:
        judgement.findings.append(f"sent_twice: {verdict.sent_twice} bodies at the wire")
    async with run.offices(timeout_s=30.0) as offices:
        for deposit in journal.deposits:
            judgement.document(deposit, await _orders(offices[deposit.office], deposit.client_ref))
        judgement.counts["doubts"] += await _doubts(offices[0])
    judgement.changes(await _changes(inspection), await _lookups(inspection))
    return CrashReport(
        kills=run.kills.total(),
        at_failpoints=dict(sorted(run.kills.items())),
        not_reached=tuple(run.not_reached),
        findings=tuple(judgement.findings),
        **judgement.counts,
    )


async def _orders(office: Office, client_ref: str) -> Sequence[wire.Order]:
    try:
        return (await office.client.document(client_ref)).orders
    except ApiProblem as problem:
        if problem.code in _UNKNOWN:
            return ()
        raise


async def _doubts(office: Office) -> int:
    """Count the doubts of everybody: the first LGC may read the whole ledger."""
    after = doubts = 0
    while True:
        page = await office.client.ledger(after=after, limit=1000)
        doubts += sum(line.after == "in_doubt" and line.before != "in_doubt" for line in page.lines)
        if page.next is None:
            return doubts
        after = page.next


async def _rows(inspection: Inspection, name: str) -> Sequence[Mapping[str, object]]:
    found = await inspection.call("GET", f"/api/{name}")
    assert isinstance(found, dict)
    rows = found[name]
    assert isinstance(rows, list)
    return rows


async def _held(inspection: Inspection) -> Mapping[str, Sequence[HeldVersion]]:
    held: dict[str, list[HeldVersion]] = defaultdict(list)
    for row in await _rows(inspection, "documents"):
        codes = row["visibility"]
        assert isinstance(codes, list)
        version = HeldVersion(
            unique_id=str(row["unique_id"]),
            title=str(row["title"]),
            status=str(row["status"]),
            visibility=frozenset(codes),
        )
        held[version.title].append(version)
    return held


async def _changes(inspection: Inspection) -> Sequence[ChangeBody]:
    return [
        ChangeBody(
            order=int(str(row["order"])),
            finished=int(str(row["finished_order"] or 0)),
            unique_id=str(row["unique_id"]),
            transaction=str(row["transaction"]),
            stored=bool(row["stored"]),
        )
        for row in await _rows(inspection, "changes")
    ]


async def _lookups(inspection: Inspection) -> Sequence[LookupAnswer]:
    return [
        LookupAnswer(order=int(str(row["order"])), unique_id=str(row["unique_id"]))
        for row in await _rows(inspection, "answers")
        if row["delivered"]
    ]
