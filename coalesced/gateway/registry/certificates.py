"""Certificates of sellers, asked of the sellers themselves over the encrypted channel."""

import asyncio
from typing import Final

import msgspec

from coalesced.gateway.registry.kept import FetchError, Kept
from crypto.identity import did_key
from node.daemon import Parts
from node.net.endpoint import Endpoint
from node.net.errors import NetError
from node.proofs.errors import ProofError
from node.registry.certificates import CertificateForm, NodeCertificates, certificate_form, open_certificate
from protocol.messages import CertificatesFound, CertificatesRequest

ASK_TIMEOUT_S: Final = 3.0


class SellerCertificates:
    """Asks, checks, and keeps for a minute."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._kept = Kept(parts.env.unix_ms)

    async def of(self, public_key: bytes, where: Endpoint) -> bytes:
        """What this node shows of its certificates, as JSON, less what does not hold; FetchError if it is not there."""
        return await self._kept.of(public_key, lambda: self._asked(public_key, where))

    async def _asked(self, public_key: bytes, where: Endpoint) -> bytes:
        try:
            async with asyncio.timeout(ASK_TIMEOUT_S):
                if public_key == self._parts.identity.public_key:
                    return self._form(public_key, await self._parts.proofs.desk.certificates(CertificatesRequest()))
                session = await self._parts.peers.session(public_key, where)
                answer = await session.request(CertificatesRequest(), timeout_s=ASK_TIMEOUT_S)
        except TimeoutError as error:
            raise FetchError(f"it did not answer within {ASK_TIMEOUT_S:g} s") from error
        except NetError as error:
            raise FetchError(f"it cannot be asked: {error}") from error
        if not isinstance(answer, CertificatesFound):
            raise FetchError(f"it answered with a {type(answer).__name__}")
        return self._form(public_key, answer)

    def _form(self, public_key: bytes, answer: CertificatesFound) -> bytes:
        forms = tuple(form for form in map(certificate_form, answer.certificates) if self._holds(form, public_key))
        return msgspec.json.encode(NodeCertificates(did=did_key(public_key), certificates=forms))

    def _holds(self, form: CertificateForm, subject: bytes) -> bool:
        now_unix_s = self._parts.env.unix_ms() // 1000
        try:
            open_certificate(form, subject=subject, network=self._parts.network, now_unix_s=now_unix_s)
        except ProofError:
            return False
        return True
