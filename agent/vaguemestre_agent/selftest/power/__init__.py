"""Power-cut self-test: what SQLite writes is recorded, and disks that a power cut could leave are opened again."""

from __future__ import annotations
