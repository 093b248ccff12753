"""Self-tests a vendor or a technician can run: crash and power cuts, with figures."""

from __future__ import annotations
