"""Preparation: from what the LGC gave to the bytes that will leave, or to a refusal that says why."""

from __future__ import annotations

import io
import subprocess
import sys
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vaguemestre_core.errors import InvalidInput
from vaguemestre_core.frames import FrameError, read_frame
from vaguemestre_documents.body_inspection import inspect_body
from vaguemestre_documents.cda.build import build_cda_n1
from vaguemestre_documents.cda.read import BodyLevel, parse_cda, read_n1_body
from vaguemestre_documents.codes import MediaType
from vaguemestre_documents.pdf.policy import FooterPolicy
from vaguemestre_documents.preparation import (
    PreparationFailure,
    PreparationRequest,
    PreparationResult,
    prepare,
)
from vaguemestre_documents.prepared import PreparedDocument
from vaguemestre_documents.worker import decode_request, encode_request
from vaguemestre_testkit import cda_samples, metadata_samples

TIFF = b"II*\x00\x08\x00\x00\x00\x00\x00\x00\x00\x00\x00"


def prepared(request: PreparationRequest) -> PreparationResult:
    outcome = prepare(request)
    assert isinstance(outcome, PreparationResult), outcome
    return outcome


def codes(request: PreparationRequest) -> list[str]:
    outcome = prepare(request)
    assert isinstance(outcome, PreparationFailure)
    assert all(item.sentence.endswith(".") for item in outcome.findings)
    return [item.code for item in outcome.findings]


@pytest.mark.req("LGC.MDV.03")
@pytest.mark.parametrize(
    ("media_type", "body"),
    [
        ("application/pdf", cda_samples.pdf()),
        ("image/jpeg", cda_samples.jpeg()),
        ("image/tiff", TIFF),
        ("text/plain; charset=utf-8", "Été".encode()),
        ("text/rtf", b"{\\rtf1 bonjour}"),
    ],
)
def test_each_kind_of_body_is_built_and_kept_whole(media_type: str, body: bytes) -> None:
    result = prepared(metadata_samples.preparation(body, media_type=media_type))
    assert result.level is BodyLevel.N1
    assert read_n1_body(parse_cda(result.document.cda)) == body
    assert result == prepared(metadata_samples.preparation(body, media_type=media_type))


def test_the_container_gives_back_the_document_and_its_ins() -> None:
    document = prepared(metadata_samples.preparation()).document
    assert PreparedDocument.from_bytes(document.to_bytes()) == document
    ins = document.ins()
    assert ins is not None
    assert ins.matricule == cda_samples.MATRICULE
    assert "EXEMPLE" not in repr(document)


@given(st.binary(max_size=200))
def test_other_bytes_are_no_container(content: bytes) -> None:
    for damaged in (content, b"VGMDOC01" + content):
        with pytest.raises(InvalidInput):
            PreparedDocument.from_bytes(damaged)


def test_a_pdf_that_does_not_claim_pdfa_is_only_a_warning() -> None:
    result = prepared(metadata_samples.preparation(cda_samples.pdf(pdfa=False)))
    assert result.is_pdfa_claimed is False
    assert [item.code for item in result.warnings] == ["PDFA_NOT_CLAIMED"]
    assert prepared(metadata_samples.preparation()).warnings == ()


@pytest.mark.parametrize(
    ("body", "media_type", "code"),
    [
        (b"", "application/pdf", "BODY_EMPTY"),
        (b"   ", "application/pdf", "BODY_EMPTY"),
        (cda_samples.jpeg(), "application/pdf", "BODY_MISMATCH"),
        (cda_samples.pdf(), "image/jpeg", "BODY_MISMATCH"),
        (cda_samples.pdf(), "text/plain", "BODY_MISMATCH"),
        (b"bonjour", "application/pdf", "BODY_MISMATCH"),
        (b"\xe9t\xe9", "text/plain", "BODY_MISMATCH"),
        (cda_samples.pdf()[:-30], "application/pdf", "BODY_TRUNCATED"),
        (cda_samples.jpeg()[:-2], "image/jpeg", "BODY_TRUNCATED"),
        (TIFF[:8], "image/tiff", "BODY_TRUNCATED"),
        (b"{\\rtf1 bon", "text/rtf", "BODY_TRUNCATED"),
        (
            cda_samples.pdf().replace(b"/Root 1 0 R", b"/Root 1 0 R /Encrypt 9 0 R"),
            "application/pdf",
            "BODY_ENCRYPTED",
        ),
        (b"\x89PNG", "image/png", "BODY_PNG_REFUSED"),
        (b"x", "application/msword", "BODY_MEDIA_TYPE_REFUSED"),
    ],
)
def test_bodies_that_lie_or_lack_their_end_are_refused(body: bytes, media_type: str, code: str) -> None:
    assert codes(metadata_samples.preparation(body, media_type=media_type)) == [code]


def test_a_body_above_the_limit_is_refused() -> None:
    with pytest.raises(InvalidInput) as refused:
        inspect_body(MediaType.PDF, cda_samples.pdf(), max_bytes=10)
    assert refused.value.code == "BODY_TOO_LARGE"


def test_a_ready_cda_goes_through_byte_for_byte() -> None:
    cda = build_cda_n1(cda_samples.request())
    request = metadata_samples.preparation(cda, media_type="text/xml", value=metadata_samples.ready_metadata())
    result = prepared(request)
    assert result.document.cda == cda
    assert result.document.entry.unique_id == cda_samples.DOCUMENT_ID


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"type_code": "57833-6"}, "/type_code"),
        ({"author": {"rpps": "99700000020"}}, "/author/rpps"),
        (
            {
                "patient": {
                    "identity_status": "qualifiée",
                    "ins": {"matricule": "275126322074974", "oid": "1.2.250.1.213.1.4.10"},
                }
            },
            "/patient/ins",
        ),
    ],
)
def test_a_ready_cda_must_be_the_one_its_metadata_speak_of(changes: dict[str, object], pointer: str) -> None:
    value = {**metadata_samples.ready_metadata(), **changes}
    request = metadata_samples.preparation(
        build_cda_n1(cda_samples.request()), media_type="application/xml", value=value
    )
    outcome = prepare(request)
    assert isinstance(outcome, PreparationFailure)
    assert [(item.code, item.pointer) for item in outcome.findings] == [("CDA_METADATA_MISMATCH", pointer)]


@pytest.mark.req("INS/va1.53")
def test_a_ready_cda_with_the_ins_of_an_unqualified_identity_is_refused() -> None:
    request = metadata_samples.preparation(
        build_cda_n1(cda_samples.request()),
        media_type="text/xml",
        value=metadata_samples.ready_metadata("validée"),
        for_dmp=False,
    )
    assert codes(request) == ["CDA-PAT-02"]


def test_a_ready_cda_that_lies_about_its_body_is_refused() -> None:
    request = metadata_samples.preparation(
        build_cda_n1(cda_samples.with_body(MediaType.PDF, cda_samples.jpeg())),
        media_type="text/xml",
        value=metadata_samples.ready_metadata(),
    )
    assert codes(request) == ["BODY_MISMATCH"]


def test_the_dmp_needs_a_qualified_identity() -> None:
    value = metadata_samples.metadata("validée")
    assert codes(metadata_samples.preparation(value=value)) == ["CDA-PAT-01"]
    assert prepared(metadata_samples.preparation(value=value, for_dmp=False)).document.ins() is None


def test_a_replacement_known_to_the_lgc_alone_gets_a_higher_number() -> None:
    value = metadata_samples.metadata()
    value["replaces"] = {"document_id": "1.2.250.1.999.7", "version": 4}
    value["set_id"] = "1.2.250.1.999.8"
    entry = prepared(metadata_samples.preparation(value=value)).document.entry
    assert (entry.version_number, entry.replaced_unique_id, entry.set_id) == (5, "1.2.250.1.999.7", "1.2.250.1.999.8")


@pytest.mark.parametrize("text", [b"", b"[]", b"{", b"\xff", b"[" * 100_000])
def test_metadata_that_are_no_object_are_refused(text: bytes) -> None:
    base = metadata_samples.preparation()
    request = PreparationRequest(
        media_type=base.media_type,
        body=base.body,
        metadata=text,
        identifiers=base.identifiers,
        now=base.now,
        for_dmp=True,
    )
    assert codes(request) == ["METADATA_NOT_JSON"]


@given(st.binary(max_size=400), st.sampled_from(["text/xml", "application/pdf", "image/tiff", "text/plain"]))
def test_any_body_is_prepared_or_refused(body: bytes, media_type: str) -> None:
    value = metadata_samples.ready_metadata() if media_type == "text/xml" else metadata_samples.metadata()
    prepare(metadata_samples.preparation(body, media_type=media_type, value=value))


def run_worker(source: bytes, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "vaguemestre_documents.worker", *arguments]
    return subprocess.run(command, input=source, capture_output=True, timeout=60, check=False)


def test_the_worker_answers_every_request_as_the_function_does() -> None:
    request = metadata_samples.preparation()
    refused = metadata_samples.preparation(b"x")
    done = run_worker(encode_request(request) + encode_request(refused) + encode_request(request))
    assert (done.returncode, done.stderr) == (0, b"")
    stream = io.BytesIO(done.stdout)
    first, second, third = read_frame(stream), read_frame(stream), read_frame(stream)
    assert first is not None
    assert second is not None
    assert first == third
    assert first.content == prepared(request).document.to_bytes()
    assert first.header["outcome"] == "prepared"
    assert second.header["outcome"] == "refused"
    assert read_frame(stream) is None


@pytest.mark.parametrize("source", [b"\x00", b"\xff" * 8, b"\x00\x00\x00\x02\x00\x00\x00\x00{}", b"\x00\x00\x00\x09"])
def test_a_broken_stream_stops_the_worker_without_a_word_of_it(source: bytes) -> None:
    done = run_worker(source)
    assert done.returncode == 70
    assert done.stderr.splitlines() == [b"worker stopped: FrameError"]


@pytest.mark.skipif(sys.platform != "linux", reason="the address space is bounded on Linux")
def test_a_worker_short_of_memory_dies_alone_and_silent() -> None:
    body = cda_samples.pdf("x" * 9_000_000)
    done = run_worker(encode_request(metadata_samples.preparation(body)), "--memory-bytes", "120000000")
    assert done.returncode != 0
    assert b"EXEMPLE" not in done.stderr
    assert b"226027505612368" not in done.stderr


@pytest.mark.parametrize(
    "footer", [FooterPolicy(), FooterPolicy(mention="é\n«»", types="a b", recipients=True, ins=True)]
)
def test_a_request_survives_the_frame(footer: FooterPolicy) -> None:
    request = replace(metadata_samples.preparation(), footer=footer)
    frame = read_frame(io.BytesIO(encode_request(request)))
    assert frame is not None
    assert decode_request(frame) == request
    with pytest.raises(FrameError):
        read_frame(io.BytesIO(encode_request(request)[:-1]))
