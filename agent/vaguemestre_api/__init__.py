"""Wire schema, error catalogue and client of the local API. Imports nothing of ours."""

from __future__ import annotations
