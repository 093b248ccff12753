"""Tell a scanner that types from a person who types, where the keyboard cannot be held alone. Pure: times are given.

Owns the judgement: keys closer than a person's, many of them, ended by ENTER, are a code. Every key comes out again,
exactly once, as a code's or as typed: a person's typing is never swallowed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, TypeAlias

from vaguemestre_core.redaction import REDACTED, SecretBytes
from vaguemestre_core.scans import MAX_CODE_BYTES, RawScan, ScanSource
from vaguemestre_drivers.scanners.keys import END, as_bytes

GAP_S: Final = 0.03
LEAST_KEYS: Final = 8  # no code is shorter; two hands may hit three or four keys that fast


@dataclass(frozen=True, slots=True, kw_only=True)
class TypedKey:
    """One character that a keyboard wrote, and when (monotonic seconds). ENTER is CR."""

    character: str = field(repr=False)
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Typed:
    """Keys of a person: to be passed on as they are."""

    keys: tuple[TypedKey, ...] = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Burst:
    """Keys of a scanner, ENTER included, and the code that they write."""

    keys: tuple[TypedKey, ...] = field(repr=False)

    @property
    def raw(self) -> RawScan:
        """The code."""
        text = "".join(key.character for key in self.keys[:-1])
        return RawScan(content=SecretBytes(as_bytes(text)), source=ScanSource.WEDGE)


Verdict: TypeAlias = Typed | Burst


class BurstGuard:
    """Judges the keys of one keyboard.

    Args:
        gap_s: keys further apart are not of one burst, seconds.
        least_keys: a shorter burst is a person's, ENTER not counted.
    """

    def __init__(self, *, gap_s: float = GAP_S, least_keys: int = LEAST_KEYS) -> None:
        self._gap_s = gap_s
        self._least_keys = least_keys
        self._held: list[TypedKey] = []

    def feed(self, key: TypedKey) -> tuple[Verdict, ...]:
        """Return what this key decides: nothing while a burst may be under way."""
        verdicts = list(self.rest(key.at))
        self._held.append(key)
        if key.character == END:
            keys = self._taken()
            verdicts.append(Burst(keys=keys) if self._is_code(keys) else Typed(keys=keys))
        elif len(self._held) > MAX_CODE_BYTES:
            verdicts.append(Typed(keys=self._taken()))
        return tuple(verdicts)

    def rest(self, at: float) -> tuple[Verdict, ...]:
        """Return what a silence until that instant decides: what was held is a person's. Call it at least every gap."""
        if self._held and not 0 <= at - self._held[-1].at <= self._gap_s:
            return (Typed(keys=self._taken()),)
        return ()

    def _is_code(self, keys: tuple[TypedKey, ...]) -> bool:
        written = as_bytes("".join(key.character for key in keys[:-1]))
        return len(keys) > self._least_keys and len(written) <= MAX_CODE_BYTES

    def _taken(self) -> tuple[TypedKey, ...]:
        keys = tuple(self._held)
        self._held.clear()
        return keys

    def __repr__(self) -> str:
        return f"BurstGuard({REDACTED})"
