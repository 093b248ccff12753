"""Where the direct way goes: one reading of its URL, and one refusal of a wrong one, with readers and without."""

from __future__ import annotations

from pathlib import Path

import pytest

from vaguemestre_agent.adapters.dmp.direct import direct_address
from vaguemestre_agent.parts import Parts
from vaguemestre_agent.paths import agent_paths
from vaguemestre_agent.settings import ServiceSettings, Settings
from vaguemestre_agent.ways import open_ways
from vaguemestre_agent.workstation import readers_of
from vaguemestre_core.errors import InvalidInput
from vaguemestre_core.readerports import ReadersSettings, ReadersSource

WRONG = [
    "https://dmp.example:abc",
    "https://dmp.example:70000",
    "https://[",
    "http://dmp.example",
    "https://:443",
    "dmp",
]


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("https://dmp.example", ("dmp.example", 443)),
        ("https://dmp.example/", ("dmp.example", 443)),
        ("https://DMP.example:8443", ("dmp.example", 8443)),
        ("https://[::1]:8443", ("::1", 8443)),
    ],
)
def test_an_address_is_a_host_and_a_port(url: str, address: tuple[str, int]) -> None:
    assert direct_address(url) == address


@pytest.mark.parametrize("structure", ["", "nowhere.pem"])
@pytest.mark.parametrize("url", WRONG)
async def test_without_readers_a_wrong_url_is_refused_as_a_setting(url: str, structure: str) -> None:
    settings = ServiceSettings(direct_url=url, structure_certificate=structure)

    with pytest.raises(InvalidInput, match="DIRECT_INVALID") as refused:
        async with open_ways(settings, Parts()):
            pass

    assert dict(refused.value.params) == {"reason": "url"}


@pytest.mark.parametrize("url", WRONG)
def test_with_readers_it_is_refused_the_same_way(url: str, tmp_path: Path) -> None:
    settings = Settings(readers=ReadersSettings(source=ReadersSource.PCSC), services=ServiceSettings(direct_url=url))

    with pytest.raises(InvalidInput, match="DIRECT_INVALID") as refused:
        readers_of(settings, Parts(), agent_paths({"VAGUEMESTRE_HOME": str(tmp_path)}))

    assert dict(refused.value.params) == {"reason": "url"}
