"""The drop folder: a door for programs that cannot speak HTTP (docs/dropfolder.md)."""

from __future__ import annotations
