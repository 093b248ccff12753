"""Carte Vitale: the public read of Vitale 2, and the GIE SESAM-Vitale's library where it is installed."""

from __future__ import annotations
