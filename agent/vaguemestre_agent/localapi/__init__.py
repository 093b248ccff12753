"""Local API: routes, authentication and events over a Unix socket or a Windows named pipe."""

from __future__ import annotations
