"""Settings of the A2A gateway: whom it serves, with what, at whose cost; and the agents that this node may buy from."""

from typing import Annotated
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta

from protocol.fields import Label, Micro, Name, Ppm

Url = Annotated[str, Meta(max_length=2048)]
Count = Annotated[int, Meta(ge=1, le=1_000_000)]


class A2aSeller(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One A2A agent that this node may buy from. What it says of itself is believed in nothing but its card's form."""

    card: Url
    """Where its card is; an address without a path means /.well-known/agent-card.json there."""
    skill: Label
    """Our label for what it does."""
    agent_skill: Annotated[str, Meta(max_length=256)] = ""
    """The id of that skill in its card; empty takes `skill`."""
    price_micro: Micro | None = None
    """What one task costs, in micro-dollars: by what it bills its callers otherwise. None takes the signed quote of an
    agent that knows our economics extension, and leaves out one that does not."""
    duration_s: Annotated[float, Meta(gt=0, le=86_400)] = 30.0
    """What a task is expected to take, until this node has its own history with the agent."""
    success_ppm: Ppm = 900_000
    """How often it is expected to do well, until then."""
    regions: Annotated[tuple[Name, ...], Meta(max_length=16)] = ()
    """Where it is, as far as you know. Without any, it gets no task that names regions."""
    key: Annotated[str, Meta(max_length=64)] = ""
    """The did:key that must have signed its card; empty takes any key, or no signature, on its address alone."""
    token_file: Annotated[str, Meta(max_length=4096)] = ""
    """Its first line is sent as a bearer token. Without it requests are signed with this node's key (RFC 9421)."""


class A2aAnnounced(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An agent that this node tells others of, in the DHT, for as long as its card is in order."""

    card: Annotated[str, Meta(max_length=256)]
    """Where its card is; this node's own where it serves A2A at `public_url`."""
    skill: Label
    """The label that buyers look for."""
    agent_skill: Annotated[str, Meta(max_length=96)] = ""
    """The id of that skill in its card; empty takes `skill`."""


class A2aConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Agents of the A2A protocol, as callers and as sellers. Needs `pip install 'coalesced[a2a]'`."""

    enabled: bool = False
    """Serve A2A on the node's public port. Off unless asked for: it lets others than coalesced nodes in."""
    public_url: Url = ""
    """Where callers reach this node from outside, such as https://agent.example behind a proxy; empty makes it from the
    advertised address. Traffic over plain http can be read on its way: put a proxy with TLS before anything public."""
    name: Annotated[str, Meta(max_length=128)] = ""
    """The agent's name on its card; empty names the node."""
    anonymous: bool = False
    """Serve callers without credentials too. They are told apart by their address, so those behind one router see each
    other's tasks."""
    tokens_file: Annotated[str, Meta(max_length=4096)] = ""
    """Bearer tokens, a line a caller: its name, a space, the token. Mode 600. Requests that are signed with an Ed25519
    key (RFC 9421) need none: the key's node is the caller."""
    free_skills: Annotated[tuple[Label, ...], Meta(max_length=256)] = ()
    """Skills on sale that are done for A2A callers without pay. The others need a contract of the economics extension;
    a task for them without one is rejected with that reason."""
    free_budget_micro: Micro = 0
    """The most that a task done for nothing may cost this node where it hires somebody for it; 0 hires nobody."""
    free_tasks_per_day: Count = 100
    """Tasks that one caller may have done for nothing in 24 hours."""
    max_open_tasks_per_caller: Count = 50
    """Open tasks of one caller, those that wait for its answer included."""
    max_open_tasks: Count = 2_000
    """Open tasks of all callers: each is a row of a few kilobytes, and a coroutine while it is worked on."""
    requests_per_minute: Annotated[int, Meta(ge=1, le=10**6)] = 600
    """Requests of one caller, in a minute, before they are answered with 429."""
    max_request_bytes: Annotated[int, Meta(ge=2**12, le=2**28)] = 4 * 2**20
    """Largest request; a file in it travels as base64."""
    deadline_s: Annotated[float, Meta(gt=0, le=30 * 86_400)] = 600.0
    """What a task may take here: callers of A2A cannot say so themselves."""
    streaming: bool = True
    """Offer SendStreamingMessage and SubscribeToTask."""
    push_notifications: bool = True
    """Tell callers' addresses of changes."""
    push_to_private_addresses: bool = False
    """Let callers name addresses of this machine and its networks too. Never on a machine that others can reach: a
    caller could have this node send requests to what only it can reach."""
    extended_card: bool = True
    """Show callers with credentials a card with prices."""
    legacy_0_3: bool = False
    """Speak version 0.3 too, with clients from before 1.0. Its card fields are refused by strict readers of 1.0."""
    heartbeat_s: Annotated[float, Meta(gt=0, le=3600)] = 15.0
    """How often a quiet stream sends a comment, so that each side notices when the other is gone."""
    quote_lifetime_s: Annotated[float, Meta(ge=1, le=86_400)] = 120.0
    """How long a price that was quoted binds this node."""
    sellers: Annotated[tuple[A2aSeller, ...], Meta(max_length=64)] = ()
    """A2A agents to buy from, as tables [[a2a.sellers]]; served or not, whatever `enabled` says."""

    find: bool = False
    """Buy from agents too whose cards others publish in the DHT. One whose card is signed by the key that published it
    is known by that key; any other stays a stranger, known by its address, who has proved nothing."""
    found_price_micro: Annotated[dict[Label, Micro], Meta(max_length=256)] = msgspec.field(default_factory=dict)
    """What a task costs, by skill, at agents that are found and name no prices of their own. Without it they are left
    out: they bill you by terms of their own."""
    find_at_private_addresses: bool = False
    """Read cards at addresses of this machine and its networks too, and over plain http. Never where strangers can
    publish: whoever does could have this node send requests to what only it can reach."""
    announced: Annotated[tuple[A2aAnnounced, ...], Meta(max_length=64)] = ()
    """Agents whose cards this node publishes in the DHT, as tables [[a2a.announced]]: one a skill."""

    def __post_init__(self) -> None:
        labels = [one.skill for one in self.announced]
        if twice := next((label for label in labels if labels.count(label) > 1), ""):
            raise ValueError(f"announced: {twice!r} stands there twice; a node announces one agent a skill")
        named = (
            (("sellers", seller.card) for seller in self.sellers),
            (("announced", one.card) for one in self.announced),
        )
        for key, text in (("public_url", self.public_url), *named[0], *named[1]):
            if text or key != "public_url":
                parts = urlsplit(text)
                if parts.scheme not in ("http", "https") or not parts.hostname:
                    raise ValueError(f"{key}: {text!r} is no address: write http://HOST[:PORT] or https://HOST[:PORT]")
