"""The route that makes a Datamatrix INS: who may, what comes back, what is refused, and that nothing of it prints."""

from __future__ import annotations

import base64
from dataclasses import replace

import pytest

from vaguemestre_api import wire_facts, wire_inscodes
from vaguemestre_api.client import Client
from vaguemestre_api.failures import ApiProblem

pytestmark = pytest.mark.req("SC.CDA/VISU.04")

ZOE = wire_inscodes.InsCodeRequest(
    identity_status="qualifiée",
    ins=wire_facts.InsIdentifier(matricule="275126322074974", oid="1.2.250.1.213.1.4.8"),
    birth_name="ADRUN",
    given_names="ZOE",
    sex="F",
    birth_date="1975-12-31",
    birth_place_cog="63220",
)


async def test_a_qualified_identity_has_a_picture(admin: Client) -> None:
    made = await admin.make_ins_code(ZOE)
    assert made.modules == 36
    assert base64.b64decode(made.png).startswith(b"\x89PNG\r\n\x1a\n")
    larger = await admin.make_ins_code(replace(ZOE, module_px=12))
    assert len(larger.png) > len(made.png)
    assert "ADRUN" not in f"{ZOE!r}"
    assert made.png not in repr(made)


@pytest.mark.parametrize(
    ("change", "code", "pointer"),
    [
        ({"identity_status": "validée"}, "INS_CODE_REFUSED", "/identity_status"),
        ({"sex": "I"}, "INS_CODE_REFUSED", "/sex"),
        ({"birth_date": "1975-02-31"}, "TRAIT_INVALID", "/birth_date"),
        ({"birth_name": "adrun"}, "TRAIT_INVALID", None),
        ({"given_names": "Z" * 101}, "TRAIT_INVALID", None),
        ({"given_names": "ZOE " + "A" * 97}, "INS_CODE_REFUSED", None),
        ({"birth_place_cog": "6322"}, "REQUEST_INVALID", "/birth_place_cog"),
        ({"module_px": 1}, "REQUEST_INVALID", "/module_px"),
    ],
)
async def test_what_has_no_code_is_refused(
    admin: Client, change: dict[str, str | int], code: str, pointer: str | None
) -> None:
    with pytest.raises(ApiProblem) as refused:
        await admin.make_ins_code(replace(ZOE, **change))  # type: ignore[arg-type]
    problem = refused.value.problem
    assert (problem.status // 100, problem.code) == (4, code)
    if pointer is not None:
        assert pointer in [finding.pointer for finding in problem.errors]
    assert "ADRUN" not in repr(problem)
