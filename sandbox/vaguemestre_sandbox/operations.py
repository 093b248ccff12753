"""Which DMP operation a request is, by service and WS-Addressing action."""

from __future__ import annotations

from typing import Final

from vaguemestre_sandbox import changing, existence, feeding, registry, retrieval
from vaguemestre_sandbox.failures import Target

SERVICES: Final = {
    "patients": {existence.ACTION: Target.DMP_TD02},
    "repository": {feeding.ACTION: Target.DMP_TD21, retrieval.ACTION: Target.DMP_TD32},
    "registry": {registry.ACTION: Target.DMP_TD31, changing.ACTION: Target.DMP_ITI57},
}
COUNTED: Final = frozenset({Target.DMP_TD21, Target.DMP_ITI57})
"""Operations whose complete bodies the ledger counts: they change something."""


def operation_before_body(service: str, content_type: str) -> Target:
    """Return the likely operation: the service's first, unless the media type names another action."""
    if service == "repository" and retrieval.ACTION in content_type:
        return Target.DMP_TD32
    if service == "registry" and changing.ACTION in content_type:
        return Target.DMP_ITI57
    return next(iter(SERVICES[service].values()))


def operation_of(service: str, content_type: str, body: bytes) -> Target:
    """Return the operation of a complete request; an unreadable repository request is a feeding."""
    likely = operation_before_body(service, content_type)
    if (
        likely is Target.DMP_TD21
        and b"RetrieveDocumentSetRequest" in body
        and b"ProvideAndRegisterDocumentSetRequest" not in body
    ):
        return Target.DMP_TD32
    if likely is Target.DMP_TD31 and b"SubmitObjectsRequest" in body and b"AdhocQueryRequest" not in body:
        return Target.DMP_ITI57
    return likely
