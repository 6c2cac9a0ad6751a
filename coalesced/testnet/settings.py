"""The configuration of a testnet's nodes, by role."""

from coalesced.testnet.manifest import NodePlan


def config_toml(node: NodePlan) -> str:
    """The TOML of one node."""
    return ""
