"""The PIN window: a child of the readers process asks the person, in a window or on the terminal, never by the API."""

from __future__ import annotations
