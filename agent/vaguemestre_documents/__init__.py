"""Health documents as values: CDA R2, XDS metadata, submission sets. Bytes in, bytes out; no network."""

from __future__ import annotations
