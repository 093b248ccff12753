"""The DMP through the Proxy e-santé: TD0.2, TD2.1 and the lookup of our own references."""

from __future__ import annotations
