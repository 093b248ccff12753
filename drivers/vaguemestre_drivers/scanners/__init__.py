"""Scanner devices: serial, keyboard held by us alone, typing told by its speed, camera; codes without meaning."""

from __future__ import annotations
