"""What a check says of a document: a stable code, how serious, one French sentence without patient data.

Owns the value only; the rules and their sentences are in the ``rules_*`` modules.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Severity(Enum):
    """An error stops the document; a warning is shown."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A rule: its code, its sentence (what is wrong, in French) and where it comes from."""

    code: str
    sentence: str
    source: str
    severity: Severity = Severity.ERROR

    def at(self, path: str) -> Finding:
        """Return the finding of this rule at an element path such as ``/author[1]/time``."""
        return Finding(rule=self, path=path)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One rule broken at one place."""

    rule: Rule
    path: str

    @property
    def is_error(self) -> bool:
        """Whether the document must not leave."""
        return self.rule.severity is Severity.ERROR
