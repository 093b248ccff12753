"""Server-sent events: the pure parser that the client uses and the writer that the agent uses.

Source: WHATWG HTML, "Server-sent events". Lines end with LF, CR or CRLF; an id survives until replaced.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from vaguemestre_api.jsontypes import Json, dump_json

MAX_EVENT_BYTES = 8 * 1024 * 1024  # a snapshot part of some hundred orders is far below


class StreamRefused(ValueError):
    """The stream is no event stream, or one event exceeds the bound."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerEvent:
    """One event as received: its name, its data and the last id seen so far."""

    name: str
    data: str = field(repr=False)
    last_id: str | None


def write_event(name: str, data: Json, event_id: int | None = None) -> bytes:
    """Return the bytes of one event; JSON holds no line feed, so one data line is enough."""
    head = f"event: {name}\n" if event_id is None else f"event: {name}\nid: {event_id}\n"
    return head.encode() + b"data: " + dump_json(data) + b"\n\n"


def write_heartbeat(event_id: int | None) -> bytes:
    """Return a heartbeat: a comment, and the id up to which the reader is up to date (no event is dispatched)."""
    return b": ping\n\n" if event_id is None else f": ping\nid: {event_id}\n\n".encode()


class EventParser:
    """Feeds on bytes, gives events. ``last_id`` is what to send back when reconnecting."""

    def __init__(self, last_id: str | None = None) -> None:
        self.last_id = last_id
        self._rest = b""
        self._name = ""
        self._data: list[str] = []
        self._size = 0

    def feed(self, data: bytes) -> Iterator[ServerEvent]:
        """Yield the events completed by these bytes.

        Raises:
            StreamRefused: not UTF-8, or an event larger than the bound.
        """
        self._rest += data
        while True:
            line, found = self._next_line()
            if not found:
                break
            event = self._line(line)
            if event is not None:
                yield event
        if len(self._rest) + self._size > MAX_EVENT_BYTES:
            raise StreamRefused("too large")

    def _next_line(self) -> tuple[bytes, bool]:
        ends = [place for place in (self._rest.find(b"\n"), self._rest.find(b"\r")) if place >= 0]
        if not ends:
            return b"", False
        end = min(ends)
        if self._rest[end : end + 1] == b"\r":
            if end + 1 == len(self._rest):
                return b"", False  # its LF may be in the next bytes
            step = 2 if self._rest[end + 1 : end + 2] == b"\n" else 1
        else:
            step = 1
        line = self._rest[:end]
        self._rest = self._rest[end + step :]
        return line, True

    def _line(self, raw: bytes) -> ServerEvent | None:
        try:
            line = raw.decode("utf-8")
        except UnicodeDecodeError:
            raise StreamRefused("encoding") from None
        if not line:
            return self._dispatch()
        field_name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if field_name == "event":
            self._name = value
        elif field_name == "data":
            self._data.append(value)
            self._size += len(raw)
            if self._size > MAX_EVENT_BYTES:
                raise StreamRefused("too large")
        elif field_name == "id" and "\0" not in value:
            self.last_id = value
        return None

    def _dispatch(self) -> ServerEvent | None:
        name, data = self._name, self._data
        self._name, self._data, self._size = "", [], 0
        if not data:
            return None
        return ServerEvent(name=name or "message", data="\n".join(data), last_id=self.last_id)
