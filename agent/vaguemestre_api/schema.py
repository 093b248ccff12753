"""Validation of JSON values and parameters against the schemas of the OpenAPI document.

Owns the subset of JSON Schema 2020-12 that ``openapi.json`` uses; a test fails when the document uses a keyword
that is not here. No runtime dependency: the general validators weigh more than this whole package.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from vaguemestre_api.jsontypes import Json, JsonObject

# Keywords that constrain, then keywords that only inform.
CONSTRAINTS: Final = frozenset(
    {
        "$ref", "additionalProperties", "enum", "exclusiveMinimum", "items", "maxItems", "maxLength", "maximum",
        "minItems", "minLength", "minimum", "oneOf", "pattern", "properties", "required", "type", "uniqueItems",
    }
)  # fmt: skip
ANNOTATIONS: Final = frozenset({"description", "format"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    """One broken constraint: where (JSON pointer) and which keyword."""

    pointer: str
    keyword: str


class SchemaSet:
    """The named schemas of one document."""

    def __init__(self, components: JsonObject) -> None:
        self._components = components

    def named(self, name: str) -> JsonObject:
        """Return the schema of that name."""
        return _object(self._components[name])

    def violations(self, value: Json, schema: JsonObject, pointer: str = "") -> Iterator[Violation]:
        """Yield every violation of ``value``, in the order of the document."""
        target = schema.get("$ref")
        if isinstance(target, str):
            yield from self.violations(value, self.named(target.rpartition("/")[2]), pointer)
            return
        choices = schema.get("oneOf")
        if isinstance(choices, Sequence) and not isinstance(choices, str):
            yield from self._one_of(value, choices, pointer)
            return
        types = schema.get("type")
        if types is not None and not _has_type(value, types):
            yield Violation(pointer=pointer, keyword="type")
            return
        allowed = schema.get("enum")
        if isinstance(allowed, Sequence) and value not in allowed:
            yield Violation(pointer=pointer, keyword="enum")
        if isinstance(value, str):
            yield from _text_violations(value, schema, pointer)
        elif isinstance(value, int | float) and not isinstance(value, bool):
            yield from _number_violations(value, schema, pointer)
        elif isinstance(value, Mapping):
            yield from self._object_violations(value, schema, pointer)
        elif isinstance(value, Sequence):
            yield from self._array_violations(value, schema, pointer)

    def _one_of(self, value: Json, choices: Sequence[Json], pointer: str) -> Iterator[Violation]:
        """Accept the first fitting choice; otherwise tell what the closest choice (of the same type) lacks."""
        best: list[Violation] | None = None
        for choice in choices:
            found = list(self.violations(value, _object(choice), pointer))
            if not found:
                return
            if best is None or any(item.pointer != pointer for item in found):
                best = found
        yield from best or [Violation(pointer=pointer, keyword="oneOf")]

    def _object_violations(self, value: JsonObject, schema: JsonObject, pointer: str) -> Iterator[Violation]:
        required = schema.get("required", ())
        for name in required if isinstance(required, Sequence) else ():
            if name not in value:
                yield Violation(pointer=f"{pointer}/{_escape(str(name))}", keyword="required")
        properties = _object(schema.get("properties", {}))
        others = schema.get("additionalProperties", True)
        for name, member in value.items():
            where = f"{pointer}/{_escape(name)}"
            if name in properties:
                yield from self.violations(member, _object(properties[name]), where)
            elif others is False:
                yield Violation(pointer=where, keyword="additionalProperties")
            elif isinstance(others, Mapping):
                yield from self.violations(member, others, where)

    def _array_violations(self, value: Sequence[Json], schema: JsonObject, pointer: str) -> Iterator[Violation]:
        if len(value) < _bound(schema, "minItems", 0):
            yield Violation(pointer=pointer, keyword="minItems")
        if len(value) > _bound(schema, "maxItems", float("inf")):
            yield Violation(pointer=pointer, keyword="maxItems")
            return
        if schema.get("uniqueItems") is True and len({repr(item) for item in value}) != len(value):
            yield Violation(pointer=pointer, keyword="uniqueItems")
        items = schema.get("items")
        if isinstance(items, Mapping):
            for index, item in enumerate(value):
                yield from self.violations(item, items, f"{pointer}/{index}")


def _text_violations(value: str, schema: JsonObject, pointer: str) -> Iterator[Violation]:
    if len(value) < _bound(schema, "minLength", 0):
        yield Violation(pointer=pointer, keyword="minLength")
    if len(value) > _bound(schema, "maxLength", float("inf")):
        yield Violation(pointer=pointer, keyword="maxLength")
    pattern = schema.get("pattern")
    if isinstance(pattern, str) and _compiled(pattern).search(value) is None:
        yield Violation(pointer=pointer, keyword="pattern")


def _number_violations(value: float, schema: JsonObject, pointer: str) -> Iterator[Violation]:
    if value < _bound(schema, "minimum", float("-inf")):
        yield Violation(pointer=pointer, keyword="minimum")
    if value <= _bound(schema, "exclusiveMinimum", float("-inf")):
        yield Violation(pointer=pointer, keyword="exclusiveMinimum")
    if value > _bound(schema, "maximum", float("inf")):
        yield Violation(pointer=pointer, keyword="maximum")


@lru_cache(maxsize=64)
def _compiled(pattern: str) -> re.Pattern[str]:
    # ECMA's "$" is the very end of the text; Python's also accepts a line feed before it.
    return re.compile(pattern[:-1] + r"\Z" if pattern.endswith("$") else pattern)


def _bound(schema: JsonObject, keyword: str, default: float) -> float:
    value = schema.get(keyword, default)
    assert isinstance(value, int | float)
    return value


def _object(value: Json) -> JsonObject:
    assert isinstance(value, Mapping)
    return value


def _escape(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")


_TYPES: Final[Mapping[str, tuple[type, ...]]] = {
    "string": (str,),
    "boolean": (bool,),
    "integer": (int,),
    "number": (int, float),
    "null": (type(None),),
    "object": (Mapping,),
    "array": (list, tuple),
}


def _has_type(value: Json, types: Json) -> bool:
    names = [types] if isinstance(types, str) else types
    assert isinstance(names, Sequence)
    for name in names:
        assert isinstance(name, str)
        if isinstance(value, bool) and name != "boolean":
            continue
        if isinstance(value, _TYPES[name]):
            return True
    return False
