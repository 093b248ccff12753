"""Pictures to symbols: images, PDF pages and camera frames decoded with several readers, in bounded time and memory.

Only the readers process imports it: native decoders crash and leak, and the queue must not notice (record 0020).
"""

from __future__ import annotations
