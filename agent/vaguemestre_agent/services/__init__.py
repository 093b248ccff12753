"""Services: what the agent does, over ports. They know no adapter, no SQL and no HTTP."""

from __future__ import annotations
