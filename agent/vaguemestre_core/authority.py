"""What each means of authority may do at the DMP, and which is used when several are open.

Owns two tables. The DMP has the last word: the tables only keep from leaving what would certainly be refused.
Source: DMP integration documents as quoted in docs/dmp.md ("Who may do what"): a professional who authenticates in his
own name (Pro Santé Connect, CPS) has all transactions; a CPE or a structure certificate may feed, find its own
reference and delete the structure's documents, and consults nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from vaguemestre_core.orders import OrderKind
from vaguemestre_core.purposes import DmpTransaction
from vaguemestre_core.records import AuthorityMeans

_PERSONAL: Final = frozenset(DmpTransaction) - {DmpTransaction.TD2_2}
# TD0.2 is asked because feeding needs an open DMP.
_IMPUTED: Final = frozenset({DmpTransaction.TD0_2, DmpTransaction.TD3_1_OWN_REFERENCE, DmpTransaction.TD3_3C})

RIGHTS: Final[Mapping[AuthorityMeans, frozenset[DmpTransaction]]] = MappingProxyType(
    {
        AuthorityMeans.PSC: _PERSONAL,
        AuthorityMeans.CPS: _PERSONAL,
        AuthorityMeans.CPE: _IMPUTED | {DmpTransaction.TD2_2},
        AuthorityMeans.STRUCTURE: _IMPUTED | {DmpTransaction.TD2_1},
    }
)
# The first that may do it is used: one's own name before the structure's, a session already open before a card's key.
PREFERENCE: Final = (AuthorityMeans.PSC, AuthorityMeans.CPS, AuthorityMeans.CPE, AuthorityMeans.STRUCTURE)


def may(means: AuthorityMeans, transaction: DmpTransaction) -> bool:
    """Say whether a transaction may be made under a means."""
    return transaction in RIGHTS[means]


def feeding_of(means: AuthorityMeans) -> DmpTransaction:
    """Return the transaction that feeds under a means: TD2.2, imputed to the structure, with a CPE."""
    return DmpTransaction.TD2_2 if means is AuthorityMeans.CPE else DmpTransaction.TD2_1


def transactions_of(kind: OrderKind, means: AuthorityMeans) -> frozenset[DmpTransaction]:
    """Return the transactions that an order makes under a means; none for an order of another service."""
    match kind:
        case OrderKind.DMP_SUBMIT:
            return frozenset({feeding_of(means)})
        case OrderKind.DMP_REPLACE:
            return frozenset({feeding_of(means), DmpTransaction.TD3_1_OWN_REFERENCE})
        case OrderKind.DMP_DELETE:
            return frozenset({DmpTransaction.TD3_1_OWN_REFERENCE, DmpTransaction.TD3_3C})
        case OrderKind.DMP_VISIBILITY:
            return frozenset({DmpTransaction.TD3_1_OWN_REFERENCE, DmpTransaction.TD3_3A, DmpTransaction.TD3_3B})
        case OrderKind.MSS_SEND:
            return frozenset()


def kinds_of(means: AuthorityMeans) -> frozenset[OrderKind]:
    """Return the orders that may leave under a means; a key opens the DMP only, a session whatever the proxy relays."""
    of_the_dmp = {kind for kind in OrderKind if kind.service == "dmp" and transactions_of(kind, means) <= RIGHTS[means]}
    return frozenset(OrderKind) if means is AuthorityMeans.PSC else frozenset(of_the_dmp)
