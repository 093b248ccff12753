"""CDA R2: build a level 1 document, read the header of any document, check it against the CI-SIS."""

from __future__ import annotations
