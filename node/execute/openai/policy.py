"""Which endpoints and credentials may be sold from: none that a person subscribes to for their own use.

Their terms forbid resale, and a node that sold them would be closed down with its owner's account. What is billed by
use, and what runs on one's own machine, is the owner's to sell.
"""

import ipaddress
from typing import Final
from urllib.parse import urlsplit

from node.errors import RefusedError, UsageError

SUBSCRIPTION_HOSTS: Final = {
    "chatgpt.com": "a ChatGPT subscription",
    "chat.openai.com": "a ChatGPT subscription",
    "claude.ai": "a Claude subscription",
    "gemini.google.com": "a Gemini subscription",
    "grok.com": "a Grok subscription",
    "chat.mistral.ai": "a Le Chat subscription",
    "perplexity.ai": "a Perplexity subscription",
    "githubcopilot.com": "a GitHub Copilot subscription",
    "copilot-proxy.githubusercontent.com": "a GitHub Copilot subscription",
    "cursor.sh": "a Cursor subscription",
    "cursor.com": "a Cursor subscription",
    "windsurf.com": "a Windsurf subscription",
    "codeium.com": "a Windsurf subscription",
    "poe.com": "a Poe subscription",
}
"""Hosts that serve subscribers, with those below them."""
SUBSCRIPTION_KEYS: Final = {
    "sk-ant-oat": "a Claude subscription's sign-in",
    "sk-ant-sid": "a Claude subscription's session",
    "gho_": "a GitHub sign-in",
    "ghu_": "a GitHub Copilot sign-in",
    "tid=": "a GitHub Copilot session",
}
"""What the credentials of subscriptions begin with; API keys that are billed by use begin otherwise."""
SESSION_TOKEN_HOSTS: Final = ("openai.com", "anthropic.com")
"""Here a JSON web token is somebody's session, since API keys have another form."""


class ResaleError(RefusedError):
    """What was to be sold is somebody's personal subscription."""


def check_endpoint(url: str) -> None:
    """UsageError for what is no endpoint's address, ResaleError for a subscription's."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError as error:
        raise UsageError(f"{url[:200]!r} is not an address: {error}") from error
    if parts.scheme not in ("http", "https") or not host:
        form = "write http://HOST:PORT or https://HOST, and its path"
        raise UsageError(f"{url[:200]!r} is not an endpoint's address: {form}")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise UsageError("an endpoint's address holds no key and no query: name the key with --key-env or --key-file")
    for name, whose in SUBSCRIPTION_HOSTS.items():
        if host == name or host.endswith(f".{name}"):
            raise ResaleError(
                f"{host} serves {whose}, whose terms forbid resale: sell an API that is billed by use, or a model of "
                "your own"
            )
    if parts.scheme == "http" and not is_near(url):
        raise UsageError(f"{host} is not on your own network: write https://, or your key and your buyers' texts leak")


def check_key(url: str, key: str) -> None:
    """ResaleError when the key is a subscription's. The key itself is never told."""
    host = urlsplit(url).hostname or ""
    whose = next((whose for start, whose in SUBSCRIPTION_KEYS.items() if key.startswith(start)), "")
    if not whose and key.startswith("eyJ") and host.endswith(SESSION_TOKEN_HOSTS):
        whose = "somebody's session"
    if whose:
        raise ResaleError(f"the key for {host} is {whose}, whose terms forbid resale: use an API key billed by use")


def is_near(url: str) -> bool:
    """Whether the endpoint is on this machine or its private network."""
    host = urlsplit(url).hostname or ""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return "." not in host or host.endswith((".local", ".internal", ".lan", ".localhost"))
    return address.is_loopback or address.is_private


def host_away(url: str) -> str:
    """The host of an address, unless it is this machine's own; empty then."""
    host = urlsplit(url).hostname or ""
    try:
        is_here = ipaddress.ip_address(host).is_loopback
    except ValueError:
        is_here = host == "localhost" or host.endswith(".localhost")
    return "" if is_here else host
