"""The persistent send queue: SQLite store, ledger, sealed bodies, crash recovery."""

from __future__ import annotations
