"""Wire models of the making of a Datamatrix INS; traits and picture are redacted wherever a model is printed.

Owns shapes only, like ``vaguemestre_api.wire``.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from vaguemestre_api import wire_facts


@dataclass(frozen=True, slots=True, kw_only=True)
class InsCodeRequest:
    """The traits of the code, as INSi gave them; ``birth_date`` is AAAA-MM-JJ, ``module_px`` the side of a module."""

    identity_status: str
    ins: wire_facts.InsIdentifier
    birth_name: str = field(repr=False)
    given_names: str = field(repr=False)
    sex: str = field(repr=False)
    birth_date: str = field(repr=False)
    birth_place_cog: str = field(repr=False)
    module_px: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class InsCode:
    """A picture: PNG in base64, and the modules on a side of its symbol."""

    png: str = field(repr=False)
    modules: int
