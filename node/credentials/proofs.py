"""All that a node has to do with certificates and proofs, wired together."""

from collections.abc import Callable

from crypto.identity import Identity, short_id
from dht.service import Discovery
from node.attestation.config import AttestationConfig
from node.credentials.attested import Attested
from node.credentials.desk import CredentialDesk
from node.credentials.inspector import Inspector
from node.credentials.reach import endpoint_of
from node.credentials.worker import ProofWorker
from node.env import Env
from node.errors import NodeError
from node.net.peers import Peers
from node.net.session import Session
from node.proofs.policy import ProofsConfig, read_attesters
from node.store.credentials import Credentials
from node.store.peers import KnownPeers


class Proofs:
    """`desk` and `attested` answer peers; `inspector` asks them. `close` ends the process for proofs."""

    def __init__(
        self,
        *,
        identity: Identity,
        network: str,
        env: Env,
        store: Credentials,
        known: KnownPeers,
        peers: Peers,
        discovery: Discovery,
        config: ProofsConfig,
        attestation: AttestationConfig,
        sells: Callable[[str], bool],
        is_idle: Callable[[], bool],
    ) -> None:
        self.attestation = attestation
        self._known = known
        self._peers = peers
        self._discovery = discovery
        self._worker = ProofWorker()
        self.desk = CredentialDesk(
            identity=identity, env=env, store=store, config=config, worker=self._worker, sells=sells
        )
        self.attested = Attested(identity=identity, env=env, config=attestation, worker=self._worker, is_idle=is_idle)
        self.inspector = Inspector(
            own_key=identity.public_key,
            network=network,
            env=env,
            store=store,
            attesters=read_attesters(config.attesters),
            open_session=self.session,
            own_revocations=self.desk.revocations,
        )

    async def session(self, key: bytes) -> Session:
        """A session with a peer whose address is known; NodeError otherwise."""
        where = await endpoint_of(key, self._discovery, self._known, self._peers)
        if where is None:
            raise NodeError(f"no address is known for {short_id(key)}")
        return await self._peers.session(key, where)

    def close(self) -> None:
        """End the process for proofs."""
        self._worker.close()
