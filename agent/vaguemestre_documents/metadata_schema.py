"""The JSON Schema of the metadata as data, and a small validator that applies it with JSON pointers and French.

Owns the reading of ``metadata_schema.json`` and the few keywords it uses, so that schema and parser cannot differ;
never knows what a field means.
Source: JSON Schema 2020-12 (the keywords in ``KEYWORDS``), RFC 6901 (pointers).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Final

Json = str | int | float | bool | None | Sequence["Json"] | Mapping[str, "Json"]

# All that the validator understands; a test refuses a schema that uses anything else.
KEYWORDS: Final = frozenset(
    {
        "$defs",
        "$id",
        "$ref",
        "$schema",
        "additionalProperties",
        "description",
        "enum",
        "items",
        "maxItems",
        "maxLength",
        "maximum",
        "minItems",
        "minLength",
        "minimum",
        "pattern",
        "properties",
        "required",
        "title",
        "type",
        "uniqueItems",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class MetadataFinding:
    """What is wrong with one field: a stable code, where (JSON pointer), and a French sentence without its value."""

    code: str
    pointer: str
    sentence: str


@cache
def metadata_schema() -> Mapping[str, object]:
    """Return the schema of a document to build; ``#/$defs/ready_document`` is that of a ready CDA."""
    text = resources.files("vaguemestre_documents").joinpath("metadata_schema.json").read_text("utf-8")
    loaded: Mapping[str, object] = json.loads(text)
    return loaded


def validate(value: object, definition: str) -> tuple[MetadataFinding, ...]:
    """Return what breaks the named definition (``document`` or ``ready_document``), in document order."""
    return tuple(_check(value, {"$ref": f"#/$defs/{definition}"}, ""))


def child_pointer(pointer: str, key: str | int) -> str:
    """Return the JSON pointer of a member."""
    return f"{pointer}/{str(key).replace('~', '~0').replace('/', '~1')}"


_SENTENCES: Final[Mapping[str, str]] = {
    "METADATA_TYPE": "Ce champ n'est pas du type attendu.",
    "METADATA_REQUIRED": "Ce champ obligatoire est absent.",
    "METADATA_UNKNOWN": "Ce champ n'est pas prévu.",
    "METADATA_VALUE": "Cette valeur n'est pas dans la liste permise.",
    "METADATA_SHAPE": "Cette valeur n'a pas la forme attendue.",
    "METADATA_LENGTH": "Ce champ est trop court ou trop long.",
    "METADATA_RANGE": "Ce nombre est hors des bornes.",
    "METADATA_DUPLICATE": "Une valeur est répétée dans cette liste.",
}


def _finding(code: str, pointer: str) -> MetadataFinding:
    return MetadataFinding(code=code, pointer=pointer, sentence=_SENTENCES[code])


def _resolve(schema: Mapping[str, object]) -> Mapping[str, object]:
    reference = schema.get("$ref")
    if not isinstance(reference, str):
        return schema
    definitions = metadata_schema()["$defs"]
    assert isinstance(definitions, Mapping)
    target: Mapping[str, object] = definitions[reference.removeprefix("#/$defs/")]
    return target


def _is_type(value: object, name: object) -> bool:
    match name:
        case "string":
            return isinstance(value, str)
        case "boolean":
            return isinstance(value, bool)
        case "integer":
            # JSON has one kind of number: 4.0 is an integer.
            return (isinstance(value, int) and not isinstance(value, bool)) or (
                isinstance(value, float) and value.is_integer()
            )
        case "array":
            return isinstance(value, list)
        case "object":
            return isinstance(value, dict)
        case _:
            raise AssertionError("the schema uses a type that the validator does not know")


def _check(value: object, schema: Mapping[str, object], pointer: str) -> Iterator[MetadataFinding]:
    resolved = _resolve(schema)
    if not _is_type(value, resolved["type"]):
        yield _finding("METADATA_TYPE", pointer)
        return
    allowed = resolved.get("enum")
    if isinstance(allowed, list) and value not in allowed:
        yield _finding("METADATA_VALUE", pointer)
    if isinstance(value, str):
        yield from _check_string(value, resolved, pointer)
    elif isinstance(value, list):
        yield from _check_array(value, resolved, pointer)
    elif isinstance(value, dict):
        yield from _check_object(value, resolved, pointer)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield from _check_bounds(int(value), resolved, ("minimum", "maximum"), "METADATA_RANGE", pointer)


def _check_bounds(
    value: int, schema: Mapping[str, object], names: tuple[str, str], code: str, pointer: str
) -> Iterator[MetadataFinding]:
    low, high = schema.get(names[0]), schema.get(names[1])
    if (isinstance(low, int) and value < low) or (isinstance(high, int) and value > high):
        yield _finding(code, pointer)


def _check_string(value: str, schema: Mapping[str, object], pointer: str) -> Iterator[MetadataFinding]:
    yield from _check_bounds(len(value), schema, ("minLength", "maxLength"), "METADATA_LENGTH", pointer)
    pattern = schema.get("pattern")
    if isinstance(pattern, str) and re.search(pattern, value) is None:
        yield _finding("METADATA_SHAPE", pointer)


def _check_array(value: list[object], schema: Mapping[str, object], pointer: str) -> Iterator[MetadataFinding]:
    yield from _check_bounds(len(value), schema, ("minItems", "maxItems"), "METADATA_LENGTH", pointer)
    if schema.get("uniqueItems") is True and any(item in value[:i] for i, item in enumerate(value)):
        yield _finding("METADATA_DUPLICATE", pointer)
    items = schema.get("items")
    if isinstance(items, dict):
        for position, item in enumerate(value):
            yield from _check(item, items, child_pointer(pointer, position))


def _check_object(value: dict[str, object], schema: Mapping[str, object], pointer: str) -> Iterator[MetadataFinding]:
    properties = schema["properties"]
    required = schema.get("required", [])
    assert isinstance(properties, dict)
    assert isinstance(required, list)
    for name in required:
        if name not in value:
            yield _finding("METADATA_REQUIRED", child_pointer(pointer, name))
    for name, member in value.items():
        if name in properties:
            yield from _check(member, properties[name], child_pointer(pointer, name))
        else:
            # The key itself may be anything a client typed: it is not repeated.
            yield _finding("METADATA_UNKNOWN", pointer)
