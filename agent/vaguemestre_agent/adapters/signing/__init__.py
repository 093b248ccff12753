"""Signatures bound to a purpose: there is no general signing verb."""

from __future__ import annotations
