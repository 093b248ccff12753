"""The Proxy e-santé: its session verbs and the relayed calls."""

from __future__ import annotations
