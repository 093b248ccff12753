"""Bounds of the local API: sizes, times and numbers at once; settings, never constants in logic."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiLimits:
    """What one caller may cost.

    Attributes:
        body_bytes: largest document: what preparation accepts, so that nothing is taken and then refused for its size.
        metadata_bytes: largest metadata, and largest JSON body.
        parts: most parts of a multipart body.
        batch: most documents of one batch, together no larger than one document.
        header_line_bytes: longest request line or header.
        headers: most headers.
        header_s: how long a connection may take to send a whole head, or stay idle between two requests.
        read_s: longest silence while a body is read.
        body_s: longest time for a whole body.
        connections: connections open at once.
        requests: requests handled at once.
        upload_bytes: document bytes held in memory at once, all callers together.
        streams: event streams open at once.
        stream_write_s: how long an event stream may stay unread before it is closed.
        heartbeat_s: silence after which an event stream gets a heartbeat.
        page: events, and orders of a snapshot part, read at once.
        stop_s: how long requests under way may take to end at shutdown.
    """

    body_bytes: int = 25_000_000
    metadata_bytes: int = 256 * 1024
    parts: int = 8
    batch: int = 20
    header_line_bytes: int = 8190
    headers: int = 64
    header_s: float = 30.0
    read_s: float = 20.0
    body_s: float = 120.0
    connections: int = 512
    requests: int = 256
    upload_bytes: int = 208 * 1024 * 1024
    streams: int = 32
    stream_write_s: float = 30.0
    heartbeat_s: float = 15.0
    page: int = 200
    stop_s: float = 5.0
