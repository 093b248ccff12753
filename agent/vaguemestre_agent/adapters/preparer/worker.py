"""PreparerPort around one worker process: started when needed, kept between documents, killed when it misbehaves.

Owns the process and its frames; builds nothing itself. One document at a time. A worker that dies, hangs or answers
garbage is killed and the document may be tried once more; a second loss on the same document is final, so that one
document cannot hold up the others.
Security: the body goes through a pipe; nothing of it in arguments, files or logs.
"""

from __future__ import annotations

import asyncio
import logging
import shutil
import subprocess
import sys
from asyncio.subprocess import Process
from collections import OrderedDict
from datetime import datetime, tzinfo
from pathlib import Path
from typing import Final, Self

from vaguemestre_agent.adapters.receiving import receive_frame
from vaguemestre_core.frames import Frame, FrameError, FrameLimits
from vaguemestre_core.orders import OrderId
from vaguemestre_core.ports import PreparationRefusal, PreparedBuild
from vaguemestre_core.records import Order, StoredBody
from vaguemestre_documents.cda.request import ReplacedVersion
from vaguemestre_documents.pdf.policy import FooterPolicy, PdfPolicy
from vaguemestre_documents.preparation import FrozenIdentifiers, PreparationRequest
from vaguemestre_documents.worker import DEFAULT_MEMORY_BYTES, encode_request

_LOGGER = logging.getLogger(__name__)
_ANSWER_LIMITS: Final = FrameLimits(json_bytes=4_000_000, content_bytes=128_000_000)
_CLOSING_S: Final = 5.0
_MAX_LOSSES: Final = 2
_REMEMBERED: Final = 1000
_NO_WINDOW: Final = getattr(subprocess, "CREATE_NO_WINDOW", 0)


class _WorkerLost(Exception):
    """The worker gave no answer that can be used."""


class WorkerPreparer:
    """Prepares documents in a child process. Not shared between loops.

    Args:
        zone: the zone whose offset is written in the documents' times; None for the machine's own.
        deadline_s: longest time for one document, start of the process included, seconds.
        memory_bytes: bound of the worker's address space, where the system can bound it.
        max_body_bytes: longest body accepted.
        pdf: what is done with PDF that are not PDF/A-1; its scratch folder is emptied before each start of the worker.
        footer: what is written below the last page of a PDF.
        command: how the worker is started; by default this interpreter and the module.
    """

    def __init__(
        self,
        *,
        zone: tzinfo | None = None,
        deadline_s: float = 60.0,
        memory_bytes: int = DEFAULT_MEMORY_BYTES,
        max_body_bytes: int = 25_000_000,
        pdf: PdfPolicy | None = None,
        footer: FooterPolicy | None = None,
        command: tuple[str, ...] | None = None,
    ) -> None:
        self._zone = zone
        self._deadline_s = deadline_s
        self._max_body_bytes = max_body_bytes
        self._pdf = PdfPolicy() if pdf is None else pdf
        self._footer = FooterPolicy() if footer is None else footer
        worker = (sys.executable, "-m", "vaguemestre_documents.worker", "--memory-bytes", str(memory_bytes))
        self._command = worker if command is None else command
        self._process: Process | None = None
        self._one_at_a_time = asyncio.Lock()
        self._losses: OrderedDict[OrderId, int] = OrderedDict()
        self._is_closed = False
        self._requests = 0

    async def prepare(self, order: Order, body: StoredBody, now: datetime) -> PreparedBuild | PreparationRefusal:
        """Build the document of an order. Cancellation: safe, the worker is killed.

        Returns:
            The build; or a refusal: the worker's findings, ``PREPARER_INTERRUPTED`` (to be tried again),
            ``PREPARER_CRASHED`` (lost twice on this document), ``BODY_TOO_LARGE``.
        """
        if len(body.body) > self._max_body_bytes:
            return PreparationRefusal(code="BODY_TOO_LARGE", findings=(("BODY_TOO_LARGE", "/body"),))
        async with self._one_at_a_time:
            self._requests += 1
            request_id = f"{self._requests}"
            frame = encode_request(self._request(order, body, now), request_id)
            if self._is_closed:
                return PreparationRefusal(code="PREPARER_INTERRUPTED", retry=True)
            try:
                async with asyncio.timeout(self._deadline_s):
                    answer = await self._exchange(frame, request_id)
                result = _result(answer)
            except (TimeoutError, OSError, asyncio.IncompleteReadError, _WorkerLost) as error:
                await self._discard()
                return self._lost(order.order_id, error)
            except asyncio.CancelledError:
                # Its answer would be taken for that of the next document.
                await self._discard()
                raise
        self._losses.pop(order.order_id, None)
        return result

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Let the worker finish its document and end; kill it when it does not."""
        self._is_closed = True
        async with self._one_at_a_time:
            process = self._process
            if process is None or process.stdin is None:
                return
            process.stdin.close()
            try:
                async with asyncio.timeout(_CLOSING_S):
                    await process.wait()
            except TimeoutError:
                await self._discard()
            self._process = None

    def _request(self, order: Order, body: StoredBody, now: datetime) -> PreparationRequest:
        replaced = order.predecessor_unique_id
        return PreparationRequest(
            media_type=body.media_type,
            body=body.body,
            metadata=body.metadata,
            identifiers=FrozenIdentifiers(
                document_id=order.unique_id,
                set_id=order.set_id,
                version=order.version,
                replaces=None if replaced is None else ReplacedVersion(document_id=replaced),
            ),
            now=now.astimezone(self._zone),
            for_dmp=order.kind.service == "dmp",
            max_body_bytes=self._max_body_bytes,
            pdf=self._pdf,
            footer=self._footer,
        )

    async def _exchange(self, frame: bytes, request_id: str) -> Frame:
        process = await self._running()
        if process.stdin is None or process.stdout is None:
            raise _WorkerLost
        process.stdin.write(frame)
        await process.stdin.drain()
        try:
            answer = await receive_frame(process.stdout, _ANSWER_LIMITS)
        except FrameError:
            raise _WorkerLost from None
        if answer.header.get("request") != request_id:
            raise _WorkerLost  # garbage, or the answer of another request: nothing that this worker says is believed
        return answer

    async def _running(self) -> Process:
        if self._process is not None and self._process.returncode is None:
            return self._process
        if self._pdf.scratch:
            await asyncio.to_thread(_empty, Path(self._pdf.scratch))
        self._process = await asyncio.create_subprocess_exec(
            *self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            creationflags=_NO_WINDOW,
        )
        _LOGGER.info("preparer.worker.started")
        return self._process

    async def _discard(self) -> None:
        """Kill the worker and wait until it is gone."""
        process, self._process = self._process, None
        if process is None:
            return
        if process.returncode is None:
            process.kill()
        if process.stdin is not None:
            process.stdin.close()
        async with asyncio.timeout(_CLOSING_S):
            await process.wait()

    def _lost(self, order_id: OrderId, error: BaseException) -> PreparationRefusal:
        losses = self._losses.pop(order_id, 0) + 1
        _LOGGER.warning(
            "preparer.worker.lost",
            extra={"order_id": order_id, "losses": losses, "reason": type(error).__name__},
        )
        if losses >= _MAX_LOSSES:
            return PreparationRefusal(code="PREPARER_CRASHED", findings=(("PREPARER_CRASHED", "/body"),))
        self._losses[order_id] = losses
        while len(self._losses) > _REMEMBERED:
            self._losses.popitem(last=False)
        return PreparationRefusal(code="PREPARER_INTERRUPTED", retry=True)


def _empty(folder: Path) -> None:
    """Leave a private empty folder: what a killed worker was drawing may not stay."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)


def _result(answer: Frame) -> PreparedBuild | PreparationRefusal:
    match answer.header.get("outcome"):
        case "prepared":
            version = answer.header.get("version")
            if not isinstance(version, int) or not answer.content:
                raise _WorkerLost
            return PreparedBuild(
                prepared=answer.content,
                type_code=_text(answer.header.get("type_code")),
                unique_id=_text(answer.header.get("unique_id")),
                set_id=_text(answer.header.get("set_id")),
                version=version,
                warnings=tuple(code for code, _ in _findings(answer.header.get("warnings"))),
            )
        case "refused":
            findings = _findings(answer.header.get("findings"))
            if not findings:
                raise _WorkerLost
            return PreparationRefusal(code=findings[0][0], findings=findings)
        case _:
            raise _WorkerLost


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise _WorkerLost
    return value


def _findings(value: object) -> tuple[tuple[str, str], ...]:
    if not isinstance(value, list):
        raise _WorkerLost
    findings: list[tuple[str, str]] = []
    for item in value:
        if not isinstance(item, dict):
            raise _WorkerLost
        findings.append((_text(item.get("code")), _text(item.get("pointer"))))
    return tuple(findings)
