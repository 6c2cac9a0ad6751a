"""Where sellers are looked for, and where this node shows itself."""

from coalesced.compose.ground import Ground
from coalesced.config import Config
from crypto.identity import short_id
from dht.preference import Preference
from dht.service import KademliaDiscovery
from node.background import Background
from node.registry.announcer import Announcer
from node.registry.lan import Lan
from node.registry.remote import Registry
from node.registry.sources import Sources


def build_sources(config: Config, ground: Ground, discovery: KademliaDiscovery, in_background: Background) -> Sources:
    """Where sellers are looked for, and where this node shows itself."""
    identity, env = ground.identity, ground.env
    registries = [
        Registry(address, timeout_s=config.registry.timeout_s, unix_ms=env.unix_ms) for address in config.registry.use
    ]
    lan = Lan(
        own=ground.addresses.advertised,
        name=short_id(identity.public_key),
        network=config.node.network,
        join=lambda host, port: discovery.add_bootstrap([(host, port)]),
        has_contacts=lambda: bool(discovery.contacts()),
    )
    return Sources(
        preference=Preference(identity, config.node.network),
        discovery=discovery,
        registries=registries,
        announcer=Announcer(identity, registries, published=discovery.published, unix_ms=env.unix_ms),
        neighbours=lan if config.registry.lan else None,
        found=ground.store.found,
        config=config.registry,
        env=env,
        in_background=in_background,
    )
