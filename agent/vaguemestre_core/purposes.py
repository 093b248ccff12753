"""Why a DMP transaction is made: feeding or consultation. Guards bind to the purpose, not to the transaction.

Feeding needs no consent (an opposition blocks it) and may test existence and look up its own reference; consultation
needs the patient's consent and an authorisation. Source: docs/architecture.md; SC.DMP/CONF.06, SC.DMP/CONF.09.BIS.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum, unique
from types import MappingProxyType
from typing import Final


@unique
class Purpose(StrEnum):
    """Purpose of a transaction."""

    FEEDING = "feeding"
    CONSULTATION = "consultation"
    AUTHORISATION = "authorisation"


@unique
class DmpTransaction(StrEnum):
    """Transactions of the DMP by their official numbers."""

    TD0_2 = "TD0.2"
    TD0_3 = "TD0.3"
    TD2_1 = "TD2.1"
    TD2_2 = "TD2.2"
    TD3_1_OWN_REFERENCE = "TD3.1/own"
    TD3_1 = "TD3.1"
    TD3_2 = "TD3.2"
    TD3_3A = "TD3.3a"
    TD3_3B = "TD3.3b"
    TD3_3C = "TD3.3c"
    TD3_3D = "TD3.3d"


PURPOSES: Final[Mapping[DmpTransaction, frozenset[Purpose]]] = MappingProxyType(
    {
        DmpTransaction.TD0_2: frozenset({Purpose.FEEDING, Purpose.CONSULTATION, Purpose.AUTHORISATION}),
        DmpTransaction.TD0_3: frozenset({Purpose.AUTHORISATION}),
        DmpTransaction.TD2_1: frozenset({Purpose.FEEDING}),
        DmpTransaction.TD2_2: frozenset({Purpose.FEEDING}),
        DmpTransaction.TD3_1_OWN_REFERENCE: frozenset({Purpose.FEEDING}),
        DmpTransaction.TD3_1: frozenset({Purpose.CONSULTATION}),
        DmpTransaction.TD3_2: frozenset({Purpose.CONSULTATION}),
        # What we do to our own documents belongs to feeding.
        DmpTransaction.TD3_3A: frozenset({Purpose.FEEDING}),
        DmpTransaction.TD3_3B: frozenset({Purpose.FEEDING, Purpose.CONSULTATION}),
        DmpTransaction.TD3_3C: frozenset({Purpose.FEEDING}),
        DmpTransaction.TD3_3D: frozenset({Purpose.FEEDING}),
    }
)


def allows(transaction: DmpTransaction, purpose: Purpose) -> bool:
    """Say whether a transaction may be made for a purpose."""
    return purpose in PURPOSES[transaction]
