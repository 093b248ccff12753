"""The worker process: prepares documents so that a parser that crashes, hangs or swells cannot touch the agent.

``python -m vaguemestre_documents.worker [--memory-bytes N]`` reads requests on standard input and answers on standard
output, one after the other, until end of file. Owns what the frames say; never a timeout (the
parent kills it), never a file.

Frames: ``vaguemestre_core.frames``.

* request JSON: ``request`` (its name, given back in the answer), ``media_type``, ``metadata`` (object),
  ``identifiers`` {``document_id``, ``set_id``, ``version``,
  ``replaces`` {``document_id``, ``version``} or null}, ``now`` (ISO 8601 with offset), ``for_dmp``,
  ``max_body_bytes``, ``pdf`` {``mode``, ``ghostscript``, ``ghostscript_s``, ``scratch``},
  ``footer`` {``mention``, ``types``, ``recipients``, ``ins``}; bytes: the body.
* answer JSON: ``request``, ``outcome`` ``prepared`` (with ``type_code``, ``unique_id``, ``set_id``, ``version``,
  ``level``, ``warnings``; bytes: the container of ``prepared.py``) or ``refused`` (with ``findings``; no bytes). A
  finding is {``code``, ``pointer``, ``sentence``}.

A malformed frame or too little memory ends the process with status 70, any other error with status 1; standard error
then names the class of the error and nothing else.
Security: address space bounded (POSIX), no core dump, no personal data in arguments or standard error.
"""

from __future__ import annotations

import argparse
import datetime as dt
import importlib
import json
import sys
from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, BinaryIO, Final

from vaguemestre_core.frames import Frame, FrameError, encode_frame, read_frame
from vaguemestre_documents.body_inspection import DEFAULT_MAX_BODY_BYTES
from vaguemestre_documents.cda.request import ReplacedVersion
from vaguemestre_documents.pdf.policy import FooterPolicy, PdfaMode, PdfPolicy
from vaguemestre_documents.preparation import (
    FrozenIdentifiers,
    PreparationFailure,
    PreparationRequest,
    PreparationResult,
    prepare,
)

if TYPE_CHECKING:
    from types import TracebackType

    from vaguemestre_documents.metadata_schema import MetadataFinding

DEFAULT_MEMORY_BYTES: Final = 1_073_741_824
EXIT_INTERNAL: Final = 70


def encode_request(request: PreparationRequest, request_id: str = "") -> bytes:
    """Return the frame of a request; metadata that are no JSON object travel as text and are refused there.

    ``request_id`` names it: its answer is told from another's.
    """
    identifiers = request.identifiers
    replaces = identifiers.replaces
    header: dict[str, object] = {
        "media_type": request.media_type,
        "metadata": request.metadata.decode("utf-8", errors="replace"),
        "identifiers": {
            "document_id": identifiers.document_id,
            "set_id": identifiers.set_id,
            "version": identifiers.version,
            "replaces": None
            if replaces is None
            else {"document_id": replaces.document_id, "version": replaces.version_number},
        },
        "now": request.now.isoformat(),
        "for_dmp": request.for_dmp,
        "max_body_bytes": request.max_body_bytes,
        "pdf": {
            "mode": request.pdf.mode.value,
            "ghostscript": request.pdf.ghostscript,
            "ghostscript_s": request.pdf.ghostscript_s,
            "scratch": request.pdf.scratch,
        },
        "footer": asdict(request.footer),
    }
    if request_id:
        header["request"] = request_id
    return encode_frame(Frame(header=header, content=request.body))


def decode_request(frame: Frame) -> PreparationRequest:
    """Return the request of a frame. Raises FrameError."""
    header = frame.header
    identifiers = header.get("identifiers")
    metadata = header.get("metadata")
    now, for_dmp, media_type = header.get("now"), header.get("for_dmp"), header.get("media_type")
    limit = header.get("max_body_bytes", DEFAULT_MAX_BODY_BYTES)
    if not (
        isinstance(identifiers, dict)
        and isinstance(now, str)
        and isinstance(for_dmp, bool)
        and isinstance(media_type, str)
        and isinstance(limit, int)
    ):
        raise FrameError("request")
    text = metadata if isinstance(metadata, str) else json.dumps(metadata)
    try:
        return PreparationRequest(
            media_type=media_type,
            body=frame.content,
            metadata=text.encode(),
            identifiers=_identifiers(identifiers),
            now=dt.datetime.fromisoformat(now),
            for_dmp=for_dmp,
            max_body_bytes=limit,
            pdf=_policy(header.get("pdf")),
            footer=_footer(header.get("footer")),
        )
    except (KeyError, TypeError, ValueError):
        raise FrameError("request") from None


def _policy(value: object) -> PdfPolicy:
    if value is None:
        return PdfPolicy()
    if not isinstance(value, dict):
        raise TypeError("pdf")
    return PdfPolicy(
        mode=PdfaMode(value["mode"]),
        ghostscript=str(value["ghostscript"]),
        ghostscript_s=float(value["ghostscript_s"]),
        scratch=str(value["scratch"]),
    )


def _footer(value: object) -> FooterPolicy:
    if value is None:
        return FooterPolicy()
    if not isinstance(value, dict):
        raise TypeError("footer")
    return FooterPolicy(
        mention=str(value["mention"]),
        types=str(value["types"]),
        recipients=value["recipients"] is True,
        ins=value["ins"] is True,
    )


def _identifiers(value: Mapping[str, object]) -> FrozenIdentifiers:
    version, replaced = value["version"], value.get("replaces")
    if not isinstance(version, int):
        raise TypeError("version")
    replaces = None
    if isinstance(replaced, dict):
        replaces = ReplacedVersion(document_id=str(replaced["document_id"]), version_number=replaced.get("version"))
    return FrozenIdentifiers(
        document_id=str(value["document_id"]),
        set_id=str(value["set_id"]),
        version=version,
        replaces=replaces,
    )


def answer(request: PreparationRequest) -> Frame:
    """Return the answer to a request."""
    outcome = prepare(request)
    match outcome:
        case PreparationFailure():
            header: dict[str, object] = {
                "outcome": "refused",
                "findings": [_finding(item) for item in outcome.findings],
            }
            return Frame(header=header, content=b"")
        case PreparationResult():
            entry = outcome.document.entry
            header = {
                "outcome": "prepared",
                "type_code": entry.type_code.code,
                "unique_id": entry.unique_id,
                "set_id": entry.set_id,
                "version": entry.version_number,
                "level": outcome.level.value,
                "warnings": [_finding(item) for item in outcome.warnings],
            }
            return Frame(header=header, content=outcome.document.to_bytes())


def _finding(item: MetadataFinding) -> dict[str, str]:
    return {"code": item.code, "pointer": item.pointer, "sentence": item.sentence}


def named(found: Frame, request: Frame) -> Frame:
    """Return an answer with the name of its request, so that it is never taken for another's."""
    return Frame(header={**found.header, "request": request.header.get("request", "")}, content=found.content)


def serve(source: BinaryIO, sink: BinaryIO) -> None:
    """Answer every request of a stream, in order, until its end. Raises FrameError."""
    while (frame := read_frame(source)) is not None:
        sink.write(encode_frame(named(answer(decode_request(frame)), frame)))
        sink.flush()


def bound_memory(limit_bytes: int) -> bool:
    """Bound the address space and forbid core dumps where the system can; return whether it could."""
    if sys.platform == "win32":
        return False
    resource = importlib.import_module("resource")
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "darwin":  # it has RLIMIT_AS and ignores it
        return False
    resource.setrlimit(resource.RLIMIT_AS, (limit_bytes, limit_bytes))
    return True


def _say_only_the_class(kind: type[BaseException], _value: BaseException, _trace: TracebackType | None) -> None:
    sys.stderr.write(f"worker stopped: {kind.__name__}\n")


def main() -> int:
    """Run the worker on standard input and output; return the exit status."""
    sys.excepthook = _say_only_the_class
    arguments = argparse.ArgumentParser(description="Prépare des documents, une requête après l'autre.")
    arguments.add_argument("--memory-bytes", type=int, default=DEFAULT_MEMORY_BYTES)
    bound_memory(arguments.parse_args().memory_bytes)
    try:
        serve(sys.stdin.buffer, sys.stdout.buffer)
    except (FrameError, MemoryError, RecursionError) as error:
        _say_only_the_class(type(error), error, None)
        return EXIT_INTERNAL
    return 0


if __name__ == "__main__":
    sys.exit(main())
