"""Adapters: one folder per outside service, each implementing a port of the core. Services never import them."""

from __future__ import annotations
