"""Where a known peer can be reached."""

from dht.service import Discovery
from node.net.endpoint import Endpoint, endpoint
from node.net.peers import Peers
from node.store.peers import KnownPeers


async def endpoint_of(key: bytes, discovery: Discovery, known: KnownPeers, peers: Peers) -> Endpoint | None:
    """The address of a peer, from what is freshest: discovery, memory, an open session; None when nobody knows it."""
    for contact in discovery.contacts():
        if contact.public_key == key:
            return endpoint(contact.host, contact.port)
    for peer in await known.known():
        if peer.public_key == key:
            return endpoint(peer.host, peer.port)
    for session in peers.open_sessions():
        if session.peer_key == key:
            return session.remote
    return None
