"""All kinds of hostile members by name."""

from typing import Any, Final

from coalesced.testnet.byzantine.conduct import Conduct
from coalesced.testnet.byzantine.equivocator import Equivocator
from coalesced.testnet.byzantine.liar import Liar
from coalesced.testnet.byzantine.quiet import Silent, Slow, VoteWithholder
from coalesced.testnet.byzantine.replayer import Replayer
from coalesced.testnet.byzantine.twin import Twin
from coalesced.testnet.manifest import Lie

CONDUCTS: Final[dict[Lie, type[Conduct[Any]]]] = {
    "equivocator": Equivocator,
    "silent": Silent,
    "slow": Slow,
    "liar": Liar,
    "replayer": Replayer,
    "twin": Twin,
    "vote-withholder": VoteWithholder,
}
