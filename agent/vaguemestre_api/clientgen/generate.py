"""All the generated clients as texts by file name; writing them is the caller's business (``docs/generate.py``)."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import resources

from vaguemestre_api import openapi
from vaguemestre_api.clientgen import csharp, javascript
from vaguemestre_api.clientgen.description import describe


def clients() -> Mapping[str, str]:
    """Return the content of each generated file, by its path under ``docs/integrate/``. Raises NotUnderstood."""
    api = describe(openapi.document())
    return {
        "javascript/vaguemestre.mjs": javascript.module(api, _runtime("runtime.mjs")),
        "javascript/vaguemestre.d.mts": javascript.declarations(api, _runtime("runtime.d.mts")),
        "csharp/Vaguemestre.cs": csharp.source(api, _runtime("runtime.cs")),
    }


def _runtime(name: str) -> str:
    return resources.files("vaguemestre_api").joinpath("clientgen", name).read_text(encoding="utf-8")
