"""An agent whose keys are out of reach: it accepts, keeps, says what is missing, and goes on when they are back."""

from __future__ import annotations
