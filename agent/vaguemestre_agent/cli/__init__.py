"""The command line ``vaguemestre``: one module a command, imported when it is asked for."""

from __future__ import annotations
