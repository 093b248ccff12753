"""The port of decoding: a grey picture and a time in, symbols out.

Owns the contract; ``decoding`` is its adapter over the native readers. A double of it needs no native library.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from vaguemestre_drivers.datamatrix.plan import Pass, Wish
from vaguemestre_drivers.datamatrix.symbols import FoundSymbol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vaguemestre_drivers.datamatrix.native import Grey


@dataclass(frozen=True, slots=True, kw_only=True)
class Decoding:
    """What a picture gave.

    Attributes:
        symbols: what was read, in the order of the passes that read it.
        passes: names of the passes that ran.
        skipped: names of those for which no time was left, or whose library is missing.
    """

    symbols: tuple[FoundSymbol, ...]
    passes: tuple[str, ...]
    skipped: tuple[str, ...]


class SymbolDecoder(Protocol):
    """Reads symbols in a picture. Blocks; a call may run beside another."""

    def decode(self, image: Grey, *, budget_s: float, plan: Sequence[Pass] = ..., wish: Wish = Wish.FIRST) -> Decoding:
        """Return what the passes of the plan read, within the budget.

        Args:
            image: grey, rows × columns, contiguous.
            budget_s: seconds after which no pass starts; a pass starts only if it should be over by then.
            plan: passes in order.
            wish: when to stop.

        Raises:
            DecoderMissing: DECODER_MISSING when the first reader is not installed.
        """
        ...
