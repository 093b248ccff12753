"""What goes through the two pipes between the readers process and the child that asks.

Down: four bytes of length, then the request in JSON; the pipe stays open: its end takes the question back.
Up: a mark when the terminal is used, then one verdict, with the digits if any. Never a PIN downwards.
"""

from __future__ import annotations

import json
from typing import Final

from vaguemestre_core.cpspin import PIN_LENGTH, PinRequest, PinState, PinUse, Requester
from vaguemestre_core.errors import InvalidInput
from vaguemestre_core.redaction import Personal
from vaguemestre_drivers.pin.values import Pin, PinNotGiven, wipe

REQUEST_MAX_BYTES: Final = 8_192
ANSWER_MAX_BYTES: Final = 32
LENGTH_BYTES: Final = 4

ON_TERMINAL: Final = ord("T")
GIVEN: Final = ord("P")
VERDICTS: Final = {ord("C"): PinNotGiven.REFUSED, ord("D"): PinNotGiven.EXPIRED, ord("N"): PinNotGiven.NO_WAY}
MARKS: Final = {verdict: bytes([mark]) for mark, verdict in VERDICTS.items()}


def encode_request(request: PinRequest, *, deadline_s: float) -> bytes:
    """Return the frame of a request: it holds a name perhaps, never a PIN."""
    content = {
        "asker": request.asker,
        "use": request.use.value,
        "requester": request.requester.value,
        "state": request.state.value,
        "holder": None if request.holder is None else request.holder.reveal(),
        "deadline_s": deadline_s,
    }
    body = json.dumps(content).encode()
    if len(body) > REQUEST_MAX_BYTES:
        raise InvalidInput("PIN_REQUEST_INVALID")
    return len(body).to_bytes(LENGTH_BYTES, "big") + body


def decode_request(body: bytes) -> tuple[PinRequest, float]:
    """Read the JSON of a frame back: the request and its deadline in seconds.

    Raises:
        InvalidInput: ``PIN_REQUEST_INVALID``.
    """
    try:
        content = json.loads(body)
        holder = content["holder"]
        request = PinRequest(
            asker=_text(content["asker"]),
            use=PinUse(content["use"]),
            requester=Requester(content["requester"]),
            state=PinState(content["state"]),
            holder=None if holder is None else Personal(_text(holder)),
        )
        return request, float(content["deadline_s"])
    except (ValueError, KeyError, TypeError, RecursionError):
        raise InvalidInput("PIN_REQUEST_INVALID") from None


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("text")
    return value


def decode_answer(answer: bytearray) -> Pin | PinNotGiven:
    """Return the verdict of all that the child wrote, and wipe it: LOST when it is no answer."""
    try:
        start = 1 if answer[:1] == bytes([ON_TERMINAL]) else 0
        if len(answer) == start + 1:
            return VERDICTS.get(answer[start], PinNotGiven.LOST)
        if len(answer) == start + 1 + PIN_LENGTH and answer[start] == GIVEN:
            return Pin(answer[start + 1 :])
    except ValueError:
        return PinNotGiven.LOST
    finally:
        wipe(answer)
    return PinNotGiven.LOST
