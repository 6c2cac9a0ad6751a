"""The check that nobody lies outside a testnet: its marker, a chain that it founded, and loopback alone."""

from pathlib import Path
from typing import Final

from coalesced.config import Config
from coalesced.testnet.manifest import Lie, Manifest, TestnetError, load
from node.community.genesis_file import load_genesis
from node.errors import NodeError, UsageError
from node.ledger.chain.genesis import chain_id, decode_genesis
from node.net.endpoint import parse_endpoint
from node.store import keyfile

NETWORK_PREFIX: Final = "testnet-"
KEY_FILE: Final = "identity.key"


def permitted_chain(kind: Lie, home: Path, config: Config) -> bytes:
    """The only chain that a hostile member in `home` may lie on; UsageError says why it may not run at all."""
    try:
        manifest = load(home.parent)
    except TestnetError as error:
        raise _refused(str(error)) from error
    planned = [node.name for node in manifest.nodes if manifest.home(node) == home and node.lie == kind]
    if not planned:
        raise _refused(f"the testnet in {home.parent} has no {kind} in {home}")
    if config.node.network != manifest.network or not manifest.network.startswith(NETWORK_PREFIX):
        raise _refused(f"network {config.node.network!r} is not that of a testnet")
    _check_loopback(config)
    return _founded_chain(manifest, config)


def _check_loopback(config: Config) -> None:
    node = config.node
    named = [*node.listen, *node.bootstrap, *([node.advertise] if node.advertise else [])]
    named += [text.rpartition("@")[2] for text in config.ledger.endpoints]
    if not node.listen:
        raise _refused("it has to be told to listen on loopback")
    for text in named:
        if not parse_endpoint(text).is_loopback:
            raise _refused(f"{text} is not on loopback")


def _founded_chain(manifest: Manifest, config: Config) -> bytes:
    """The chain of the testnet's genesis file, all of whose members' keys were drawn by this testnet."""
    if config.ledger.genesis != str(manifest.genesis):
        raise _refused(f"it has to follow the chain of {manifest.genesis}")
    try:
        packed = load_genesis(manifest.genesis)
        drawn = {keyfile.load(manifest.home(node) / KEY_FILE).public_key for node in manifest.nodes}
    except OSError as error:
        raise _refused(f"{error.filename}: {error.strerror}") from error
    except NodeError as error:
        raise _refused(str(error)) from error
    genesis = decode_genesis(packed)
    if genesis.network != manifest.network or not set(genesis.members) <= drawn:
        raise _refused(f"{manifest.genesis} was not made by this testnet: it has members whose keys are not here")
    return chain_id(packed)


def _refused(why: str) -> UsageError:
    return UsageError(f"a member that lies runs in a testnet only: {why}")
