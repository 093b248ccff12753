"""PC/SC: readers, cards and the one way to talk to a card; names `smartcard` nowhere but in `winscard`."""

from __future__ import annotations
