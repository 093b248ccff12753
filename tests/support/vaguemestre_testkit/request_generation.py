"""Requests generated from the OpenAPI description: correct ones and wrong ones, aimed at what exists half of the time.

Owns the drawing of requests and their bytes; sends nothing. ``schemathesis`` draws, so that a route that is
added is covered without a word here.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlsplit

import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import seed as seeded
from hypothesis.errors import Unsatisfiable
from hypothesis.strategies import SearchStrategy
from schemathesis import GenerationMode
from schemathesis.core.result import Ok


@dataclass(frozen=True, slots=True, kw_only=True)
class GeneratedRequest:
    """One request as it goes on the wire.

    Attributes:
        operation: method and path of the description.
        is_correct: drawn to follow the description.
    """

    operation: str
    is_correct: bool
    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What exists in the agent under test, so that requests reach behind the first lookup.

    Attributes:
        values: by the name of a path parameter.
        headers: those of a paired client.
        metadata: metadata of a document that would be accepted.
    """

    values: Mapping[str, tuple[str, ...]]
    headers: Mapping[str, str] = field(repr=False)
    metadata: str = field(repr=False, default="{}")


def generated(description: Mapping[str, object], known: Known, seed: int) -> Iterator[GeneratedRequest]:
    """Yield requests for ever, every operation in turn, one correct and one wrong.

    Args:
        description: the OpenAPI description.
        known: what exists.
        seed: same seed, same requests.
    """
    chance = random.Random(seed)
    schema = schemathesis.openapi.from_dict(dict(description))
    schema.config.update(base_url="http://localhost")
    operations = [found.ok() for found in schema.get_all_operations() if isinstance(found, Ok)]
    turn = 0
    while True:
        for operation in operations:
            for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
                turn += 1
                for case in _drawn(operation.as_strategy(generation_mode=mode), seed + turn):
                    made = _request(case, operation.label, mode is GenerationMode.POSITIVE, known, chance)
                    if made is not None:
                        yield made


def _drawn(strategy: SearchStrategy[Any], seed: int) -> list[schemathesis.Case[Any]]:
    cases: list[schemathesis.Case[Any]] = []

    def keep(case: schemathesis.Case[Any]) -> None:
        cases.append(case)

    run: Callable[[], None] = seeded(seed)(
        settings(
            max_examples=5,
            database=None,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            phases=[Phase.generate],
        )(given(case=strategy)(keep))
    )
    try:
        run()
    except Unsatisfiable:
        return []  # an operation without parameters has no wrong request
    return cases


def _request(
    case: schemathesis.Case[Any], label: str, is_correct: bool, known: Known, chance: random.Random
) -> GeneratedRequest | None:
    for name in case.path_parameters:
        if name in known.values and chance.random() < 0.6:
            case.path_parameters[name] = quote(chance.choice(known.values[name]), safe="")
    body = case.body
    if isinstance(body, dict) and "metadata" in body and chance.random() < 0.5:
        case.body = body | {"metadata": known.metadata}
    elif isinstance(body, dict) and isinstance(refs := body.get("client_refs"), list):
        refs.append(chance.choice(known.values["client_ref"]))
    try:
        prepared = requests.Request(**case.as_transport_kwargs()).prepare()
    except (ValueError, UnicodeError, requests.RequestException):
        return None  # cannot be put on a wire at all
    headers = {
        name: value if isinstance(value, str) else value.decode("latin-1")
        for name, value in prepared.headers.items()
        if name not in ("Connection", "Content-Length", "Accept-Encoding")
    }
    if is_correct or chance.random() < 0.7:
        headers |= known.headers
    where = urlsplit(prepared.url or "")
    content = prepared.body or b""
    assert isinstance(content, (str, bytes)), "nothing here is sent by pieces"
    return GeneratedRequest(
        operation=label,
        is_correct=is_correct,
        method=prepared.method or "GET",
        target=where.path + (f"?{where.query}" if where.query else ""),
        headers=headers,
        body=content.encode() if isinstance(content, str) else content,
    )
