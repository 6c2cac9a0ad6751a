"""The configuration of a testnet's nodes, by role."""

from coalesced.testnet.manifest import NodePlan

_TOML = """\
# Written by `coalesced testnet` at every start of this node.
[machine]
# What an hour of this machine costs its owner. The roles differ in nothing else, so the decisions differ honestly:
# a dear machine buys heavy work, and does light work itself where an order would cost more than it saves.
hourly_rate_usd = {rate_usd:.6f}
rate_includes_energy = true

{policy}[execute]
# Many nodes share one machine: more workers a node would only slow each other.
max_workers = 1
{caps}{settlement}"""


_POLICY = """\
[decision]
policy = "{policy}"

"""
_SETTLEMENT = """\

[settlement]
# Who has a chain pays on it. On one machine nobody is far away: what does not come soon does not come.
adapter = "credits"
margin_s = 20.0
dispute_after_s = 2.0
refund_rejected = {refund_rejected}
"""
_CAPS = """\

[caps]
day_micro = {micro}
peer_micro = {micro}
"""


def config_toml(node: NodePlan, *, pays_in_credits: bool = False) -> str:
    """The TOML of one node. A dishonest seller also insists on its pay."""
    settlement = _SETTLEMENT.format(refund_rejected=str(node.conduct == "honest").lower())
    return _TOML.format(
        rate_usd=node.rate_micro_per_hour / 1e6,
        policy=_POLICY.format(policy=node.policy) if node.policy else "",
        caps=_CAPS.format(micro=node.caps_micro) if node.caps_micro is not None else "",
        settlement=settlement if pays_in_credits else "",
    )
