"""The OpenAPI document as a client generator sees it: models, fields and calls; refuses what it does not understand.

Owns the reading of schemas into types. A construct that is not written here stops the generation with its place: a
client that would silently leave something out is worse than none.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum, unique
from typing import Final

from vaguemestre_api import openapi
from vaguemestre_api.jsontypes import Json, JsonObject

ACTOR_HEADER: Final = "Vaguemestre-Actor"
KEY_HEADER: Final = "Idempotency-Key"
RESUME_HEADER: Final = "Last-Event-ID"
_HANDLED_HEADERS: Final = frozenset({ACTOR_HEADER, KEY_HEADER, RESUME_HEADER})


class NotUnderstood(Exception):
    """The document holds a construct that the generator does not know; ``where`` names its place."""

    def __init__(self, where: str) -> None:
        super().__init__(f"the client generator does not understand {where}: teach vaguemestre_api/clientgen")
        self.where = where


@unique
class Kind(StrEnum):
    """Shapes of a value."""

    TEXT = "text"
    INTEGER = "integer"
    NUMBER = "number"
    BOOLEAN = "boolean"
    ANY = "any"  # JSON without a schema
    MODEL = "model"
    LIST = "list"
    MAP = "map"
    BINARY = "binary"


@dataclass(frozen=True, slots=True, kw_only=True)
class Type:
    """One type.

    Attributes:
        kind: its shape.
        nullable: null is a value of it.
        model: name of the model, for MODEL.
        item: type of the items or values, for LIST and MAP.
        values: closed set of texts, or empty.
    """

    kind: Kind
    nullable: bool = False
    model: str = ""
    item: Type | None = None
    values: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One member of a model, or one parameter: its wire name, type, whether it must be there, and a French sentence."""

    name: str
    type: Type
    required: bool
    description: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """One named schema."""

    name: str
    description: str
    fields: tuple[Field, ...]


@unique
class Answer(StrEnum):
    """What a call gives back."""

    NOTHING = "nothing"
    MODEL = "model"
    JSON = "json"  # without a named schema
    BYTES = "bytes"
    STREAM = "stream"


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One operation.

    Attributes:
        name: operationId.
        method, path, summary, statuses, has_actor: as in the document.
        path_fields, query_fields: parameters.
        takes_key: an idempotency key may be given.
        request: model of the JSON body, or empty.
        request_required: the body must be there.
        form: parts of a multipart body, the actor excepted.
        answer: what comes back.
        answer_model: its model, for MODEL.
    """

    name: str
    method: str
    path: str
    summary: str
    statuses: tuple[int, ...]
    has_actor: bool
    path_fields: tuple[Field, ...]
    query_fields: tuple[Field, ...]
    takes_key: bool
    request: str
    request_required: bool
    form: tuple[Field, ...]
    answer: Answer
    answer_model: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """The whole API: its version, models, calls, and the models of the event stream by event name."""

    version: str
    models: tuple[Model, ...]
    calls: tuple[Call, ...]
    events: tuple[tuple[str, str], ...]


def describe(document: JsonObject) -> Description:
    """Return the description of an OpenAPI document. Raises NotUnderstood."""
    named = _object(_object(document["components"])["schemas"])
    models = tuple(_model(name, _object(schema)) for name, schema in named.items())
    raw = {str(_object(item)["operationId"]): _object(item) for item in _operations(document)}
    calls = tuple(_call(operation, raw[operation.operation_id]) for operation in openapi.operations().values())
    return Description(
        version=str(_object(document["info"])["version"]), models=models, calls=calls, events=_events(raw)
    )


def _operations(document: JsonObject) -> Iterator[Json]:
    for item in _object(document["paths"]).values():
        yield from _object(item).values()


def _model(name: str, schema: JsonObject) -> Model:
    if schema.get("type") != "object" or "properties" not in schema:
        raise NotUnderstood(f"schema {name}")
    return Model(name=name, description=str(schema.get("description", "")), fields=tuple(_fields(name, schema)))


def _fields(where: str, schema: JsonObject) -> Iterator[Field]:
    required = _texts(schema.get("required", ()))
    for name, value in _object(schema["properties"]).items():
        yield Field(
            name=name,
            type=_type(f"{where}.{name}", _object(value)),
            required=name in required,
            description=str(_object(value).get("description", "")),
        )


def _type(where: str, schema: JsonObject) -> Type:
    if "$ref" in schema:
        return Type(kind=Kind.MODEL, model=str(schema["$ref"]).rpartition("/")[2])
    if "oneOf" in schema:
        choices = [_object(choice) for choice in _list(schema["oneOf"])]
        real = [choice for choice in choices if choice.get("type") != "null"]
        if len(real) != 1 or "$ref" not in real[0]:
            raise NotUnderstood(where)
        return Type(kind=Kind.MODEL, model=str(real[0]["$ref"]).rpartition("/")[2], nullable=len(choices) > len(real))
    stated = schema.get("type")
    kinds = _texts(stated) if not isinstance(stated, str) else (stated,)
    nullable = "null" in kinds
    match tuple(kind for kind in kinds if kind != "null"):
        case ("string",):
            if schema.get("format") == "binary":
                return Type(kind=Kind.BINARY)
            values = tuple(value for value in _list(schema.get("enum", ())) if isinstance(value, str))
            return Type(kind=Kind.TEXT, nullable=nullable, values=values)
        case ("integer" | "number" | "boolean" as plain,):
            return Type(kind=Kind(plain), nullable=nullable)
        case ("array",):
            return Type(kind=Kind.LIST, nullable=nullable, item=_type(f"{where}[]", _object(schema["items"])))
        case ("object",) if isinstance(schema.get("additionalProperties"), Mapping):
            item = _type(f"{where}{{}}", _object(schema["additionalProperties"]))
            return Type(kind=Kind.MAP, nullable=nullable, item=item)
        case ("object",) if "properties" not in schema:
            return Type(kind=Kind.ANY, nullable=nullable)
        case ("string", "number", "boolean"):
            return Type(kind=Kind.ANY, nullable=nullable)
        case _:
            raise NotUnderstood(where)


def _call(operation: openapi.Operation, raw: JsonObject) -> Call:
    where = operation.operation_id
    strange = [p.name for p in operation.parameters if p.where == "header" and p.name not in _HANDLED_HEADERS]
    if strange:
        raise NotUnderstood(f"{where}: header {strange[0]}")
    content = _object(_object(raw.get("requestBody", {})).get("content", {}))
    if set(content) - {"application/json", "multipart/form-data"} or (
        "application/json" in content and operation.request_schema is None
    ):
        raise NotUnderstood(f"{where}: request body")
    form: tuple[Field, ...] = ()
    if operation.is_upload:
        schema = _object(_object(content["multipart/form-data"])["schema"])
        form = tuple(part for part in _fields(where, schema) if part.name != "actor")
    answer, model = _answer(where, operation, raw)
    return Call(
        name=where,
        method=operation.method,
        path=operation.path,
        summary=operation.summary,
        statuses=operation.statuses,
        has_actor=operation.has_actor,
        path_fields=tuple(_parameters(operation, "path")),
        query_fields=tuple(_parameters(operation, "query")),
        takes_key=any(p.name == KEY_HEADER for p in operation.parameters),
        request=operation.request_schema or "",
        request_required=operation.request_required,
        form=form,
        answer=answer,
        answer_model=model,
    )


def _parameters(operation: openapi.Operation, place: str) -> Iterator[Field]:
    """Yield the parameters of that place, those that must be given first."""
    found = [p for p in operation.parameters if p.where == place]
    if place == "query":
        found.sort(key=lambda p: not p.required)
    for p in found:
        yield Field(
            name=p.name,
            type=_type(f"{operation.operation_id}.{p.name}", p.schema),
            required=p.required,
            description=p.description,
        )


def _answer(where: str, operation: openapi.Operation, raw: JsonObject) -> tuple[Answer, str]:
    kinds: set[str] = set()
    for status, response in _object(raw["responses"]).items():
        if status != "default":
            kinds |= set(_object(_object(response).get("content", {})))
    if not kinds:
        return Answer.NOTHING, ""
    if kinds == {"text/event-stream"}:
        return Answer.STREAM, ""
    if kinds == {"application/json"}:
        model = operation.response_schema
        return (Answer.JSON, "") if model is None else (Answer.MODEL, model)
    if "application/json" in kinds:
        raise NotUnderstood(f"{where}: answers of several kinds")
    return Answer.BYTES, ""


def _events(raw: Mapping[str, JsonObject]) -> tuple[tuple[str, str], ...]:
    """Return the stream's event names with their models: the model's, in lower case, without ``Event``."""
    stream = _object(_object(_object(raw["streamEvents"])["responses"])["200"])
    schema = _object(_object(_object(stream["content"])["text/event-stream"])["schema"])
    models = [str(_object(choice)["$ref"]).rpartition("/")[2] for choice in _list(schema["oneOf"])]
    return tuple((model.removesuffix("Event").lower(), model) for model in models)


def _object(value: Json) -> JsonObject:
    assert isinstance(value, Mapping)
    return value


def _list(value: Json) -> Sequence[Json]:
    assert isinstance(value, Sequence)
    return value


def _texts(value: Json) -> tuple[str, ...]:
    assert isinstance(value, Sequence)
    return tuple(str(item) for item in value)
