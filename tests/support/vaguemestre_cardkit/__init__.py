"""What the tests of cards share: small native libraries that misbehave on purpose."""

from __future__ import annotations
