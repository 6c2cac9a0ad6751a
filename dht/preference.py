"""In which order a node turns to publishers: an order of its own, which nobody else can work out.

Different nodes so prefer different publishers, and one node the same ones again. By the distance to its id, which all
know, whoever tried some keys would stand first for that node; and who sells is asked only as far down as there is time.
"""

import hashlib

from crypto.identity import Identity
from dht.ids import network_tag

LABEL = b"coalesced preference key 1"
"""The signature under it is never sent, and the same after a restart."""
RANK_BYTES = 8


class Preference:
    """The order of one node."""

    def __init__(self, identity: Identity, network: str) -> None:
        self._key = hashlib.sha256(identity.sign(LABEL, network_tag(network))).digest()

    def rank(self, public_key: bytes) -> bytes:
        """Whoever has the least is turned to first."""
        return hashlib.blake2b(public_key, digest_size=RANK_BYTES, key=self._key).digest()
