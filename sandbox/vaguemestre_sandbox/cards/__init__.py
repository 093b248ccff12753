"""Virtual cards: what each card is (`card`), how it is wired to a reader (`vpcd`), and how it misbehaves."""

from __future__ import annotations
