"""What a tester sends to the inspection port, read and refused with a reason.

Owns the conversion of JSON members to values; decides nothing.
"""

from __future__ import annotations

import json
from dataclasses import asdict, fields
from typing import TypeVar

from aiohttp import web

from vaguemestre_sandbox.failures import Action, Rule, Target
from vaguemestre_sandbox.psc import Decision
from vaguemestre_sandbox.settings import ApprovalMode, DmpProfile

JsonObject = dict[str, object]
_Choice = TypeVar("_Choice", Decision, ApprovalMode, Target, Action)


class BadRequestError(ValueError):
    """The tester's request is wrong; the message says why."""


async def read_object(request: web.Request) -> JsonObject:
    """Return the JSON object of a request. Raises BadRequestError."""
    if request.content_type != "application/json":
        raise BadRequestError("Content-Type: application/json attendu")
    try:
        document = json.loads(await request.text())
    except ValueError as error:
        raise BadRequestError("JSON illisible") from error
    if not isinstance(document, dict):
        raise BadRequestError("objet JSON attendu")
    return document


def text(asked: JsonObject, name: str, default: str | None = None) -> str:
    """Return a text member; a missing one without `default` is refused."""
    value = asked.get(name, default)
    if not isinstance(value, str):
        raise BadRequestError(f"{name}: texte attendu")
    return value


def flag(asked: JsonObject, name: str, *, default: bool) -> bool:
    """Return a boolean member."""
    value = asked.get(name, default)
    if not isinstance(value, bool):
        raise BadRequestError(f"{name}: true ou false attendu")
    return value


def number(asked: JsonObject, name: str) -> float:
    """Return a number that must be there."""
    value = asked.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise BadRequestError(f"{name}: nombre attendu")
    return float(value)


def whole(asked: JsonObject, name: str, default: int | None) -> int | None:
    """Return an integer member, or None when it is null."""
    value = asked.get(name, default)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int):
        raise BadRequestError(f"{name}: entier attendu")
    return value


def one_of(kind: type[_Choice], name: str) -> _Choice:
    """Return the member of `kind` that `text` names."""
    try:
        return kind(name)
    except ValueError as error:
        raise BadRequestError(f"valeur inconnue: {name}") from error


def path_integer(request: web.Request, name: str) -> int:
    """Return an integer of the path; anything else is 404."""
    text = request.match_info[name]
    if not text.isdigit():
        raise web.HTTPNotFound
    return int(text)


def read_rule(asked: JsonObject) -> Rule:
    """Return the rule asked for. Raises BadRequestError, InvalidRuleError."""
    unknown = set(asked) - {field.name for field in fields(Rule)}
    if unknown:
        raise BadRequestError(f"membres inconnus: {', '.join(sorted(unknown))}")
    return Rule(
        target=one_of(Target, text(asked, "target")),
        action=one_of(Action, text(asked, "action")),
        count=whole(asked, "count", 1),
        seconds=None if asked.get("seconds") is None else number(asked, "seconds"),
        after_bytes=whole(asked, "after_bytes", 0) or 0,
        bytes_per_second=whole(asked, "bytes_per_second", 0) or 0,
        status=whole(asked, "status", 0) or 0,
        retry_after_s=whole(asked, "retry_after_s", None),
        code=text(asked, "code", ""),
        unique_id=text(asked, "unique_id", ""),
        probability=number(asked, "probability") if "probability" in asked else 1.0,
        seed=whole(asked, "seed", 0) or 0,
    )


def changed_profile(profile: DmpProfile, asked: JsonObject) -> DmpProfile:
    """Return `profile` with the members asked for, of the same types."""
    current = asdict(profile)
    for name, value in asked.items():
        if name not in current:
            raise BadRequestError(f"membre inconnu: {name}")
        wanted = type(current[name])
        if wanted is float and isinstance(value, int) and not isinstance(value, bool):
            value = float(value)
        if type(value) is not wanted:
            raise BadRequestError(f"{name}: {wanted.__name__} attendu")
        current[name] = value
    return DmpProfile(**current)
