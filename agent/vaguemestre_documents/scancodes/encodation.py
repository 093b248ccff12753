"""Codewords of a Data Matrix text: a beginning in C40 as the INS format wants it, the rest as short as it can be.

Owns the encodations ASCII and C40 and the search of their shortest mixture; knows no symbol size. Source: ISO/IEC
16022, 5.2.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from vaguemestre_core.errors import InvalidInput

_LATCH_C40: Final = 230
_UNLATCH: Final = 254
_DIGITS: Final = 130
_SHIFT_2_SIGNS: Final = "!\"#$%&'()*+,-./:;<=>?@[\\]^_"
# Costs are counted in thirds of a codeword: three values of C40 make two codewords.
_CODEWORD: Final = 3
_VALUE: Final = 2


@dataclass(frozen=True, slots=True)
class _Node:
    """A place in the text, the mode, and how many values of an unfinished triplet wait (ASCII: none)."""

    place: int
    in_c40: bool
    waiting: int


@dataclass(frozen=True, slots=True)
class _Step:
    cost: int
    before: _Node


def encoded(text: str, *, in_c40: int = 0) -> bytes:
    """Return the codewords of a text whose first ``in_c40`` characters are written in C40.

    Raises:
        InvalidInput: ``SCAN_INVALID`` (characters): a character is not ASCII.
    """
    if not text.isascii():
        raise InvalidInput("SCAN_INVALID", reason="characters")
    return _written(text, _shortest(text, in_c40))


def c40_values(character: str) -> tuple[int, ...]:
    """Return the values of an ASCII character in C40: one for space, digits, capitals, else a shift and one."""
    code = ord(character)
    if character == " ":
        return (3,)
    if character.isdecimal():
        return (code - 44,)
    if "A" <= character <= "Z":
        return (code - 51,)
    if code < 32:
        return (0, code)
    if character in _SHIFT_2_SIGNS:
        return (1, _SHIFT_2_SIGNS.index(character))
    return (2, code - 96)


def _shortest(text: str, in_c40: int) -> list[_Node]:
    """Return the cheapest way through the text, place by place: a node of a place comes only from earlier ones."""
    start = _Node(0, in_c40 > 0, 0)
    best: dict[_Node, _Step] = {start: _Step(_CODEWORD if in_c40 else 0, start)}
    for place in range(len(text) + 1):
        for waiting in (0, 1, 2):
            _leave_c40(best, _Node(place, True, waiting), text, in_c40)
        _leave_ascii(best, _Node(place, False, 0), text)
    end = len(text)
    ends = [node for node in (_Node(end, False, 0), _Node(end, True, 0)) if node in best]
    if not ends:
        raise InvalidInput("SCAN_INVALID", reason="characters")
    node = min(ends, key=lambda each: best[each].cost)
    way = [node]
    while node != start:
        node = best[node].before
        way.append(node)
    return way[::-1]


def _leave_c40(best: dict[_Node, _Step], node: _Node, text: str, in_c40: int) -> None:
    step = best.get(node)
    if step is None:
        return
    if node.waiting == 0 and node.place >= in_c40:
        _offer(best, _Node(node.place, False, 0), step.cost + _CODEWORD, node)
    if node.place < len(text):
        values = len(c40_values(text[node.place]))
        arrival = _Node(node.place + 1, True, (node.waiting + values) % 3)
        _offer(best, arrival, step.cost + _VALUE * values, node)


def _leave_ascii(best: dict[_Node, _Step], node: _Node, text: str) -> None:
    step = best.get(node)
    if step is None or node.place == len(text):
        return
    taken = len(_ascii_piece(text, node.place))
    _offer(best, _Node(node.place + taken, False, 0), step.cost + _CODEWORD, node)
    # Into C40: the latch and the first character at once, so that places only grow.
    values = len(c40_values(text[node.place]))
    arrival = _Node(node.place + 1, True, values % 3)
    _offer(best, arrival, step.cost + _CODEWORD + _VALUE * values, node)


def _offer(best: dict[_Node, _Step], node: _Node, cost: int, before: _Node) -> None:
    known = best.get(node)
    if known is None or cost < known.cost:
        best[node] = _Step(cost, before)


def _ascii_piece(text: str, place: int) -> str:
    pair = text[place : place + 2]
    return pair if len(pair) == 2 and pair.isdecimal() else text[place]


def _written(text: str, way: list[_Node]) -> bytes:
    codewords = bytearray([_LATCH_C40] if way[0].in_c40 else [])
    values: list[int] = []
    for node, after in pairwise(way):
        if after.in_c40:
            if not node.in_c40:
                codewords.append(_LATCH_C40)
            values += c40_values(text[node.place])
            while len(values) >= 3:
                number = 1600 * values[0] + 40 * values[1] + values[2] + 1
                codewords += bytes((number >> 8, number & 255))
                del values[:3]
        elif node.in_c40:
            codewords.append(_UNLATCH)
        else:
            piece = text[node.place : after.place]
            codewords.append(_DIGITS + int(piece) if len(piece) == 2 else ord(piece) + 1)
    if way[-1].in_c40:
        codewords.append(_UNLATCH)
    return bytes(codewords)
