"""Profiles: what national services demand, as data files; whatever no readable specification fixes is a setting."""

from __future__ import annotations
