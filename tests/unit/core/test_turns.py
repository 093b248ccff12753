"""Whose turn it is: nobody waits behind somebody else's hundreds, and what was asked does not starve the rest."""

from __future__ import annotations

from vaguemestre_core.orders import ClientId
from vaguemestre_core.turns import ASKED_THEN_AUTOMATIC, SendingRight, Turns

CLIENTS = frozenset({ClientId("lgc-1")})
A, B, C = (SendingRight(professional=name, clients=CLIENTS) for name in "abc")


def names(turns: Turns) -> list[str]:
    return [right.professional for right in turns.in_turn((C, A, B))]


def test_each_is_served_in_turn() -> None:
    turns = Turns()
    served = []
    for _ in range(7):
        first = names(turns)[0]
        turns.served(first)
        served.append(first)

    assert served == ["a", "b", "c", "a", "b", "c", "a"]


def test_who_has_nothing_due_keeps_the_first_place() -> None:
    turns = Turns()
    for _ in range(3):
        turns.served("b")

    assert names(turns) == ["a", "c", "b"]


def test_one_departure_in_four_is_of_the_automatic_orders_first() -> None:
    turns = Turns()
    first = []
    for _ in range(2 * ASKED_THEN_AUTOMATIC):
        first.append(turns.in_turn((A,))[0].asked_first)
        turns.served("a")

    assert first == [True, True, True, False] * 2
