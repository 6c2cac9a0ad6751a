"""The normal case: transactions in, PRE-PREPARE, PREPARE, COMMIT, one block in flight (Castro & Liskov 1999, 4.2)."""

from node.ledger.machine import InvalidBlock
from node.ledger.pbft import blocks, doubt
from node.ledger.pbft.effects import Broadcast, Commit, Evidence, Halt, Persist, Reject, Send
from node.ledger.pbft.opened import OpenBlock, OpenCertificate, OpenProposal, OpenVote
from node.ledger.pbft.peers import note_ahead, prune_ahead, put_early
from node.ledger.pbft.pool import Pending
from node.ledger.pbft.quorum import Committee
from node.ledger.pbft.records import Accepted, Prepared
from node.ledger.pbft.state import Candidate, Event, Head, Now, Replica, S, Stage
from node.ledger.pbft.votes import Votes
from protocol.consensus import PHASE_LABELS, Ballot, Phase, Proposal, Status, Transaction, Vote
from protocol.errors import LocalProtocolError, RemoteProtocolError
from protocol.packing import pack

# --- transactions


def take_transaction(r: Replica[S], now: Now, sender: bytes, tx: bytes) -> None:
    """Put a transaction into the pool; the primary of this view learns of one's own at once."""
    tx_id = r.machine.tx_id(tx)
    if tx_id in r.pool:
        return
    reason = r.machine.admit(r.state, tx, time_unix_ms=now.unix_ms) or r.pool.refused(tx, sender)
    if reason is not None:
        r.emit(Reject(tx_id, reason))
        return
    r.pool.add(Pending(tx, tx_id, sender, now.s))
    if sender == r.me and not r.is_primary:
        r.emit(Send(r.committee.primary(r.view), Transaction(tx=tx)))


def may_propose(r: Replica[S]) -> bool:
    """Whether it is on me to propose, and there is something to be proposed."""
    return r.stage is Stage.IDLE and r.is_primary and r.bound_to is None and len(r.pool) > 0 and not has_voted(r)


def has_voted(r: Replica[S]) -> bool:
    """Whether my PREPARE in this view is given away."""
    return ("prepare", r.view) in r.voted


def propose(r: Replica[S], now: Now) -> None:
    """PRE-PREPARE the next block."""
    if (candidate := blocks.build(r, now)) is not None:
        vote = sign_vote(r, "prepare", r.view, candidate.block.hash)
        proposal = Proposal(block=candidate.block.block, vote=vote.vote)
        accept(r, candidate, proposal, vote)
        r.emit(Broadcast(proposal))


def take_proposal(r: Replica[S], now: Now, sender: bytes, opened: OpenProposal) -> None:
    """A PRE-PREPARE: executed, and answered with a PREPARE, if it is the first one of this view's primary."""
    ballot, signer = opened.vote.ballot, opened.vote.vote.signer
    if ballot.height != r.height or ballot.view > r.view or (ballot.view == r.view and r.stage is Stage.CHANGING):
        put_early(r, now, sender, signer, opened, ballot.height)
        return
    if signer != r.committee.primary(ballot.view):
        raise RemoteProtocolError("not_primary", f"a proposal by another member than the primary of view {ballot.view}")
    take_vote(r, now, sender, opened.vote)
    if ballot.view < r.view or r.stage is not Stage.IDLE or has_voted(r):
        return
    if r.bound_to is None:
        blocks.check_fresh(r, opened.block, ballot.view, now)
    elif opened.block.hash != r.bound_to:
        raise RemoteProtocolError("bad_proposal", f"view {r.view} is bound to the block that its NEW-VIEW proposed")
    candidate = blocks.execute(r, opened.block)
    vote = sign_vote(r, "prepare", r.view, candidate.block.hash)
    accept(r, candidate, opened.proposal, vote)
    r.emit(Broadcast(vote.vote))


# --- votes


def sign_vote(r: Replica[S], phase: Phase, view: int, block: bytes) -> OpenVote:
    """My vote, remembered: never two different ones of one phase and view. Not sent yet."""
    if r.voted.setdefault((phase, view), block) != block:
        raise LocalProtocolError(f"a second {phase} in view {view} of height {r.height}")
    ballot = Ballot(chain=r.chain, height=r.height, view=view, block=block)
    body = pack(ballot)
    signature = r.identity.sign(PHASE_LABELS[phase], body)
    return OpenVote(Vote(phase=phase, ballot=body, signer=r.me, signature=signature), ballot)


def accept(r: Replica[S], candidate: Candidate[S], proposal: Proposal, vote: OpenVote) -> None:
    """Write down that my PREPARE is for this block; whoever calls sends it."""
    r.emit(Persist(Accepted(height=r.height, proposal=proposal)))
    r.accepted, r.accepted_hash = proposal, candidate.block.hash
    kept = {r.prepared.ballot.block} if r.prepared is not None else set()
    r.candidates = {hash_: other for hash_, other in r.candidates.items() if hash_ in kept}
    r.candidates[candidate.block.hash] = candidate
    r.votes.add(vote)
    r.go(Event.ACCEPTED)


def take_vote(r: Replica[S], now: Now, sender: bytes, opened: OpenVote) -> None:
    """File a PREPARE or COMMIT of this height; what has to follow from it, settle() finds."""
    if opened.ballot.chain != r.chain:
        raise RemoteProtocolError("wrong_chain", "a vote on another chain")
    if opened.ballot.height != r.height:
        put_early(r, now, sender, opened.vote.signer, opened, opened.ballot.height)
    elif opened.vote.signer in r.committee and (equivocation := r.votes.add(opened)):
        r.emit(Evidence(equivocation))


def prepare(r: Replica[S]) -> bool:
    """With q PREPAREs for what I accepted: write them down and COMMIT. Whether that happened."""
    if r.stage is not Stage.PREPARING or r.accepted_hash is None:
        return False
    if (certificate := r.votes.certificate("prepare", r.view, r.accepted_hash, r.committee)) is None:
        return False
    r.prepared = certificate
    r.emit(Persist(Prepared(height=r.height, certificate=certificate.certificate)))
    vote = sign_vote(r, "commit", r.view, r.accepted_hash)
    r.votes.add(vote)
    r.go(Event.PREPARED)
    r.emit(Broadcast(vote.vote))
    return True


def decide(r: Replica[S], now: Now) -> bool:
    """With q COMMITs of one view, whichever: commit. Without the block itself, ask those who have it."""
    for certificate in r.votes.committed(r.committee):
        if (candidate := r.candidates.get(certificate.ballot.block)) is not None:
            commit(r, now, candidate, certificate)
            return True
        for signer in certificate.signers:
            note_ahead(r, now, signer, r.height)
    return False


# --- commit


def commit(r: Replica[S], now: Now, candidate: Candidate[S], certificate: OpenCertificate) -> None:
    """A block is final: on to the next height."""
    state = r.machine.seal(candidate.state)
    r.emit(Commit(candidate.block, certificate, state))
    tx_ids = [r.machine.tx_id(tx) for tx in candidate.block.block.txs]
    r.pool.remove(tx_ids)
    doubt.settle(r, tx_ids)
    r.patience = max(0, r.patience - 1)
    arrive(r, now, head_of(candidate.block, certificate), state)
    r.emit(Broadcast(Status(height=r.head.height, view=r.view), audience="observers"))


def commit_certified(r: Replica[S], now: Now, block: OpenBlock, certificate: OpenCertificate) -> bool:
    """Commit a block that q members have committed; if it does not execute here, this replica is the odd one."""
    try:
        candidate = r.candidates.get(block.hash) or blocks.execute(r, block)
    except InvalidBlock as error:
        halt(r, f"block {r.height} has q COMMITs and cannot be executed here: {error.text}")
        return False
    commit(r, now, candidate, certificate)
    return True


def head_of(block: OpenBlock, certificate: OpenCertificate) -> Head:
    """A committed block as the one to build on."""
    header = block.header
    return Head(header.height, block.hash, header.time_unix_ms, certificate.certificate, certificate.ballot.view)


def arrive(r: Replica[S], now: Now, head: Head, state: S) -> None:
    """Begin the height after `head`. The view stays, or becomes its certificate's if that is later."""
    overtaken = head.view >= r.view
    if head.view > r.view:
        r.pool.wait_afresh(now.s)
    r.head, r.state = head, state
    r.committee = Committee(r.machine.members(state))
    r.view = max(r.view, head.view)
    r.accepted = r.accepted_hash = r.bound_to = r.prepared = r.new_view = None
    r.candidates, r.votes, r.voted = {}, Votes(), {}
    r.timer_s, r.arrived_s, r.replay_due = None, now.s, True
    r.changes = {key: change for key, change in r.changes.items() if key in r.committee}
    prune_ahead(r)
    r.fetch, r.pieces = None, {}
    r.go(Event.OVERTAKEN if overtaken and r.stage is Stage.CHANGING else Event.COMMITTED)
    if r.is_member != (r.stage is not Stage.FOLLOWING):
        r.go(Event.ELECTED if r.is_member else Event.RETIRED)


def halt(r: Replica[S], reason: str) -> None:
    """Stop for good."""
    r.go(Event.DIVERGED)
    r.emit(Halt(reason))
