"""The catalogue of what a person can meet: stable code → French title, explanation, action, link, HTTP status.

Owns the reading and merging of ``catalogue/*.json``; the sentences live there, one file a family. A sentence may name
non-personal parameters as ``{name}``; an unknown one is shown as ``?``, never an error.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from typing import Final

from vaguemestre_api.jsontypes import Json, JsonObject, JsonScalar, parse_object

CODE: Final = re.compile(r"[A-Z][A-Z0-9]*(_[A-Z0-9]+)*")
_PLACE: Final = re.compile(r"\{([a-z_]+)\}")
_MEMBERS: Final = frozenset({"title", "detail", "action", "link", "http_status"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """What is said to the person about one code.

    Attributes:
        code: stable code.
        title: one sentence.
        detail: one or two more sentences, or empty.
        action: the one thing to do, or empty when there is nothing to do.
        link: anchor of the help page (``docs/aide.md``), the code by default.
        http_status: status when it differs from the one of its error class, or None.
    """

    code: str
    title: str
    detail: str
    action: str
    link: str
    http_status: int | None = None


class CatalogueBroken(ValueError):
    """A catalogue file breaks a rule: the text names file, code and rule."""


def _text(entry: JsonObject, member: str, where: str) -> str:
    value = entry.get(member, "")
    if not isinstance(value, str):
        raise CatalogueBroken(f"{where}: {member} is no text")
    return value


def _message(code: str, entry: Json, where: str) -> Message:
    if CODE.fullmatch(code) is None:
        raise CatalogueBroken(f"{where}: bad code")
    if not isinstance(entry, Mapping):
        raise CatalogueBroken(f"{where}: no object")
    if set(entry) - _MEMBERS:
        raise CatalogueBroken(f"{where}: unknown member")
    status = entry.get("http_status")
    if status is not None and (not isinstance(status, int) or not 400 <= status <= 599):
        raise CatalogueBroken(f"{where}: bad status")
    title = _text(entry, "title", where)
    if not title:
        raise CatalogueBroken(f"{where}: no title")
    return Message(
        code=code,
        title=title,
        detail=_text(entry, "detail", where),
        action=_text(entry, "action", where),
        link=_text(entry, "link", where) or f"aide#{code.lower()}",
        http_status=status,
    )


def merge(files: Mapping[str, bytes]) -> Mapping[str, Message]:
    """Return the messages of several catalogue files.

    Raises:
        CatalogueBroken: a code is in two files, or an entry breaks a rule.
        JsonRefused: a file is no JSON object.
    """
    merged: dict[str, Message] = {}
    for name in sorted(files):
        for code, entry in parse_object(files[name]).items():
            where = f"{name}: {code}"
            if code in merged:
                raise CatalogueBroken(f"{where}: twice")
            merged[code] = _message(code, entry, where)
    return merged


@lru_cache(maxsize=1)
def catalogue() -> Mapping[str, Message]:
    """Return the whole catalogue."""
    folder = resources.files("vaguemestre_api").joinpath("catalogue")
    return merge({item.name: item.read_bytes() for item in folder.iterdir() if item.name.endswith(".json")})


def message(code: str) -> Message:
    """Return the message of a code; one that is not in the catalogue says so and is never an error."""
    found = catalogue().get(code)
    if found is not None:
        return found
    return Message(
        code=code,
        title=f"Situation {code}.",
        detail="Ce code n'est pas dans le catalogue de cette version.",
        action="Transmettez ce code au support.",
        link="aide",
    )


def fill(sentence: str, params: Mapping[str, JsonScalar]) -> str:
    """Return the sentence with its parameters written in."""

    def write(match: re.Match[str]) -> str:
        value = params.get(match.group(1))
        if value is None:
            return "?"
        if isinstance(value, bool):
            return "oui" if value else "non"
        return str(value)

    return _PLACE.sub(write, sentence)
