"""Which card an answer to reset (ATR) belongs to: one table of values and masks, of which the first match counts.

The historical bytes 12 25 00 64 80 mark every contact CPS. ANS gives the CPS3 contact and contactless masks; the Vitale
bytes that vary are those of the cards seen in the field (public list of ATRs, 2026). A card outside the table is
UNKNOWN, never guessed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from vaguemestre_core.cards import CardKind


@dataclass(frozen=True, slots=True, kw_only=True)
class AtrRow:
    """A family of ATRs: those equal to `value` where `mask` has bits, with the variable byte among `allowed`.

    `allowed` maps the position of a byte to its known values; empty when the mask says all.
    """

    kind: CardKind
    value: bytes
    mask: bytes
    allowed: tuple[tuple[int, frozenset[int]], ...] = ()

    def __post_init__(self) -> None:
        if len(self.value) != len(self.mask):
            raise ValueError("a mask is as long as its value")

    def matches(self, atr: bytes) -> bool:
        """Whether this ATR is of the family."""
        if len(atr) != len(self.value):
            return False
        same = all((a ^ v) & m == 0 for a, v, m in zip(atr, self.value, self.mask, strict=True))
        return same and all(atr[position] in values for position, values in self.allowed)


def _row(kind: CardKind, value: str, mask: str = "", *allowed: tuple[int, str]) -> AtrRow:
    whole = bytes.fromhex(value)
    return AtrRow(
        kind=kind,
        value=whole,
        mask=bytes.fromhex(mask) if mask else b"\xff" * len(whole),
        allowed=tuple((position, frozenset(bytes.fromhex(values))) for position, values in allowed),
    )


TABLE: Final[tuple[AtrRow, ...]] = (
    _row(CardKind.CPS4, "3B 9B 18 80 01 00 12 25 00 64 80 04 01 00 00 90 44"),
    _row(CardKind.CPS4, "3B 9B 18 80 01 00 12 25 00 64 80 00 04 01 00 90 44"),
    # T=0 only; the mask of the CPS3 below would take it too.
    _row(CardKind.CPS4, "3B DC 18 FF 00 00 12 25 00 64 80 00 04 01 00 90 00"),
    # CPS3 contact, older CPS and CPS2ter: the mask that ANS registers.
    _row(
        CardKind.CPS3,
        "3B 00 00 00 00 00 12 25 00 64 80 00 00 00 00 90 00",
        "FF 00 00 00 00 FF FF FF FF FF FF 00 00 00 FF FF FF",
    ),
    # Contactless side of a CPS3: bytes 9 and 10 vary, byte 12 in its low six bits, so the check byte at the end too.
    _row(
        CardKind.CPS3_CONTACTLESS,
        "3B 8F 80 01 00 31 B8 64 04 00 00 C1 40 94 01 80 82 90 00 0E",
        "FF FF FF FF FF FF FF FF FF 00 00 FF C0 FF FF FF FF FF FF 00",
    ),
    _row(
        CardKind.VITALE_2,
        "3B 75 13 00 00 00 09 EA 90 00",
        "FF FF FF FF FF 00 FF FF FF FF",
        (5, "43 44 45 47 48 49 4B 4C"),
    ),
    _row(CardKind.VITALE_2, "3B 75 13 00 00 45 09 FA 90 00"),
    _row(
        CardKind.VITALE_1,
        "3F 65 25 00 00 09 09 90 00",
        "FF FF FF FF 00 FF 0F FF FF",
        (4, "22 2C"),
        (6, "69 F9"),
    ),
    _row(CardKind.VITALE_1, "3F 65 25 00 00 09 6A 90 00", "FF FF FF FF 00 FF FF FF FF", (4, "52 A3 A4")),
)


def kind_of(atr: bytes) -> CardKind:
    """Return what the card is; UNKNOWN for any ATR outside the table, whatever its bytes."""
    return next((row.kind for row in TABLE if row.matches(atr)), CardKind.UNKNOWN)
