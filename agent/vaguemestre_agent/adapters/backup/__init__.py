"""Encrypted backups as files."""

from __future__ import annotations
