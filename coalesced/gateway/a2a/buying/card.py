"""An agent's card as its buyer reads it: JSON from a stranger, of which only the form is believed. Pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urljoin, urlsplit

from coalesced.gateway.a2a.shared import ECONOMICS
from crypto.jcs import JcsError, canonical
from crypto.jws import JwsError, verify_parts

MAX_SIGNATURES: Final = 8
MAX_SKILLS: Final = 256
MAX_ID_CHARS: Final = 256
MAX_MODES: Final = 32
MEDIA_TYPE: Final = re.compile(r"[a-z0-9.+-]{1,40}/[a-z0-9.+-]{1,80}")
BINDINGS: Final = ("JSONRPC", "HTTP+JSON")
VERSION: Final = "1."
"""Any release of version 1."""


class CardError(ValueError):
    """A card cannot be used; the text says why."""


@dataclass(frozen=True, slots=True)
class ReadCard:
    """What matters of a card."""

    binding: str
    url: str
    signer: bytes | None
    """The node key that signed it, if one did."""
    has_prices: bool
    """It knows our economics extension."""
    streams: bool
    """It tells of a task's events as they happen."""
    takes: tuple[str, ...]
    """Media types of the skill's input, as the card says; the sound ones."""
    gives: tuple[str, ...]
    """Of its results."""


def read_card(card: object, *, where: str, skill_id: str, key: bytes | None) -> ReadCard:
    """The card that was served at `where`; CardError unless it offers `skill_id` over a binding that we speak.

    `key` must have signed it, where given. A card with signatures none of which holds is refused in any case. The
    addresses on it must be of the host that served it: it shall not send this node's requests to anybody else.
    """
    if not isinstance(card, dict):
        raise CardError("it is no JSON object")
    signer = _signer(card, key)
    skill = next((one for one in _skills_of(card) if one["id"] == skill_id), None)
    if skill is None:
        raise CardError(f"it offers no skill {skill_id!r}")
    binding, url = _interface(card, where)
    capabilities = card.get("capabilities")
    return ReadCard(
        binding,
        url,
        signer,
        has_prices=_knows(card, ECONOMICS),
        streams=isinstance(capabilities, dict) and capabilities.get("streaming") is True,
        takes=_media_types(skill.get("inputModes") or card.get("defaultInputModes")),
        gives=_media_types(skill.get("outputModes") or card.get("defaultOutputModes")),
    )


def offered(card: object) -> tuple[str, ...]:
    """The ids of all skills on a card, each bounded; CardError when it is no card."""
    if not isinstance(card, dict):
        raise CardError("it is no JSON object")
    return tuple(one["id"] for one in _skills_of(card))


def _skills_of(card: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Its skills, as far as they are well formed."""
    found = card.get("skills")
    return [
        one
        for one in (found[:MAX_SKILLS] if isinstance(found, list) else [])
        if isinstance(one, dict) and isinstance(one.get("id"), str) and 0 < len(one["id"]) <= MAX_ID_CHARS
    ]


def _media_types(modes: object) -> tuple[str, ...]:
    found = (mode.lower() for mode in modes if isinstance(mode, str)) if isinstance(modes, list) else ()
    # Cards of older agents say "text".
    named = ("text/plain" if mode == "text" else mode for mode in found)
    return tuple(dict.fromkeys(mode for mode in named if MEDIA_TYPE.fullmatch(mode)))[:MAX_MODES]


def _signer(card: Mapping[str, Any], key: bytes | None) -> bytes | None:
    signatures = card.get("signatures")
    if not isinstance(signatures, list) or not signatures:
        if key is not None:
            raise CardError("it is not signed, but a key is configured for it")
        return None
    unsigned = {name: value for name, value in card.items() if name != "signatures"}
    for one in signatures[:MAX_SIGNATURES]:
        for form in (unsigned, _without_empty(unsigned)):
            try:
                payload = canonical(form)
                head, signature = str(one["protected"]), str(one["signature"])
                return verify_parts(head, payload, signature, typ=None, signer=key).signer
            except (JwsError, JcsError, KeyError, TypeError):
                continue
    raise CardError("none of its signatures is that of the configured key" if key else "none of its signatures holds")


def _without_empty(value: Any) -> Any:
    """The form that some signers sign: nothing that is empty."""
    if isinstance(value, dict):
        kept = {name: _without_empty(inner) for name, inner in value.items()}
        return {name: inner for name, inner in kept.items() if inner not in ("", [], {}, None)}
    if isinstance(value, list):
        return [inner for one in value if (inner := _without_empty(one)) not in ("", [], {}, None)]
    return value


def _interface(card: Mapping[str, Any], where: str) -> tuple[str, str]:
    """The first binding that we speak, and its address."""
    found = card.get("supportedInterfaces")
    for one in found if isinstance(found, list) else []:
        if not isinstance(one, dict):
            continue
        binding, version, url = one.get("protocolBinding"), str(one.get("protocolVersion", "")), one.get("url")
        if binding in BINDINGS and version.startswith(VERSION) and isinstance(url, str):
            absolute = urljoin(where, url)
            if urlsplit(absolute).hostname != urlsplit(where).hostname:
                raise CardError(f"its address {absolute[:100]!r} is on another host than the card")
            return binding, absolute.rstrip("/")
    raise CardError(f"it has no interface of A2A 1 over {' or '.join(BINDINGS)}")


def _knows(card: Mapping[str, Any], uri: str) -> bool:
    capabilities = card.get("capabilities")
    extensions = capabilities.get("extensions") if isinstance(capabilities, dict) else None
    return isinstance(extensions, list) and any(isinstance(one, dict) and one.get("uri") == uri for one in extensions)
