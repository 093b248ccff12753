"""Generator of the clients for practice programs, in JavaScript and C#, from the OpenAPI document."""

from __future__ import annotations
