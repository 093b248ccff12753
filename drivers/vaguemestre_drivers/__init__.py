"""Readers process of the session helper: CPS, carte Vitale, Datamatrix. Native code lives only here."""

from __future__ import annotations
