"""Where a request is wrong: the list of places an error carries, whatever made it.

Owns one shape for findings of the API's own checks and of the documents' metadata, by their members.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from vaguemestre_api.messages import message
from vaguemestre_core.errors import VaguemestreError


@runtime_checkable
class Finding(Protocol):
    """What is wrong at one place; the documents' findings have these members."""

    @property
    def code(self) -> str:
        """Stable code."""

    @property
    def pointer(self) -> str:
        """JSON pointer."""

    @property
    def sentence(self) -> str:
        """French sentence, without the value found there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Defect:
    """A finding of the API's own checks."""

    code: str
    pointer: str

    @property
    def sentence(self) -> str:
        """The catalogue's title."""
        return message(self.code).title


def findings_of(error: VaguemestreError) -> Sequence[Finding]:
    """Return the findings that an error carries in ``findings``, or the one its ``pointer`` names, or none."""
    listed = getattr(error, "findings", ())
    found: list[Finding] = [item for item in listed if isinstance(item, Finding)] if isinstance(listed, tuple) else []
    pointer = error.params.get("pointer")
    if not found and isinstance(pointer, str):
        found.append(Defect(code=error.code, pointer=pointer))
    return found
