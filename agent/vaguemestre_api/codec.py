"""Dataclasses to JSON and back, by their type hints: the only (de)serialisation of the wire models.

Reading ignores members it does not know, so that an old client understands a newer agent; a missing member without
default or a wrong type is refused. Instants are RFC 3339 in UTC.
"""

from __future__ import annotations

import types
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, fields, is_dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, TypeVar, Union, get_args, get_origin, get_type_hints

from vaguemestre_api.jsontypes import Json, JsonObject

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

T = TypeVar("T")


class WireError(ValueError):
    """The other side's JSON does not fit the model; carries the member's path, never its value."""

    def __init__(self, where: str) -> None:
        super().__init__(where)
        self.where = where


def to_json(value: object) -> Json:
    """Return the JSON value of a wire model (or of what it is made of).

    Raises:
        TypeError: a type that the wire does not carry.
    """
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    if is_dataclass(value) and not isinstance(value, type):
        return {item.name: to_json(getattr(value, item.name)) for item in fields(value)}
    if isinstance(value, Mapping):
        return {str(name): to_json(member) for name, member in value.items()}
    if isinstance(value, Sequence):
        return [to_json(member) for member in value]
    raise TypeError(type(value).__name__)


def from_json(model: type[T], value: Json, where: str = "") -> T:
    """Return the wire model that ``value`` describes.

    Raises:
        WireError: a member is missing or has another type.
    """
    read = _read(model, value, where)
    assert isinstance(read, model)
    return read


@lru_cache(maxsize=64)
def _hints(model: type) -> Mapping[str, object]:
    return get_type_hints(model)


def _read_model(model: type[DataclassInstance], value: Json, where: str) -> object:
    if not isinstance(value, Mapping):
        raise WireError(where or "/")
    arguments: dict[str, object] = {}
    hints = _hints(model)
    for item in fields(model):
        place = f"{where}/{item.name}"
        if item.name in value:
            arguments[item.name] = _read(hints[item.name], value[item.name], place)
        elif item.default is MISSING and item.default_factory is MISSING:
            raise WireError(place)
    return model(**arguments)


def _read(hint: object, value: Json, where: str) -> object:
    origin = get_origin(hint)
    if hint is object:  # JSON whose meaning belongs to somebody else
        return value
    if isinstance(hint, type) and is_dataclass(hint):
        return _read_model(hint, value, where)
    if origin in (Union, types.UnionType):
        return _read_union(get_args(hint), value, where)
    if origin is tuple:
        if isinstance(value, str) or not isinstance(value, Sequence):
            raise WireError(where)
        member = get_args(hint)[0]
        return tuple(_read(member, item, f"{where}/{index}") for index, item in enumerate(value))
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return _read_mapping(get_args(hint)[1], value, where)
    if hint is datetime:
        return _read_instant(value, where)
    if hint is float and isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if isinstance(hint, type) and isinstance(value, hint) and isinstance(value, bool) == (hint is bool):
        return value
    raise WireError(where)


def _read_union(choices: tuple[object, ...], value: Json, where: str) -> object:
    if value is None:
        if type(None) in choices:
            return None
        raise WireError(where)
    failure = WireError(where)
    for choice in choices:
        if choice is type(None):
            continue
        try:
            return _read(choice, value, where)
        except WireError as refused:
            failure = refused
    raise failure


def _read_mapping(member: object, value: Json, where: str) -> JsonObject | Mapping[str, object]:
    if not isinstance(value, Mapping):
        raise WireError(where)
    return {name: _read(member, item, f"{where}/{name}") for name, item in value.items()}


def _read_instant(value: Json, where: str) -> datetime:
    if not isinstance(value, str):
        raise WireError(where)
    try:
        instant = datetime.fromisoformat(value)
    except ValueError:
        raise WireError(where) from None
    if instant.tzinfo is None:
        raise WireError(where)
    return instant
