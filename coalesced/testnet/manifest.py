"""A testnet's description: which nodes, in which roles, where. Written before the first process starts.

Afterwards only one thing changes: a member may begin to lie (lying.py). What runs at this moment is not in here but in
one record a node (processes.py), so a manifest is never stale: `down` can always find everything it names.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, get_args

import msgspec
from msgspec import Meta

from coalesced.paths import expanded

Role = Literal["seller", "buyer", "both"]
ROLES: tuple[Role, ...] = ("seller", "buyer", "both")
Conduct = Literal["honest", "fabricator", "baiter", "corner-cutter"]
"""How a seller does what it is paid for; the dishonest ones are in dishonest.py."""
Lie = Literal["equivocator", "silent", "slow", "liar", "replayer", "twin", "vote-withholder"]
"""How a member of the testnet's chain breaks the rules of agreement; what each does is in byzantine/."""
LIES: tuple[Lie, ...] = get_args(Lie)
MAX_NODES = 64
"""Real processes of some 60 MiB each: more belongs into the simulator."""
MANIFEST_FILE = "testnet.json"
GENESIS_FILE = "genesis.json"
"""Beside the manifest, where the nodes share a community chain."""
HOST = "127.0.0.1"


class TestnetError(Exception):
    """A testnet cannot be described, found, started or stopped; the text says what to do."""

    __test__ = False  # pytest: not a test class


class NodePlan(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One node. The rate is what an hour of this machine's work costs its owner, in micro-dollars."""

    name: Annotated[str, Meta(pattern=r"\A[a-z][a-z0-9-]{0,15}\Z")]
    role: Role
    port: Annotated[int, Meta(ge=1, le=65535)]
    rate_micro_per_hour: Annotated[int, Meta(ge=0, le=10**12)]
    conduct: Conduct = "honest"
    lie: Lie | None = None
    """How this member of the testnet's chain breaks the rules; None where it keeps them."""
    front_port: Annotated[int, Meta(ge=1, le=65535)] | None = None
    """Where the proxy stands in for it; None where peers reach it without one."""
    policy: Annotated[str, Meta(pattern=r"\A[a-z0-9-]{0,64}\Z")] = ""
    """The rule that this node decides by; empty leaves the usual one."""
    caps_micro: Annotated[int, Meta(ge=0, le=10**15)] | None = None
    """What it may spend on one day and have at stake with one peer; None leaves the usual caps."""

    @property
    def listen(self) -> str:
        """Where the node itself listens."""
        return f"{HOST}:{self.port}"

    @property
    def endpoint(self) -> str:
        """Where its peers reach it."""
        return f"{HOST}:{self.front_port or self.port}"


class Manifest(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    tag_field="schema",
    tag="coalesced.testnet-manifest/1",
):
    """A testnet. `network` is drawn anew for each, so that two testnets on one machine never mix."""

    name: Annotated[str, Meta(pattern=r"\A[a-z][a-z0-9-]{0,31}\Z")]
    network: Annotated[str, Meta(pattern=r"\A[a-z0-9-]{1,48}\Z")]
    directory: str
    nodes: Annotated[tuple[NodePlan, ...], Meta(min_length=1, max_length=MAX_NODES)]
    validators: Annotated[int, Meta(ge=0, le=MAX_NODES)] = 0
    """So many of the nodes, from the first on, vote on a chain that the testnet founded; 0 where it founded none."""

    def home(self, node: NodePlan) -> Path:
        """The node's own directory."""
        return Path(self.directory) / node.name

    def node(self, name: str) -> NodePlan:
        """The node called `name`; TestnetError lists the names that exist."""
        for node in self.nodes:
            if node.name == name:
                return node
        names = ", ".join(node.name for node in self.nodes)
        raise TestnetError(f"testnet {self.name!r} has no node {name!r}: it has {names}")

    @property
    def genesis(self) -> Path:
        """The file that names the testnet's chain, if it was founded with one."""
        return Path(self.directory) / GENESIS_FILE

    @property
    def honest(self) -> tuple[NodePlan, ...]:
        """All nodes but those that lie on the chain."""
        return tuple(node for node in self.nodes if node.lie is None)

    @property
    def has_proxy(self) -> bool:
        """Whether the nodes reach each other through the testnet's proxy."""
        return self.nodes[0].front_port is not None

    @property
    def bootstrap(self) -> NodePlan:
        """The node that the others are pointed at: the first."""
        return self.nodes[0]


def default_directory(name: str, *, environ: Mapping[str, str]) -> Path:
    """Where the testnet called `name` lies unless told otherwise; COALESCED_TESTNETS moves all of them."""
    if moved := environ.get("COALESCED_TESTNETS", ""):
        return expanded(moved).absolute() / name
    import platformdirs

    return Path(platformdirs.user_state_dir("coalesced", appauthor=False)) / "testnets" / name


SELLER_RATE = 200_000
"""$0.20 an hour: a machine whose owner wants its idle hours paid."""
BUYER_RATE = 3_500_000
"""$3.50 an hour: a rented accelerator, whose time is better spent on something else than work any machine can do."""
RATES: dict[Role, int] = {"seller": SELLER_RATE, "buyer": BUYER_RATE, "both": 400_000}


def roles_for(count: int) -> tuple[Role, ...]:
    """A market of `count` nodes: first a seller, the last a buyer, in between sellers with every fourth doing both."""
    if not 1 <= count <= MAX_NODES:
        raise TestnetError(f"a testnet has 1 to {MAX_NODES} nodes, not {count}")
    if count == 1:
        return ("both",)
    middle: list[Role] = ["both" if at % 4 == 3 else "seller" for at in range(1, count - 1)]
    return ("seller", *middle, "buyer")


def plan(
    name: str,
    directory: Path,
    *,
    roles: tuple[Role, ...],
    ports: tuple[int, ...],
    nonce: str,
    fronts: tuple[int, ...] | None = None,
    validators: int = 0,
    lies: tuple[Lie, ...] = (),
) -> Manifest:
    """Describe a testnet: nodes named n1, n2, ... with every machine a little dearer than the one before.

    Unequal rates make the quotes differ, so that a decision table shows a choice. `nonce` makes the network name
    its own. With `fronts`, a proxy stands in for each node at these ports. The last of the `validators` lie, so that
    n1, through which the others join, is honest where any is. TestnetError when a name or a number is out of bounds.
    """
    if len(lies) > validators:
        raise TestnetError(f"{len(lies)} members cannot lie where {validators} vote")
    kinds = dict(zip(range(validators - len(lies), validators), lies, strict=True))
    nodes = tuple(
        NodePlan(
            name=f"n{at + 1}",
            role=role,
            port=port,
            rate_micro_per_hour=RATES[role] * (10 + at) // 10,
            lie=kinds.get(at),
            front_port=fronts[at] if fronts is not None else None,
        )
        for at, (role, port) in enumerate(zip(roles, ports, strict=True))
    )
    network = f"testnet-{nonce}-{name}"[:48]
    manifest = Manifest(name=name, network=network, directory=str(directory), nodes=nodes, validators=validators)
    return decode(encode(manifest), where="this testnet")


def encode(manifest: Manifest) -> bytes:
    """The manifest as indented JSON."""
    return msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n"


def decode(data: bytes, *, where: str) -> Manifest:
    """The manifest in `data`, every field checked; TestnetError otherwise."""
    try:
        return msgspec.json.decode(data, type=Manifest)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise TestnetError(f"{where} is not described as it should be: {error}") from error


def save(manifest: Manifest) -> None:
    """Write the manifest into its directory, which is made when it is missing (0700)."""
    directory = Path(manifest.directory)
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    partial = directory / f".{MANIFEST_FILE}.{os.getpid()}"
    partial.write_bytes(encode(manifest))
    partial.replace(directory / MANIFEST_FILE)


def load(directory: Path) -> Manifest:
    """The manifest in `directory`; TestnetError when there is none, or it describes another directory."""
    path = directory / MANIFEST_FILE
    try:
        manifest = decode(path.read_bytes(), where=str(path))
    except FileNotFoundError:
        raise TestnetError(f"no testnet in {directory}: start one with `coalesced testnet up -n 5`") from None
    if Path(manifest.directory) != directory:
        raise TestnetError(f"{path} describes {manifest.directory}: a testnet cannot be moved; take it down there")
    return manifest
