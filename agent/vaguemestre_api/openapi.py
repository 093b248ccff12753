"""The OpenAPI 3.1 document: one source for request validation, the client, the CLI's export and the documentation.

Owns the reading of ``openapi.json`` into operations; never serves anything.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from importlib import resources
from typing import Final

from vaguemestre_api.jsontypes import Json, JsonObject, parse_object
from vaguemestre_api.schema import SchemaSet, Violation

_METHODS: Final = ("get", "put", "post", "delete")
_FILE: Final = "openapi.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """One parameter of an operation.

    Attributes:
        name: its name on the wire.
        where: ``path``, ``query`` or ``header``.
        required: must be given.
        schema: constraints on its value.
        description: one sentence, French.
    """

    name: str
    where: str
    required: bool
    schema: JsonObject = field(repr=False)
    description: str = field(repr=False)

    @property
    def is_list(self) -> bool:
        """It may be repeated."""
        return self.schema.get("type") == "array"


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One operation of the API.

    Attributes:
        operation_id: stable name.
        method: upper case.
        path: template, one ``{name}`` per variable segment.
        scope: scope needed, or ``none`` for the unpaired.
        has_actor: it changes something: the caller says who asks.
        summary: one sentence, French.
        parameters: path, query and header parameters.
        request_schema: name of the JSON body's schema, or None.
        request_required: the JSON body must be there.
        is_upload: the body is multipart/form-data.
        is_batch: it holds several documents.
        statuses: success statuses.
        response_schema: name of the answer's schema, or None.
    """

    operation_id: str
    method: str
    path: str
    scope: str
    has_actor: bool
    summary: str
    parameters: tuple[Parameter, ...]
    request_schema: str | None
    request_required: bool
    is_upload: bool
    is_batch: bool
    statuses: tuple[int, ...]
    response_schema: str | None


@lru_cache(maxsize=1)
def document_bytes() -> bytes:
    """Return the document as it is served and exported."""
    return resources.files("vaguemestre_api").joinpath(_FILE).read_bytes()


@lru_cache(maxsize=1)
def document() -> JsonObject:
    """Return the parsed document."""
    return parse_object(document_bytes(), max_depth=64)


@lru_cache(maxsize=1)
def schemas() -> SchemaSet:
    """Return the named schemas."""
    return SchemaSet(_at(document(), "components", "schemas"))


@lru_cache(maxsize=1)
def operations() -> Mapping[str, Operation]:
    """Return all operations by their id.

    Raises:
        ValueError: two operations bear one id.
    """
    found: dict[str, Operation] = {}
    for path, item in _at(document(), "paths").items():
        for method in _METHODS:
            raw = _as_object(item).get(method)
            if raw is None:
                continue
            operation = _operation(method, path, _as_object(raw))
            if operation.operation_id in found:
                raise ValueError(operation.operation_id)
            found[operation.operation_id] = operation
    return found


def check_body(operation: Operation, value: Json) -> tuple[Violation, ...]:
    """Return what is wrong with a JSON body."""
    if operation.request_schema is None:
        return ()
    return tuple(schemas().violations(value, schemas().named(operation.request_schema)))


def check_parameter(parameter: Parameter, values: Sequence[str]) -> tuple[Json, tuple[Violation, ...]]:
    """Return a parameter's value in its type, and what is wrong with it."""
    pointer = f"/{parameter.where}/{parameter.name}"
    if parameter.is_list:
        value: Json = list(values)
    elif len(values) != 1:
        return None, (Violation(pointer=pointer, keyword="maxItems"),)
    else:
        value = _typed(values[0], parameter.schema.get("type"))
    return value, tuple(schemas().violations(value, parameter.schema, pointer))


def _typed(text: str, kind: Json) -> Json:
    if kind == "integer" and text.isascii() and text.isdigit() and len(text) <= 16:
        return int(text)
    if kind == "boolean" and text in {"true", "false"}:
        return text == "true"
    return text


def _operation(method: str, path: str, raw: JsonObject) -> Operation:
    content = _as_object(_as_object(raw.get("requestBody", {})).get("content", {}))
    json_body = _as_object(content.get("application/json", {}))
    form = _as_object(content.get("multipart/form-data", {}))
    parts = _as_object(_as_object(form.get("schema", {})).get("properties", {}))
    responses = _as_object(raw["responses"])
    return Operation(
        operation_id=_as_text(raw["operationId"]),
        method=method.upper(),
        path=path,
        scope=_as_text(raw["x-scope"]),
        has_actor=raw.get("x-actor") is True,
        summary=_as_text(raw["summary"]),
        parameters=tuple(_parameters(raw)),
        request_schema=_reference(json_body),
        request_required=_as_object(raw.get("requestBody", {})).get("required") is True,
        is_upload=bool(form),
        is_batch="documents" in parts,
        statuses=tuple(sorted(int(status) for status in responses if status != "default")),
        response_schema=next(
            (
                name
                for status, answer in responses.items()
                if status != "default"
                for media in (_as_object(_as_object(answer).get("content", {})).get("application/json"),)
                if media is not None and (name := _reference(_as_object(media))) is not None
            ),
            None,
        ),
    )


def _parameters(raw: JsonObject) -> Iterator[Parameter]:
    listed = raw.get("parameters", ())
    assert isinstance(listed, Sequence)
    for entry in listed:
        item = _as_object(entry)
        target = item.get("$ref")
        if isinstance(target, str):
            item = _at(document(), "components", "parameters", target.rpartition("/")[2])
        yield Parameter(
            name=_as_text(item["name"]),
            where=_as_text(item["in"]),
            required=item["required"] is True,
            schema=_as_object(item["schema"]),
            description=_as_text(item["description"]),
        )


def _reference(media: JsonObject) -> str | None:
    target = _as_object(media.get("schema", {})).get("$ref")
    return target.rpartition("/")[2] if isinstance(target, str) else None


def _at(value: JsonObject, *names: str) -> JsonObject:
    for name in names:
        value = _as_object(value[name])
    return value


def _as_object(value: Json) -> JsonObject:
    assert isinstance(value, Mapping)
    return value


def _as_text(value: Json) -> str:
    assert isinstance(value, str)
    return value
