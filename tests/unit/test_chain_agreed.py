"""The chain's rules under real agreement: cores that exchange messages, one state, proofs with real certificates."""

from collections import deque

from crypto.identity import Identity
from node.ledger.chain.machine import ChainMachine
from node.ledger.chain.proofs import Anchor, ProvedEntry, check_proof, prove_account
from node.ledger.chain.state import Account, State
from node.ledger.machine import Machine
from node.ledger.pbft.config import PbftConfig
from node.ledger.pbft.core import Core
from node.ledger.pbft.effects import Broadcast, Commit, Effect, Reject, Send
from node.ledger.pbft.opened import verify
from node.ledger.pbft.state import Head, Now
from protocol.consensus import AnyConsensus, Certificate, CommitteeLink
from protocol.transactions import Fund, Reconfigure
from tests.harness.chains import EPOCH_MS, MEMBERS, PEOPLE, START_UNIX_MS, World

CLIENT, CONTRACTOR, ARBITER = PEOPLE[4:7]


class Agreement:
    """Cores of members and followers, joined by a queue that loses nothing."""

    def __init__(self, genesis: bytes, people: tuple[Identity, ...]) -> None:
        self.seconds = 0.0
        self.unix_ms = START_UNIX_MS + 1000
        self.committed: list[list[Commit[State]]] = [[] for _ in people]
        self.rejected: list[str] = []
        self._keys = [one.public_key for one in people]
        self._waiting: deque[tuple[int, int, AnyConsensus]] = deque()
        machine: Machine[State] = ChainMachine(genesis)
        chain, start = ChainMachine(genesis).chain, ChainMachine(genesis).start()
        head = Head(0, chain, START_UNIX_MS)
        self.cores = [Core(one, machine, PbftConfig(), chain=chain, head=head, state=start) for one in people]

    def decide(self, *txs: bytes, after_ms: int = 100) -> None:
        """Submit at the first core, and go on until nobody has anything to say."""
        self.seconds += after_ms / 1000
        self.unix_ms += after_ms
        now = Now(self.seconds, self.unix_ms)
        for tx in txs:
            self._perform(0, self.cores[0].submit(now, tx))
        for at, core in enumerate(self.cores):
            self._perform(at, core.tick(now))
        while self._waiting:
            sender, to, message = self._waiting.popleft()
            self._perform(to, self.cores[to].step(now, self._keys[sender], verify(message)))
            self._perform(to, self.cores[to].tick(now))

    def _perform(self, at: int, effects: list[Effect[State]]) -> None:
        for effect in effects:
            match effect:
                case Broadcast(message=message):
                    self._waiting += [(at, to, message) for to in range(len(self.cores)) if to != at]
                case Send(to=key, message=message):
                    self._waiting.append((at, self._keys.index(key), message))
                case Commit():
                    self.committed[at].append(effect)
                case Reject(reason=reason):
                    self.rejected.append(reason)
                case _:
                    pass


def test_members_agree_on_ratings_deals_and_a_new_member_and_prove_it() -> None:
    world = World()
    people = (*MEMBERS, PEOPLE[7])
    together = Agreement(world.genesis, people)
    promised = world.rating(CLIENT, CONTRACTOR, 1)
    together.decide(promised.commit)
    together.decide(promised.reveal, after_ms=EPOCH_MS)
    world.now = together.unix_ms
    together.decide(world.motion(Reconfigure, MEMBERS[:3], add=(PEOPLE[7].public_key,)))
    together.decide(world.rating(CLIENT, CONTRACTOR, 2).commit)

    heights = [[commit.block.header.height for commit in commits] for commits in together.committed]
    assert heights[0][-1] == 4
    assert {tuple(one) for one in heights[:4]} == {tuple(heights[0])}
    roots = {commits[-1].state.trie.root() for commits in together.committed[:4]}
    assert len(roots) == 1

    third, last = together.committed[0][2], together.committed[0][-1]
    link = CommitteeLink(header=third.block.block.header, certificate=certificate(third), members=third.state.members)
    anchor = Anchor(last.block.block.header, certificate(last), (link,))
    proof = prove_account(anchor, last.state, CONTRACTOR.public_key)
    assert proof is not None
    proved = check_proof(proof, world.genesis)
    assert (proved.changes, len(proved.committee)) == (1, 5)
    assert isinstance(proved.what, ProvedEntry)
    assert isinstance(proved.what.entry, Account)
    assert proved.what.entry.ratings == 1


def certificate(commit: Commit[State]) -> Certificate:
    """The COMMITs of a block."""
    return commit.certificate.certificate


def test_of_deals_over_the_same_credits_one_is_agreed_on_and_the_others_are_rejected() -> None:
    world = World()
    together = Agreement(world.genesis, MEMBERS)
    deals = [
        world.tx(
            Fund,
            CLIENT,
            deal=bytes([number]) * 32,
            contractor=CONTRACTOR.public_key,
            arbiter=ARBITER.public_key,
            credits=600,
            submit_within_ms=EPOCH_MS,
        )
        for number in range(3)
    ]
    together.decide(*deals)
    together.decide()
    last = together.committed[0][-1]
    assert [len(commit.block.block.txs) for commit in together.committed[0]] == [1]
    assert last.state.chain.height == 1
    assert all("more than the account's 400" in reason for reason in together.rejected)
    assert together.rejected
