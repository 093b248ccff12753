"""IHE XDS metadata: from a CDA, to and from ebRIM 3.0, and the signature of a submission set."""

from __future__ import annotations
