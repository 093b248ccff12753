"""The rig of this folder: virtual readers, or pcscd with vpcd inside the lab (tests/integration/cards runs it)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from vaguemestre_testkit import pcsclab
from vaguemestre_testkit.card_rig import Rig, pcscd_rig, virtual_rig


@pytest.fixture
def rig() -> Iterator[Rig]:
    with pcscd_rig() if pcsclab.is_inside() else virtual_rig() as lent:
        yield lent
