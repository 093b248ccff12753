"""A caller of the sandbox through its proxy, as a practice's software would be."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import httpx
from lxml import etree

from vaguemestre_sandbox.sandbox import Sandbox
from vaguemestre_sandboxkit import messages
from vaguemestre_sandboxkit.messages import Sample
from vaguemestre_sandboxkit.signing import Signer

TD02 = "urn:hl7-org:v3:PRPA_IN201307UV02"
TD21 = "urn:ihe:iti:2007:ProvideAndRegisterDocumentSet-b"
TD31 = "urn:ihe:iti:2007:RegistryStoredQuery"
TD32 = "urn:ihe:iti:2007:RetrieveDocumentSet"
ITI57 = "urn:ihe:iti:2010:UpdateDocumentSet"
SUCCESS = "urn:oasis:names:tc:ebxml-regrep:ResponseStatusType:Success"
CONNECT = {
    "nationalId": messages.DOCTOR,
    "bindingMessage": "42",
    "clientId": "vaguemestre-sandbox-client",
    "channel": "CARD",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came back: HTTP status, registry status, IHE error codes, fault subcode, object count."""

    http: int
    content_type: str
    body: bytes

    @property
    def root(self) -> etree._Element:
        text = self.body
        start = text.find(b"<soap:Envelope")
        end = text.find(b"</soap:Envelope>")
        return etree.fromstring(text[start : end + len(b"</soap:Envelope>")])

    @property
    def status(self) -> str:
        found = self.root.xpath("string(//@status[contains(., 'ResponseStatusType')])")
        return str(found)

    @property
    def codes(self) -> list[str]:
        return [text for element in self.root.iter() if (text := element.get("errorCode")) is not None]

    @property
    def contexts(self) -> str:
        return " | ".join(element.get("codeContext") or "" for element in self.root.iter())

    @property
    def subcode(self) -> str:
        found = self.root.xpath("string(//*[local-name()='Subcode']/*[local-name()='Value'])")
        return str(found).rpartition(":")[2]

    @property
    def count(self) -> int:
        return int(str(self.root.xpath("string(//@totalResultCount)")))


class Caller:
    """Sends messages through the proxy of a sandbox; `direct` goes straight to the DMP with a client certificate."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        pki = sandbox.pki
        self.signer = Signer(pki.structure_signature.certificate_path, pki.structure_signature.key_path)
        self.issuer = pki.structure_signature.subject_dn
        self.http = httpx.AsyncClient(
            base_url=sandbox.addresses.proxy, verify=pki.client_context(None), timeout=20.0, trust_env=False
        )
        self.inspect = httpx.AsyncClient(base_url=sandbox.addresses.inspection, timeout=20.0, trust_env=False)

    async def close(self) -> None:
        await self.http.aclose()
        await self.inspect.aclose()

    async def connect(self) -> httpx.Response:
        return await self.http.post("/connect", json=CONNECT)

    def security(
        self,
        *,
        patient: str = "",
        now: datetime | None = None,
        signed: bool = True,
        structure: str = messages.STRUCTURE,
    ) -> str:
        text = messages.assertion(
            structure=structure,
            issuer=self.issuer,
            now=now or self.sandbox.clock.now(),
            patient=patient or f"{messages.PATIENT}^^^&{messages.OID}&ISO^NH",
        )
        return self.signer.sign_assertion(text) if signed else text

    async def post(self, endpoint: str, content_type: str, body: bytes) -> Answer:
        response = await self.http.post(f"/send/dmp/{endpoint}", content=body, headers={"Content-Type": content_type})
        return Answer(
            http=response.status_code,
            content_type=response.headers.get("Content-Type", ""),
            body=response.content,
        )

    async def soap(self, endpoint: str, action: str, payload: str, *, security: str | None = None) -> Answer:
        text = self.security() if security is None else security
        return await self.post(
            endpoint, "application/soap+xml; charset=UTF-8", messages.envelope(action, text, payload)
        )

    def feeding(
        self,
        sample: Sample,
        *,
        document: bytes | None = None,
        metadata: str | None = None,
        security: str | None = None,
        signed: bool = True,
        signature: bytes | None = None,
    ) -> tuple[str, bytes]:
        """Return (Content-Type, body) of a TD2.1."""
        content = messages.cda(sample) if document is None else document
        parts = {"doc": content}
        if signed:
            parts["sig"] = signature or self.signer.sign_lot(sample.submission_id, {sample.unique_id: content})
        if security is None:
            security = self.security(patient=f"{sample.matricule}^^^&{sample.oid}&ISO^NH")
        payload = messages.lot(sample, signed=signed) if metadata is None else metadata
        return messages.package(messages.envelope(TD21, security, payload), parts)

    async def feed(
        self,
        sample: Sample,
        *,
        document: bytes | None = None,
        metadata: str | None = None,
        security: str | None = None,
        signed: bool = True,
        signature: bytes | None = None,
    ) -> Answer:
        content_type, body = self.feeding(
            sample, document=document, metadata=metadata, security=security, signed=signed, signature=signature
        )
        return await self.post("repository", content_type, body)

    async def lookup(self, unique_id: str) -> Answer:
        """Ask TD3.1 about one uniqueId."""
        query = messages.stored_query(messages.GET_DOCUMENTS, {"$XDSDocumentEntryUniqueId": f"('{unique_id}')"})
        return await self.soap("registry", TD31, query)

    async def rule(self, **members: object) -> int:
        response = await self.inspect.post("/api/rules", json=members)
        assert response.status_code == 201, response.text
        return int(response.json()["rule_id"])
