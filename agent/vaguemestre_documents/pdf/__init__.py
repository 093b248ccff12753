"""PDF/A-1: is a PDF one, and can it become one; bytes in, bytes and faults out (docs/adr/0010-pdfa.md)."""

from __future__ import annotations
