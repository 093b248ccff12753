"""Writing an export: a folder or a ZIP file of documents as given and as sent, with their manifest.

File names say nothing of anybody. What is written is in clear: whoever asks was told. A failed export leaves nothing.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from importlib import resources
from pathlib import Path
from typing import Final, Protocol

from vaguemestre_core.errors import InvalidInput
from vaguemestre_documents.portability import Described, ExportedDocument, ExportedFile, ExportManifest, describe
from vaguemestre_documents.preparation import is_ready_cda
from vaguemestre_documents.prepared import PreparedDocument
from vaguemestre_queue.holdings import Holding

_EXTENSIONS: Final = {
    "application/pdf": "pdf",
    "text/rtf": "rtf",
    "application/rtf": "rtf",
    "text/plain": "txt",
    "image/jpeg": "jpg",
    "image/tiff": "tif",
}


class Sink(Protocol):
    """Where the files go."""

    def add(self, path: str, content: bytes) -> None:
        """Write one file; ``path`` has forward slashes. Raises OSError."""


class _Folder:
    def __init__(self, root: Path) -> None:
        self._root = root

    def add(self, path: str, content: bytes) -> None:
        target = self._root / path
        target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(content)


class _Zip:
    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive

    def add(self, path: str, content: bytes) -> None:
        self._archive.writestr(path, content)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportCounts:
    """What was exported.

    Attributes:
        documents: versions whose content is in it.
        missing: versions listed without content.
    """

    documents: int
    missing: int


def write_export(
    target: Path, holdings: Iterable[Holding], since: date, until: date, made_at: datetime
) -> ExportCounts:
    """Write an export; ``target`` ending in ``.zip`` is one file, else a folder.

    Raises:
        InvalidInput: EXPORT_TARGET_EXISTS, FILE_UNWRITABLE; nothing is left.
    """
    if target.exists():
        raise InvalidInput("EXPORT_TARGET_EXISTS")
    temporary = target.with_name(f"{target.name}.part")
    try:
        if target.suffix.lower() == ".zip":
            handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(handle, "wb") as file, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
                counts = _write(_Zip(archive), holdings, since, until, made_at)
        else:
            temporary.mkdir(mode=0o700)
            counts = _write(_Folder(temporary), holdings, since, until, made_at)
        temporary.replace(target)
    except OSError:
        _remove(temporary)
        raise InvalidInput("FILE_UNWRITABLE") from None
    except BaseException:
        _remove(temporary)
        raise
    return counts


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _write(sink: Sink, holdings: Iterable[Holding], since: date, until: date, made_at: datetime) -> ExportCounts:
    documents = [_document(sink, number, holding) for number, holding in enumerate(holdings, 1)]
    manifest = ExportManifest(
        made_at=made_at.isoformat(timespec="seconds"),
        since=since.isoformat(),
        until=until.isoformat(),
        documents=documents,
    )
    sink.add("manifest.json", manifest.to_json())
    sink.add("manifest.csv", manifest.to_csv())
    sink.add("LISEZMOI.txt", resources.files(__package__).joinpath("LISEZMOI.txt").read_bytes())
    missing = sum(1 for document in documents if document.missing)
    return ExportCounts(documents=len(documents) - missing, missing=missing)


def _document(sink: Sink, number: int, holding: Holding) -> ExportedDocument:
    order, given = holding.order, holding.given
    files: list[ExportedFile] = []
    described = Described(type_code=order.type_code)
    folder = f"documents/{number:06d}"

    def add(name: str, content: bytes, media_type: str) -> None:
        path = f"{folder}/{name}"
        sink.add(path, content)
        files.append(ExportedFile(path=path, sha256=hashlib.sha256(content).hexdigest(), media_type=media_type))

    if given is not None:
        cda = None if holding.prepared is None else PreparedDocument.from_bytes(holding.prepared).cda
        described = describe(given.metadata, given.media_type, given.body, cda)
        bare = given.media_type.partition(";")[0].strip().lower()
        extension = "xml" if is_ready_cda(given.media_type) else _EXTENSIONS.get(bare, "bin")
        add(f"donne.{extension}", given.body, bare)
        add("metadonnees.json", given.metadata, "application/json")
        if cda is not None:
            add("cda.xml", cda, "application/hl7-cda+xml")
    return ExportedDocument(
        number=number,
        described=described,
        client_ref=order.client_ref,
        accepted_at=order.accepted_at.isoformat(timespec="seconds"),
        state=order.state.value,
        unique_id=order.unique_id,
        set_id=order.set_id,
        version=order.version,
        missing=holding.gone or "",
        files=tuple(files),
    )
