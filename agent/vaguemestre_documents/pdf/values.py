"""The objects of a PDF as plain values, so that rules are written without the library that read them.

Owns the shapes and the limits of what is examined; reads nothing. Source: ISO 32000-1, 7.3.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from vaguemestre_documents.pdf.faults import Fault

# A page of text has some ten objects; the largest document of the demonstration has 9.
MAX_OBJECTS: Final = 100_000
MAX_VALUES: Final = 1_500_000
MAX_DEPTH: Final = 60
MAX_INFLATED_BYTES: Final = 128_000_000
MAX_TOKENS: Final = 3_000_000


class PdfRefused(Exception):
    """The PDF cannot be examined: it does not read, or it asks for more than the limits."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.value)
        self.fault = fault


class Name(str):
    """A name, without its slash."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Ref:
    """A reference to an indirect object."""

    number: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """A stream: its dictionary and its bytes as they are in the file."""

    entries: Mapping[str, Value]
    raw: bytes = field(repr=False)


Value: TypeAlias = "bool | int | float | bytes | Name | Ref | Stream | Sequence[Value] | Mapping[str, Value] | None"


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """All objects of one PDF. ``is_classic``: a plain cross-reference table, and no repair was needed to read it."""

    objects: Mapping[int, Value] = field(repr=False)
    trailer: Mapping[str, Value] = field(repr=False)
    is_classic: bool

    def resolve(self, value: Value) -> Value:
        """Return what a value refers to; None for what is absent or refers to itself."""
        for _ in range(8):
            if not isinstance(value, Ref):
                return value
            value = self.objects.get(value.number)
        return None

    def entries(self, value: Value) -> Mapping[str, Value]:
        """Return the dictionary of a value or of its stream; empty when it has none."""
        resolved = self.resolve(value)
        if isinstance(resolved, Stream):
            return resolved.entries
        return resolved if isinstance(resolved, Mapping) else {}

    def items(self, value: Value) -> Sequence[Value]:
        """Return the items of an array; a value that is none is one item; nothing for null."""
        resolved = self.resolve(value)
        if resolved is None:
            return ()
        if isinstance(resolved, list | tuple):
            return resolved
        return (resolved,)

    def get(self, value: Value, *path: str) -> Value:
        """Return what is at a path of keys, resolved; None when it is not there."""
        for key in path:
            value = self.entries(value).get(key)
        return self.resolve(value)

    def root(self) -> Mapping[str, Value]:
        """Return the catalogue."""
        return self.entries(self.trailer.get("Root"))
