"""Puts a virtual card in a virtual reader: the card's side of the vpcd protocol (vsmartcard), over loopback TCP.

The reader listens (vpcd inside the PC/SC service, or its stand-in in the readers process), the card connects. Each
message is a two-byte big-endian length and its payload; one byte is a control (0 power off, 1 power on, 2 reset, 4 give
the ATR), anything else a command. Pulling the card is closing the line.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from typing import Final, Self

from vaguemestre_sandbox.cards.card import CardLeft, VirtualCard

FIRST_PORT: Final = 0x8C7B
"""Port of vpcd's first reader; the next readers follow."""
POWER_OFF: Final = 0
POWER_ON: Final = 1
RESET: Final = 2
GIVE_ATR: Final = 4
CONNECT_S: Final = 5.0
"""vpcd takes a card at its next look at the slot; a previous card not yet dropped makes it late."""
JOIN_S: Final = 5.0


class InsertedCard:
    """A card in a reader until `remove`; its own thread answers for it."""

    def __init__(self, card: VirtualCard, line: socket.socket) -> None:
        self.card = card
        self._line = line
        self._thread = threading.Thread(target=self._serve, name="virtual-card", daemon=True)
        self._thread.start()

    @classmethod
    def insert(cls, card: VirtualCard, *, port: int = FIRST_PORT, host: str = "127.0.0.1") -> Self:
        """Put a card in the reader that listens on this port. Raises OSError when none does."""
        line = socket.create_connection((host, port), CONNECT_S)
        line.settimeout(None)
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return cls(card, line)

    @property
    def is_in(self) -> bool:
        """Whether the line still holds."""
        return self._thread.is_alive()

    def remove(self) -> None:
        """Pull the card; returns once its thread ended (a card that hangs ends when it is released)."""
        with contextlib.suppress(OSError):  # the reader may have closed first
            self._line.shutdown(socket.SHUT_RDWR)
        self._line.close()
        if threading.current_thread() is not self._thread:
            self._thread.join(JOIN_S)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.remove()

    def _serve(self) -> None:
        with contextlib.suppress(EOFError, OSError, CardLeft):
            while True:
                (length,) = struct.unpack(">H", self._receive(2))
                answer = self._answer(self._receive(length))
                if answer is not None:
                    self._line.sendall(struct.pack(">H", len(answer)) + answer)
        self._line.close()

    def _answer(self, message: bytes) -> bytes | None:
        if len(message) != 1:
            return self.card.respond(message)
        if message[0] == GIVE_ATR:
            return self.card.atr
        self.card.reset()
        return None

    def _receive(self, wanted: int) -> bytes:
        received = b""
        while len(received) < wanted:
            _acknowledge_at_once(self._line)
            part = self._line.recv(wanted - len(received))
            if not part:
                raise EOFError
            received += part
        return received


def _acknowledge_at_once(line: socket.socket) -> None:
    """Undo delayed acknowledgements, where the system lets us: vpcd writes length and body apart, 40 ms otherwise."""
    option: int | None = getattr(socket, "TCP_QUICKACK", None)
    if option is not None:
        line.setsockopt(socket.IPPROTO_TCP, option, 1)
