"""The routes about what is kept, over every backend: who may, what is refused, what is never repeated."""

from __future__ import annotations

from pathlib import Path

import pytest

from vaguemestre_api import wire_facts
from vaguemestre_api.client import Client
from vaguemestre_api.failures import ApiProblem
from vaguemestre_testkit.api_harness import ApiHarness

NOBODY = wire_facts.LocalIdentifier(value="P-999", oid="1.2.250.1.999.9")


async def test_erasing_is_for_administrators(lgc: Client, harness: ApiHarness, socket: Path) -> None:
    with pytest.raises(ApiProblem) as refused:
        await lgc.erase_patient(local_id=NOBODY, reason="patient_request", waiting="refuse")
    assert refused.value.problem.status == 403


async def test_a_patient_who_is_not_known_is_said_to_be_so(admin: Client) -> None:
    with pytest.raises(ApiProblem) as refused:
        await admin.erase_patient(local_id=NOBODY, reason="patient_request", waiting="cancel")
    problem = refused.value.problem
    assert (problem.status, problem.code) == (404, "PATIENT_UNKNOWN")
    assert NOBODY.value not in repr(problem)


async def test_a_patient_must_be_named_and_the_reason_coded(admin: Client) -> None:
    with pytest.raises(ApiProblem) as refused:
        await admin.erase_patient(reason="patient_request", waiting="refuse")
    assert refused.value.problem.code == "PATIENT_ID_MISSING"
    with pytest.raises(ApiProblem) as refused:
        await admin.erase_patient(local_id=NOBODY, reason="because", waiting="refuse")
    assert refused.value.problem.code == "REQUEST_INVALID"


async def test_backups_are_for_administrators_and_none_is_made_without_a_folder(lgc: Client, admin: Client) -> None:
    for refused_call in (lgc.backups, lgc.make_backup):
        with pytest.raises(ApiProblem) as refused:
            await refused_call()
        assert refused.value.problem.status == 403
    assert await admin.backups() == ()
    with pytest.raises(ApiProblem) as refused:
        await admin.make_backup()
    assert (refused.value.problem.status, refused.value.problem.code) == (409, "BACKUP_NOT_CONFIGURED")
