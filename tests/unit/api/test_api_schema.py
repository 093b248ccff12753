"""The validator agrees with the reference one, and every model and route agrees with the OpenAPI document."""

from __future__ import annotations

import dataclasses
import json
import types
import typing
from collections.abc import Mapping
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vaguemestre_agent.localapi.routes import TABLE, RouteTable
from vaguemestre_api import openapi, wire, wire_documents, wire_facts, wire_inscodes, wire_readers
from vaguemestre_api.codec import WireError, from_json, to_json
from vaguemestre_api.schema import ANNOTATIONS, CONSTRAINTS, SchemaSet
from vaguemestre_core.cards import CardKind, ReaderState
from vaguemestre_core.errors import InvalidInput, NotFound, Recovery
from vaguemestre_core.facts import IdentityEvent
from vaguemestre_core.guards import GuardName
from vaguemestre_core.identities import IdentityStatus
from vaguemestre_core.orders import HoldKind, OrderKind, OrderState, WaitReason
from vaguemestre_core.readerports import ProcessState
from vaguemestre_core.records import AuthorityMeans, CancelAnswer, Scope
from vaguemestre_core.scannersettings import ScannerKind
from vaguemestre_core.scans import ScanKind, ScanSource

DOCUMENT: dict[str, Any] = json.loads(openapi.document_bytes())
SCHEMAS: dict[str, Any] = DOCUMENT["components"]["schemas"]


def keywords(schema: object) -> set[str]:
    """Return the keywords of a schema and its parts (names of properties are no keywords)."""
    if not isinstance(schema, dict):
        return set()
    found = set(schema)
    for name, value in schema.items():
        if name == "properties":
            for member in value.values():
                found |= keywords(member)
        elif isinstance(value, dict):
            found |= keywords(value)
        elif isinstance(value, list):
            for member in value:
                found |= keywords(member)
    return found


def test_the_document_uses_no_keyword_that_we_ignore() -> None:
    used = set().union(*(keywords(schema) for schema in SCHEMAS.values()))
    used |= set().union(
        *(keywords(parameter.schema) for item in openapi.operations().values() for parameter in item.parameters)
    )

    assert used <= CONSTRAINTS | ANNOTATIONS


@pytest.mark.parametrize("name", sorted(SCHEMAS))
def test_each_schema_is_a_schema(name: str) -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMAS[name])


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 2000) | st.floats(0.1, 9.9) | st.text(max_size=12),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["user", "role", "rpps", "open", "x"]), inner)
    ),
    max_leaves=12,
)
SOME = ("Actor", "PatientContextRequest", "ReconcileRequest", "PairingRequest", "OpenPairingRequest", "Product")


@st.composite
def near(draw: st.DrawFn) -> tuple[str, object]:
    """A request schema's name and a value that nearly fits it."""
    name = draw(st.sampled_from(SOME))
    members = SCHEMAS[name]["properties"]
    fitting: dict[str, Any] = {
        "user": "u", "role": "r", "rpps": "10003456789", "open": True, "client_refs": ["a"], "code": "ABCD-EFGH",
        "name": "LGC", "scopes": ["read"], "product": None, "actor": {"user": "u", "role": "r"}, "oid_root": "1.2.250",
    }  # fmt: skip
    value = {key: draw(st.just(fitting.get(key, "x")) | JSON) for key in members if draw(st.integers(0, 9)) > 0}
    if draw(st.integers(0, 4)) == 0:
        value["more"] = draw(JSON)
    return name, value if draw(st.integers(0, 9)) else draw(JSON)


@given(near())
def test_our_validator_and_the_reference_one_agree(case: tuple[str, object]) -> None:
    name, value = case
    reference = jsonschema.Draft202012Validator(
        {"$ref": f"#/components/schemas/{name}", "components": DOCUMENT["components"]}
    )

    ours = list(openapi.schemas().violations(value, openapi.schemas().named(name)))  # type: ignore[arg-type]

    # "$" of a JSON Schema pattern is the very end of the text; Python's reference lets a line feed by.
    trailing = '\\n"' in json.dumps(value)
    assert bool(ours) == (not reference.is_valid(value)) or trailing


def test_a_pattern_ends_at_the_very_end() -> None:
    schema = SchemaSet({"A": {"type": "string", "pattern": "^[0-9]+$"}})

    assert [item.keyword for item in schema.violations("12\n", schema.named("A"))] == ["pattern"]
    assert list(schema.violations("12", schema.named("A"))) == []


MODELS: dict[str, Any] = {
    name: model
    for name, model in (
        vars(wire) | vars(wire_facts) | vars(wire_documents) | vars(wire_inscodes) | vars(wire_readers)
    ).items()
    if isinstance(model, type) and dataclasses.is_dataclass(model)
}


def test_every_schema_has_its_model_and_every_model_its_schema() -> None:
    assert set(MODELS) == set(SCHEMAS) - {"LedgerActor"}  # the ledger's actor is read as an Actor


@pytest.mark.parametrize("name", sorted(MODELS))
def test_a_model_has_exactly_the_members_of_its_schema(name: str) -> None:
    schema, model = SCHEMAS[name], MODELS[name]
    hints = typing.get_type_hints(model)

    assert [item.name for item in dataclasses.fields(model)] == list(schema["properties"])
    for item in dataclasses.fields(model):
        required = item.default is dataclasses.MISSING and item.default_factory is dataclasses.MISSING
        assert required == (item.name in schema["required"]), item.name
        assert _kinds(hints[item.name]) - {"null"} == _schema_kinds(schema["properties"][item.name]) - {"null"}, (
            item.name
        )


def _kinds(hint: Any) -> set[str]:
    origin = typing.get_origin(hint)
    if origin in (typing.Union, types.UnionType):
        return set().union(*(_kinds(choice) for choice in typing.get_args(hint))) - {"integer"} | (
            {"integer"} if typing.get_args(hint)[0] is int else set()
        )
    if origin is tuple:
        return {"array"}
    if origin is not None and issubclass(origin, Mapping):
        return {"object"}
    if dataclasses.is_dataclass(hint):
        return {"object"}
    names = {
        "str": "string",
        "int": "integer",
        "float": "number",
        "bool": "boolean",
        "NoneType": "null",
        "datetime": "string",
    }
    return {names[hint.__name__]}


def _schema_kinds(schema: Mapping[str, Any]) -> set[str]:
    if "$ref" in schema or "oneOf" in schema:
        return {"object"}
    kinds = schema["type"]
    return {kinds} if isinstance(kinds, str) else set(kinds)


@pytest.mark.parametrize(
    ("place", "enumeration"),
    [
        (("Order", "state"), OrderState),
        (("Order", "kind"), OrderKind),
        (("Order", "waiting"), WaitReason),
        (("Authority", "means"), AuthorityMeans),
        (("CancelAnswer", "answer"), CancelAnswer),
        (("GuardAnswer", "guard"), GuardName),
        (("Problem", "recovery"), Recovery),
        (("Reader", "state"), ReaderState),
        (("Reader", "card"), CardKind),
        (("Readers", "state"), ProcessState),
        (("Scanner", "kind"), ScannerKind),
        (("Code", "source"), ScanSource),
        (("Code", "kind"), ScanKind),
        (("ScanRequest", "expected"), ScanKind),
        (("IdentityEventRequest", "event"), IdentityEvent),
        (("IdentityEventRequest", "identity_status"), IdentityStatus),
    ],
)
def test_enumerations_are_the_domains(place: tuple[str, str], enumeration: Any) -> None:
    listed = SCHEMAS[place[0]]["properties"][place[1]]["enum"]

    assert {value for value in listed if value is not None} == {item.value for item in enumeration}


def test_lists_of_enumerations_are_the_domains() -> None:
    assert set(SCHEMAS["Order"]["properties"]["holds"]["items"]["enum"]) == {item.value for item in HoldKind}
    assert set(SCHEMAS["Client"]["properties"]["scopes"]["items"]["enum"]) == {item.value for item in Scope}


def test_an_unknown_member_is_ignored_and_a_missing_one_refused() -> None:
    assert from_json(wire.Actor, {"user": "u", "role": "r", "future": 1}) == wire.Actor(user="u", role="r")
    with pytest.raises(WireError, match="/role"):
        from_json(wire.Actor, {"user": "u"})
    with pytest.raises(WireError, match="/open"):
        from_json(wire.PatientContextRequest, {"open": 1})
    with pytest.raises(WireError, match="/orders/0/order_id"):
        from_json(wire.OrderPage, {"orders": [{}]})


@given(st.builds(wire.Actor, user=st.text(), role=st.text(), rpps=st.none() | st.text()))
def test_what_is_written_is_read_back(actor: wire.Actor) -> None:
    assert from_json(wire.Actor, to_json(actor)) == actor


def test_a_type_that_the_wire_does_not_carry_is_refused() -> None:
    with pytest.raises(TypeError):
        to_json(1j)


def test_a_duplicate_route_cannot_be_built() -> None:
    with pytest.raises(ValueError, match="duplicate"):
        RouteTable([*TABLE, TABLE[0]])


def test_a_route_that_disagrees_with_the_document_cannot_be_built() -> None:
    method, template, _, operation_id, handler = TABLE[-1]
    with pytest.raises(ValueError, match="not what"):
        RouteTable([*TABLE[:-1], (method, template, Scope.ADMIN, operation_id, handler)])
    with pytest.raises(ValueError, match="without route"):
        RouteTable(TABLE[:-1])


def test_a_reference_with_a_slash_is_one_segment() -> None:
    found = RouteTable().find("GET", "/v1/documents/2026%2F11%2Fa%20b")

    assert found.path == {"client_ref": "2026/11/a b"}


@given(st.text(alphabet="/v1ordes%2F*{}.é", max_size=30))
def test_any_path_is_found_or_refused(path: str) -> None:
    try:
        outcome = RouteTable().find("GET", path).route.template
    except (NotFound, InvalidInput) as error:
        outcome = error.code

    known = {template for _, template, *_ in TABLE}
    assert outcome in known | {"ROUTE_UNKNOWN", "METHOD_NOT_ALLOWED", "PATH_INVALID"}


def test_every_write_has_an_actor_but_pairing() -> None:
    silent = {
        item.operation_id for item in openapi.operations().values() if item.method != "GET" and not item.has_actor
    }

    # These write nothing: one compares, one draws, one reads.
    assert silent == {"pair", "reconcile", "makeInsCode", "scan"}
