"""What this agent says of itself: the signed card, made from the skills on sale, and the catalogue that points to it.

No field that the protocol requires is ever empty, and no object is: readers leave empty values out before they check a
signature, or do not, and both must come to the same bytes.
"""

import hashlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from email.utils import formatdate
from typing import Any, Final

import msgspec
from a2a.server.request_handlers.response_helpers import agent_card_to_dict
from a2a.types import a2a_pb2 as pb
from a2a.utils.constants import PROTOCOL_VERSION_0_3, PROTOCOL_VERSION_1_0
from google.protobuf.json_format import MessageToDict

from coalesced.gateway.a2a.config import A2aConfig
from coalesced.gateway.a2a.economics import parameters
from coalesced.gateway.a2a.shared import ECONOMICS, SKILL
from coalesced.gateway.a2a.words import struct
from crypto.identity import Identity, did_key, short_id
from crypto.jcs import canonical
from crypto.jws import sign_parts
from node.views import SkillRow

RPC_PATH: Final = "/a2a/rpc"
REST_PATH: Final = "/a2a/rest"
CARD_TYP: Final = "JOSE"
MAX_AGE_S: Final = 60
"""How long a card may be kept by whoever fetched it, and how old one that is served may be."""
ROLE: Final = "caller"
"""The one role there is: a requirement without one would be an empty object."""
MAX_EXAMPLE_CHARS: Final = 400
MAX_CERTIFICATES: Final = 4
"""Each has a few kilobytes at most; a card has to stay small."""


@dataclass(frozen=True, slots=True)
class Card:
    """A card as it is served. `etag` and `modified` are the header's values."""

    message: pb.AgentCard
    extended: pb.AgentCard
    body: bytes
    etag: str
    modified: str


class Cards:
    """Makes cards, and keeps the last one for a while."""

    def __init__(
        self,
        config: A2aConfig,
        identity: Identity,
        *,
        base_url: str,
        version: str,
        skills: Callable[[], Awaitable[Sequence[SkillRow]]],
        certificates: Callable[[], Awaitable[Sequence[str]]],
        required: frozenset[str],
        unix_ms: Callable[[], int],
    ) -> None:
        """`required`: addresses of extensions that callers must know, beside those that are only offered."""
        self._config = config
        self._identity = identity
        self._base_url = base_url.rstrip("/")
        self._version = version
        self._skills = skills
        self._certificates = certificates
        self._required = required
        self._unix_ms = unix_ms
        self._last: tuple[int, tuple[str, ...], Card] | None = None

    async def current(self, offered: tuple[str, ...]) -> Card | None:
        """The card for the labels on sale now; None when nothing is: a card without skills is none."""
        now = self._unix_ms()
        if not offered:
            return None
        if self._last is not None and self._last[1] == offered and now - self._last[0] < MAX_AGE_S * 1000:
            return self._last[2]
        rows = [row for row in await self._skills() if row.label in offered]
        if not rows:
            return None
        card = self._served(rows, tuple(await self._certificates())[:MAX_CERTIFICATES], now)
        if self._last is not None and self._last[2].etag == card.etag:
            card = self._last[2]  # It says what it said: unmodified since then.
        self._last = (now, offered, card)
        return card

    def catalog(self, card: Card) -> bytes:
        """The host's list of agents: this one (ai-catalog)."""
        did = did_key(self._identity.public_key)
        return msgspec.json.encode(
            {
                "specVersion": "1.0",
                "host": {"displayName": card.message.name, "identifier": did},
                "entries": [
                    {
                        "identifier": did,
                        "type": "application/a2a-agent-card+json",
                        "description": card.message.description,
                        "version": card.message.version,
                        "url": f"{self._base_url}/.well-known/agent-card.json",
                    }
                ],
            }
        )

    def _served(self, rows: Sequence[SkillRow], certificates: Sequence[str], now: int) -> Card:
        message = self._message(rows, certificates, extended=False)
        shown = agent_card_to_dict(message) if self._config.legacy_0_3 else MessageToDict(message)
        body = msgspec.json.encode(shown)
        return Card(
            message=message,
            extended=self._message(rows, certificates, extended=True),
            body=body,
            etag=f'"{hashlib.sha256(body).hexdigest()}"',
            modified=formatdate(now / 1000, usegmt=True),
        )

    def _message(self, rows: Sequence[SkillRow], certificates: Sequence[str], *, extended: bool) -> pb.AgentCard:
        """The signed card; the extended one tells prices and checks too."""
        node = short_id(self._identity.public_key)
        card = pb.AgentCard(
            name=self._config.name or f"coalesced node {node}",
            description=f"Does {', '.join(row.label for row in rows)}: here, or by hiring whoever does it better.",
            version=self._version,
            supported_interfaces=self._interfaces(),
            capabilities=pb.AgentCapabilities(
                streaming=self._config.streaming,
                push_notifications=self._config.push_notifications,
                extended_agent_card=self._config.extended_card,
                extensions=self._extensions(rows, certificates, extended=extended),
            ),
            default_input_modes=_distinct(kind for row in rows for kind in row.input_media_types) or ["text/plain"],
            default_output_modes=_distinct(row.output_media_type for row in rows) or ["text/plain"],
            skills=[_skill(row) for row in rows],
        )
        self._require_credentials(card)
        head, signature = sign_parts(self._identity, canonical(MessageToDict(card)), typ=CARD_TYP)
        card.signatures.append(pb.AgentCardSignature(protected=head, signature=signature))
        return card

    def _interfaces(self) -> list[pb.AgentInterface]:
        rows = [("JSONRPC", RPC_PATH, PROTOCOL_VERSION_1_0), ("HTTP+JSON", REST_PATH, PROTOCOL_VERSION_1_0)]
        if self._config.legacy_0_3:
            rows.append(("JSONRPC", RPC_PATH, PROTOCOL_VERSION_0_3))
        return [
            pb.AgentInterface(url=self._base_url + path, protocol_binding=binding, protocol_version=version)
            for binding, path, version in rows
        ]

    def _extensions(
        self, rows: Sequence[SkillRow], certificates: Sequence[str], *, extended: bool
    ) -> list[pb.AgentExtension]:
        prices = {row.label: row.price_hint_micro or 0 for row in rows} if extended else {}
        checks = {row.label: (*row.levels, *row.checks) for row in rows}
        told: dict[str, Any] = parameters(did_key(self._identity.public_key), prices, checks, certificates)
        text = f'Prices: ask for a quote with metadata {{"want": "quote"}}; a message names its skill as "{SKILL}".'
        offered = [
            pb.AgentExtension(
                uri=ECONOMICS,
                description=text,
                params=struct({key: value for key, value in told.items() if value}),
            )
        ]
        return offered + [
            pb.AgentExtension(uri=uri, description="Required of every caller.", required=True)
            for uri in sorted(self._required)
        ]

    def _require_credentials(self, card: pb.AgentCard) -> None:
        schemes = {
            "signature": "HTTP message signatures (RFC 9421), ed25519; keyid is the signer's did:key.",
            "bearer": "A token that this agent's owner gave out.",
        }
        for scheme, text in schemes.items():
            made = pb.HTTPAuthSecurityScheme(scheme=scheme, description=text)
            card.security_schemes[scheme].http_auth_security_scheme.CopyFrom(made)
            if not self._config.anonymous:
                requirement = pb.SecurityRequirement()
                requirement.schemes[scheme].list.append(ROLE)
                card.security_requirements.append(requirement)


def _skill(row: SkillRow) -> pb.AgentSkill:
    return pb.AgentSkill(
        id=row.label,
        name=row.caption or row.label,
        description=row.description or row.caption or row.label,
        tags=_distinct(row.label.replace("/", "-").split("-")) or [row.label],
        examples=[row.example[:MAX_EXAMPLE_CHARS]] if row.example else [],
        input_modes=list(row.input_media_types),
        output_modes=[row.output_media_type] if row.output_media_type else [],
    )


def _distinct(texts: Any) -> list[str]:
    return list(dict.fromkeys(text for text in texts if text))
