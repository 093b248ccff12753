"""Tray icon of the session helper. Knows the wire package only."""

from __future__ import annotations
