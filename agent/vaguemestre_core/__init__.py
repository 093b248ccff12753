"""Domain of Vaguemestre: orders, identities, facts, errors and ports. Standard library only, no input or output."""

from __future__ import annotations
