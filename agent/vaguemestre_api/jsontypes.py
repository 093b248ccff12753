"""Types of parsed JSON, and the one bounded way to parse what somebody else wrote.

Owns the bounds (nesting, duplicate names, numbers, lone surrogates); knows no schema.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Final, TypeAlias

JsonScalar: TypeAlias = str | int | float | bool | None
Json: TypeAlias = "JsonScalar | Sequence[Json] | Mapping[str, Json]"
JsonObject: TypeAlias = Mapping[str, Json]

MAX_DEPTH: Final = 32
_OPENING: Final = frozenset(b"[{")
_CLOSING: Final = frozenset(b"]}")
_QUOTE: Final = ord('"')
_BACKSLASH: Final = ord("\\")


class JsonRefused(ValueError):
    """The bytes are not acceptable JSON; ``reason`` is one of encoding, syntax, depth, duplicate, number, text."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def parse_json(data: bytes, *, max_depth: int = MAX_DEPTH) -> Json:
    """Return the value that ``data`` (UTF-8, no BOM) holds.

    Raises:
        JsonRefused: not UTF-8, not JSON, nested deeper than ``max_depth``, a name twice in one object, NaN or an
            absurd number, or text that UTF-8 cannot carry.
    """
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        raise JsonRefused("encoding") from None
    if text.startswith("\ufeff"):
        raise JsonRefused("encoding")
    if _depth(data) > max_depth:
        raise JsonRefused("depth")
    try:
        value: Json = json.loads(text, object_pairs_hook=_object, parse_constant=_constant)
    except JsonRefused:
        raise
    except json.JSONDecodeError:
        raise JsonRefused("syntax") from None
    except (ValueError, RecursionError):  # a number of thousands of digits
        raise JsonRefused("number") from None
    # A backslash is needed to write a surrogate, infinity needs an exponent: the second look is rare.
    if "\\" in text or "e" in text or "E" in text:
        try:
            json.dumps(value, ensure_ascii=False, allow_nan=False).encode("utf-8")
        except UnicodeEncodeError:
            raise JsonRefused("text") from None
        except ValueError:
            raise JsonRefused("number") from None
    return value


def parse_object(data: bytes, *, max_depth: int = MAX_DEPTH) -> JsonObject:
    """Return the object that ``data`` holds.

    Raises:
        JsonRefused: as ``parse_json``; ``type`` when the value is no object.
    """
    value = parse_json(data, max_depth=max_depth)
    if not isinstance(value, Mapping):
        raise JsonRefused("type")
    return value


def dump_json(value: Json) -> bytes:
    """Return compact UTF-8 JSON."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode("utf-8")


def _object(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise JsonRefused("duplicate")
    return found


def _constant(name: str) -> Json:
    raise JsonRefused("number")


def _depth(data: bytes) -> int:
    """Return the deepest nesting, without recursion: the parser must never meet a tower of brackets."""
    if data.count(b"[") + data.count(b"{") <= 1:
        return 1
    depth = deepest = 0
    in_string = escaped = False
    for byte in data:
        if in_string:
            if escaped:
                escaped = False
            elif byte == _BACKSLASH:
                escaped = True
            elif byte == _QUOTE:
                in_string = False
        elif byte == _QUOTE:
            in_string = True
        elif byte in _OPENING:
            depth += 1
            deepest = max(deepest, depth)
        elif byte in _CLOSING:
            depth -= 1
    return deepest
