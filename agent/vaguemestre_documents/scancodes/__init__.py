"""Codes that are scanned or printed: text to values, values to text, text to a symbol; no image is decoded here."""

from __future__ import annotations
