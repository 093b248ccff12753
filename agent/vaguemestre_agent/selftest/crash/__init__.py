"""The crash self-test: an agent killed again and again while orders flow, judged from outside."""

from __future__ import annotations
