"""TLS with a card's key: the agent speaks plain HTTP over a private stream, this process speaks TLS."""

from __future__ import annotations
