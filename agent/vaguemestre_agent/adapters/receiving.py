"""Reads the frames of our child processes from their pipes; sets no deadline."""

from __future__ import annotations

import asyncio

from vaguemestre_core.frames import DEFAULT_LIMITS, LENGTHS_BYTES, Frame, FrameLimits, parse_frame, parse_lengths


async def receive_frame(stream: asyncio.StreamReader, limits: FrameLimits = DEFAULT_LIMITS) -> Frame:
    """Return the next frame.

    Raises:
        FrameError: what came is no frame, or exceeds the limits.
        asyncio.IncompleteReadError: the stream ended.
    """
    json_length, content_length = parse_lengths(await stream.readexactly(LENGTHS_BYTES), limits)
    text = await stream.readexactly(json_length)
    return parse_frame(text, await stream.readexactly(content_length))
