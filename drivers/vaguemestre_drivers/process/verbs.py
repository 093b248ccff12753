"""What the readers process can be asked: the shape of a verb, its reply and its refusals. No verb is defined here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from vaguemestre_core.errors import InvalidInput


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One request.

    Attributes:
        arguments: its JSON members.
        content: its bytes.
        allowed_s: how long its native calls may take, seconds.
    """

    arguments: Mapping[str, object] = field(repr=False)
    content: bytes = field(repr=False)
    allowed_s: float

    def text(self, name: str) -> str:
        """Return a text argument. Raises InvalidInput READERS_REQUEST_INVALID."""
        value = self.arguments.get(name)
        if not isinstance(value, str):
            raise InvalidInput("READERS_REQUEST_INVALID", pointer=f"/{name}")
        return value

    def number(self, name: str) -> int:
        """Return a whole number. Raises InvalidInput READERS_REQUEST_INVALID."""
        value = self.arguments.get(name)
        if not isinstance(value, int) or isinstance(value, bool):
            raise InvalidInput("READERS_REQUEST_INVALID", pointer=f"/{name}")
        return value


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What a verb answers."""

    values: Mapping[str, object] = field(default_factory=dict, repr=False)
    content: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verb:
    """One verb: the lane that it runs on and what it does. ``act`` raises VaguemestreError for a refusal."""

    lane: str
    act: Callable[[Asked], Reply]
