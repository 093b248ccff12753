"""One virtual reader's slot: listens on a loopback port, takes one card at a time, speaks the reader's side of vpcd.

Each message is a two-byte big-endian length and its payload; one byte is a control (0 power off, 1 power on, 2 reset,
4 give the ATR), anything else a command. The card's closing the line is its removal.
"""

from __future__ import annotations

import contextlib
import select
import socket
import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

POWER_ON: Final = b"\x01"
RESET: Final = b"\x02"
GIVE_ATR: Final = b"\x04"
LONGEST_ATR_BYTES: Final = 33
LONGEST_COMMAND_BYTES: Final = 0xFFFF
ATR_S: Final = 2.0
"""A card that gives no answer to reset by then is mute."""


class LineBroken(Exception):
    """The card of this stay is gone."""


class LineSilent(Exception):
    """The card did not answer in time; its line is dropped, since a late answer would be taken for the next one's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotStay:
    """One card in the slot: the slot's count when it came, and its answer to reset (empty when mute)."""

    count: int
    atr: bytes
    line: socket.socket


class VirtualSlot:
    """A listening slot. Its thread takes cards and sees them leave; commands run in the caller's thread.

    Args:
        port: on the loopback interface; 0 lets the system choose.
        changed: called after each insertion and removal, in the slot's thread.
    """

    def __init__(self, port: int, changed: Callable[[], None]) -> None:
        self._changed = changed
        self._talk = threading.Lock()
        self._stay: SlotStay | None = None
        self._count = 0
        self._door = socket.create_server(("127.0.0.1", port), backlog=1)
        self._door.setblocking(False)
        self.port: int = self._door.getsockname()[1]
        self._waker, self._wake = socket.socketpair()
        self._wake.setblocking(False)
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="virtual-slot", daemon=True)
        self._thread.start()

    @property
    def count(self) -> int:
        """Insertions and removals so far."""
        return self._count

    def stay(self) -> SlotStay | None:
        """Return the card in the slot."""
        return self._stay

    def ask(self, count: int, command: bytes, timeout_s: float) -> bytes:
        """Send a command to the card of this stay and return its raw answer.

        Raises LineBroken when it is gone, LineSilent when it says nothing within `timeout_s`.
        """
        if len(command) > LONGEST_COMMAND_BYTES:
            raise ValueError("a command holds at most 65535 bytes here")
        try:
            with self._talk:
                line = self._line(count)
                try:
                    _send(line, command)
                    return _receive(line, timeout_s)
                except TimeoutError as error:
                    _hang_up(line)
                    raise LineSilent from error
                except (OSError, EOFError) as error:
                    _hang_up(line)
                    raise LineBroken from error
        finally:
            self._nudge()  # once the line is free: the slot's thread watches it again

    def reset(self, count: int) -> None:
        """Reset the card of this stay. Raises LineBroken when it is gone."""
        try:
            with self._talk:
                _send(self._line(count), RESET)
        except OSError as error:
            raise LineBroken from error
        finally:
            self._nudge()

    def close(self) -> None:
        """Drop the card and stop listening; returns when the thread ended."""
        self._closing = True
        self._nudge()
        self._thread.join()
        self._waker.close()
        self._wake.close()

    def _line(self, count: int) -> socket.socket:
        stay = self._stay
        if stay is None or stay.count != count:
            raise LineBroken
        return stay.line

    def _nudge(self) -> None:
        with contextlib.suppress(OSError):  # full: it is awake already
            self._waker.send(b"\0")

    # in the slot's thread

    def _run(self) -> None:
        try:
            while not self._closing:
                stay = self._stay
                watched = [self._wake, self._door if stay is None else stay.line]
                if stay is not None and self._talk.locked():
                    watched = [self._wake]  # an exchange is under way: the one who asks sees the line break
                ready, _, _ = select.select(watched, [], [])
                if self._wake in ready:
                    self._wake.recv(4096)
                if stay is None:
                    self._take_card()
                elif stay.line in ready or self._wake in ready:
                    self._look_at(stay)
        finally:
            self._leave()
            self._door.close()

    def _take_card(self) -> None:
        try:
            line, _ = self._door.accept()
        except OSError:  # nobody, or gone already
            return
        line.setblocking(True)
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            _send(line, POWER_ON)
            _send(line, GIVE_ATR)
            atr = _receive(line, ATR_S)
        except TimeoutError:
            atr = b""
        except (OSError, EOFError):
            line.close()
            return
        if not 2 <= len(atr) <= LONGEST_ATR_BYTES:
            atr = b""
        self._count += 1
        self._stay = SlotStay(count=self._count, atr=atr, line=line)
        self._changed()

    def _look_at(self, stay: SlotStay) -> None:
        """See whether the card left; called when its line has something to say or somebody stirred."""
        if not self._talk.acquire(blocking=False):
            return
        try:
            if not select.select([stay.line], [], [], 0)[0]:
                return
            self._leave()  # it closed the line, or speaks unasked, which no card does
        finally:
            self._talk.release()

    def _leave(self) -> None:
        stay, self._stay = self._stay, None
        if stay is not None:
            self._count += 1
            _hang_up(stay.line)
            stay.line.close()
            self._changed()


def _hang_up(line: socket.socket) -> None:
    """End the line for both sides, waking whoever reads it."""
    with contextlib.suppress(OSError):  # the other side was first
        line.shutdown(socket.SHUT_RDWR)


def _send(line: socket.socket, message: bytes) -> None:
    line.sendall(struct.pack(">H", len(message)) + message)


def _receive(line: socket.socket, timeout_s: float) -> bytes:
    line.settimeout(timeout_s)
    try:
        (length,) = struct.unpack(">H", _exactly(line, 2))
        return _exactly(line, length)
    finally:
        line.settimeout(None)


def _exactly(line: socket.socket, wanted: int) -> bytes:
    received = b""
    while len(received) < wanted:
        part = line.recv(wanted - len(received))
        if not part:
            raise EOFError
        received += part
    return received
