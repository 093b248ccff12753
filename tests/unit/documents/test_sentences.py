"""Every finding has its French sentence, and no sentence is left without a finding."""

from __future__ import annotations

import re
from importlib import resources
from pathlib import Path

import vaguemestre_core
from vaguemestre_documents.sentences import SENTENCES

_RAISED = re.compile(r"""(?:InvalidInput|_fault)\(\s*"([A-Z0-9_]+)\"""")
_CORE = ("contacts.py", "identities.py", "professionals.py")


def test_every_code_raised_has_its_french_sentence() -> None:
    package = Path(str(resources.files("vaguemestre_documents")))
    core = Path(str(resources.files(vaguemestre_core.__name__)))
    sources = [*package.rglob("*.py"), *(core / name for name in _CORE)]
    raised = {code for path in sources for code in _RAISED.findall(path.read_text("utf-8"))}
    assert len(raised) > 30
    assert raised <= set(SENTENCES)
    for sentence in SENTENCES.values():
        assert re.search(r"[.]$", sentence)
