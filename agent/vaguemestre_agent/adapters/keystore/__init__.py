"""Where the keys of the store are kept: the system's keyring, or a private file."""

from __future__ import annotations
