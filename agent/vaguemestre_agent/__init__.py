"""The resident agent: services, adapters, local API, command line and their composition."""

from __future__ import annotations
