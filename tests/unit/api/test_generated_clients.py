"""The committed clients are what the generator makes of ``openapi.json``; what it does not understand stops it."""

from __future__ import annotations

import copy
import re
from pathlib import Path
from typing import Any

import pytest

from vaguemestre_api import openapi
from vaguemestre_api.clientgen.description import Answer, Kind, NotUnderstood, describe
from vaguemestre_api.clientgen.generate import clients
from vaguemestre_api.clientgen.naming import camel, comment, pascal, xml_comment

ROOT = Path(__file__).parents[3]
INTEGRATE = ROOT / "docs" / "integrate"
HELP = "openapi.json or the generator changed: run `python docs/generate.py` and commit docs/integrate/"


def document() -> Any:
    return copy.deepcopy(openapi.document())


@pytest.mark.parametrize("name", sorted(clients()))
def test_the_committed_client_is_the_generated_one(name: str) -> None:
    # Not a plain assert: the comparison of two long files would hide what to do.
    if clients()[name] != (INTEGRATE / name).read_text(encoding="utf-8"):
        pytest.fail(f"{name}: {HELP}")


def test_every_operation_has_its_method_in_each_language() -> None:
    texts = clients()
    for name in openapi.operations():
        assert f"\n  {name}(" in texts["javascript/vaguemestre.mjs"]
        assert f"\n  {name}(" in texts["javascript/vaguemestre.d.mts"]
        assert re.search(rf"public [\w<>\[\]]+ {pascal(name)}\(", texts["csharp/Vaguemestre.cs"])


def test_every_model_member_is_declared_in_each_language() -> None:
    texts = clients()
    for model in describe(openapi.document()).models:
        typescript = texts["javascript/vaguemestre.d.mts"].partition(f"export interface {model.name} {{")[2]
        typescript = typescript.partition("\n}")[0]
        csharp = (
            texts["csharp/Vaguemestre.cs"].partition(f"class {model.name} : IJsonModel")[2].partition("FromJson")[0]
        )
        for item in model.fields:
            assert re.search(rf"\n  {item.name}\??: ", typescript), f"{model.name}.{item.name}"
            assert re.search(rf" {pascal(item.name)}(Value)? {{ get; set; }}", csharp), f"{model.name}.{item.name}"


def test_the_description_says_what_each_call_needs() -> None:
    calls = {call.name: call for call in describe(openapi.document()).calls}
    put = calls["putDocument"]
    assert put.takes_key
    assert put.has_actor
    assert [part.name for part in put.form if part.required] == ["metadata", "body"]
    assert calls["streamEvents"].answer is Answer.STREAM
    assert calls["getOpenApi"].answer is Answer.JSON
    assert calls["revokeClient"].answer is Answer.NOTHING
    assert calls["closeSession"].query_fields[0].required
    states = calls["listOrders"].query_fields[0].type
    assert states.kind is Kind.LIST
    assert states.item is not None
    assert "sent" in states.item.values


def test_no_text_of_the_document_ends_a_comment() -> None:
    assert "*/" not in comment("a */ b\nc")
    assert comment("a\n  b") == "a b"
    assert xml_comment("<b> & c") == "&lt;b&gt; &amp; c"


@pytest.mark.parametrize(
    ("name", "in_camel", "in_pascal"),
    [
        ("order_id", "orderId", "OrderId"),
        ("send-now", "sendNow", "SendNow"),
        ("getOpenApi", "getOpenApi", "GetOpenApi"),
    ],
)
def test_names_follow_the_customs(name: str, in_camel: str, in_pascal: str) -> None:
    assert (camel(name), pascal(name)) == (in_camel, in_pascal)


def test_an_unknown_shape_of_a_member_stops_the_generation() -> None:
    changed = document()
    changed["components"]["schemas"]["Health"]["properties"]["version"] = {"type": ["string", "array"]}
    with pytest.raises(NotUnderstood, match=r"Health\.version"):
        describe(changed)


def test_an_unknown_request_body_stops_the_generation() -> None:
    changed = document()
    changed["paths"]["/v1/reconcile"]["post"]["requestBody"]["content"] = {"text/csv": {"schema": {"type": "string"}}}
    with pytest.raises(NotUnderstood, match="reconcile: request body"):
        describe(changed)


def test_a_schema_that_is_no_object_stops_the_generation() -> None:
    changed = document()
    changed["components"]["schemas"]["Odd"] = {"type": "string"}
    with pytest.raises(NotUnderstood, match="schema Odd"):
        describe(changed)


def test_answers_of_two_kinds_stop_the_generation() -> None:
    changed = document()
    changed["paths"]["/v1/health"]["get"]["responses"]["200"]["content"]["text/plain"] = {}
    with pytest.raises(NotUnderstood, match="getHealth"):
        describe(changed)
