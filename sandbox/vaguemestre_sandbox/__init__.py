"""The national services on a laptop: faithful simulators that refuse what the real ones refuse."""

from __future__ import annotations
