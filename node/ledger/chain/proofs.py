"""Light proofs: one file that shows, to anybody who has the genesis, that a transaction or an entry was agreed on.

A proof is a block's header, COMMITs of a quorum for it, and a Merkle path: from a transaction to the header's
transaction root, or from an entry of the state (an account with its sums, a deal) to its state root. Where the
committee has changed since the genesis, every change comes as a certified header too, so the first committee vouches
for the second and so on. Checking takes the genesis file and no node.

What a proof cannot show: that the block is recent, or that an entry has not changed since. And who holds the keys of a
quorum of some committee of the past can make up a chain that branches off there: get the genesis and, if in doubt, a
recent header from somebody you trust.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Final, assert_never

import msgspec
from msgspec import Meta

from crypto.merkle import MAX_PROOF_HASHES, inclusion_proof, leaf_hash, verify_inclusion
from node.ledger.chain.genesis import chain_id, decode_genesis
from node.ledger.chain.state import AccountId, Entry, State, account_key, decode_entry
from node.ledger.chain.trie import MAX_KEY_BYTES, Step, encode_value, proved_root
from node.ledger.pbft.certified import follow_committees, open_header, uncertified
from node.ledger.pbft.quorum import Committee
from protocol.consensus import MAX_BLOCK_TXS, Certificate, CommitteeLink, Header, Terms, Tx, decode_header, tx_root
from protocol.errors import LocalProtocolError, RemoteProtocolError
from protocol.fields import Hash32
from protocol.packing import pack, unpack
from protocol.transactions import Opened, open_transaction

MAX_PROOF_BYTES: Final = 2**20
"""A proof without changes of the committee takes about 2 KB; each change adds as much as q signatures."""
MAX_LINKS: Final = 1024


class _Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Base of what a proof file is made of."""


class TransactionPath(_Part, frozen=True, kw_only=True, tag="transaction"):
    """A transaction and its place in its block."""

    tx: Tx
    index: Annotated[int, Meta(ge=0, lt=MAX_BLOCK_TXS)]
    size: Annotated[int, Meta(ge=1, le=MAX_BLOCK_TXS)]
    path: Annotated[tuple[Hash32, ...], Meta(max_length=MAX_PROOF_HASHES)]


class EntryPath(_Part, frozen=True, kw_only=True, tag="entry"):
    """An entry of the state after the block."""

    key: Annotated[bytes, Meta(min_length=1, max_length=MAX_KEY_BYTES)]
    value: Annotated[bytes, Meta(max_length=16_384)]
    steps: Annotated[tuple[Step, ...], Meta(max_length=8 * MAX_KEY_BYTES)]


class LightProof(_Part, frozen=True, kw_only=True):
    """What stands in a proof file."""

    chain: Hash32
    links: Annotated[tuple[CommitteeLink, ...], Meta(max_length=MAX_LINKS)] = ()
    header: Terms
    certificate: Certificate
    about: TransactionPath | EntryPath


@dataclass(frozen=True, slots=True)
class ProvedTransaction:
    """This transaction is in the block."""

    opened: Opened


@dataclass(frozen=True, slots=True)
class ProvedEntry:
    """This stands at this key after the block."""

    key: bytes
    entry: Entry


@dataclass(frozen=True, slots=True)
class Proved:
    """What a valid proof shows, and on whose word."""

    header: Header
    view: int
    signers: tuple[bytes, ...]
    committee: tuple[bytes, ...]
    changes: int
    """How often the committee had changed since the genesis."""
    what: ProvedTransaction | ProvedEntry


@dataclass(frozen=True, slots=True)
class Anchor:
    """A committed block's header and COMMITs, and how the committee came to be its committee."""

    header: bytes
    certificate: Certificate
    links: tuple[CommitteeLink, ...] = ()


def prove_transaction(anchor: Anchor, txs: Sequence[bytes], index: int) -> bytes:
    """The proof that transaction `index` of the block is in it."""
    header = decode_header(anchor.header)
    if tx_root(tuple(txs)) != header.tx_root:
        raise LocalProtocolError(f"these are not the transactions of block {header.height}")
    path = tuple(inclusion_proof(txs, index))
    return _packed(anchor, header, TransactionPath(tx=txs[index], index=index, size=len(txs), path=path))


def prove_account(anchor: Anchor, state: State, key: bytes) -> bytes | None:
    """The proof of the account whose key this is or was, as it stands after the block; None when it has none."""
    owner = state.account_of(key)
    return None if owner is None else prove_entry(anchor, state, account_key(owner))


def prove_entry(anchor: Anchor, state: State, key: bytes) -> bytes | None:
    """The proof of the entry at `key` after the block; None when there is none."""
    header = decode_header(anchor.header)
    if state.trie.root() != header.state_root:
        raise LocalProtocolError(f"this is not the state after block {header.height}")
    entry, steps = state.trie.get(key), state.trie.prove(key)
    if entry is None or steps is None:
        return None
    return _packed(anchor, header, EntryPath(key=key, value=encode_value(entry), steps=steps))


def check_proof(proof: bytes, genesis: bytes) -> Proved:
    """What the proof shows about the chain of this genesis; RemoteProtocolError when it shows nothing."""
    opened = unpack(LightProof, proof, MAX_PROOF_BYTES)
    chain, first = chain_id(genesis), decode_genesis(genesis).members
    if opened.chain != chain:
        raise RemoteProtocolError(
            "bad_proof", f"it is about chain {opened.chain.hex()}, and this genesis is of {chain.hex()}"
        )
    header, certificate = open_header(chain, opened.header, opened.certificate)
    if opened.links and decode_header(opened.links[-1].header).height >= header.height:
        raise RemoteProtocolError("bad_proof", "its last change of the committee is not before its block")
    committee = follow_committees(chain, 0, Committee(first), opened.links)
    if why := uncertified(certificate, committee):
        raise RemoteProtocolError("bad_proof", why)
    return Proved(
        header=header,
        view=certificate.ballot.view,
        signers=tuple(key for key in certificate.signers if key in committee),
        committee=committee.members,
        changes=len(opened.links),
        what=_check_path(header, opened.about),
    )


def account_of(proved: ProvedEntry) -> AccountId | None:
    """Whose account a proved entry is; None when it is something else."""
    owner = AccountId(proved.key[1:])
    return owner if proved.key == account_key(owner) and len(proved.key) == 33 else None


def _check_path(header: Header, about: TransactionPath | EntryPath) -> ProvedTransaction | ProvedEntry:
    match about:
        case TransactionPath():
            if not verify_inclusion(leaf_hash(about.tx), about.index, about.size, about.path, header.tx_root):
                raise RemoteProtocolError("bad_proof", f"its transaction is not in block {header.height}")
            return ProvedTransaction(open_transaction(about.tx))
        case EntryPath():
            if proved_root(about.key, about.value, about.steps) != header.state_root:
                raise RemoteProtocolError("bad_proof", f"its entry is not in the state after block {header.height}")
            return ProvedEntry(about.key, decode_entry(about.key, about.value))
        case _:
            assert_never(about)


def _packed(anchor: Anchor, header: Header, about: TransactionPath | EntryPath) -> bytes:
    return pack(
        LightProof(
            chain=header.chain,
            links=anchor.links,
            header=anchor.header,
            certificate=anchor.certificate,
            about=about,
        )
    )
