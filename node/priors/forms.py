"""What the skill `market-prior` takes and gives, as JSON: a document about a skill, or leaves of one that was given."""

from collections.abc import Sequence
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from node.priors.document import Made, Prior
from node.proofs.certificate import MAX_LEAVES, Disclosed, disclose
from node.proofs.errors import ProofError
from protocol.fields import Hash32, Label

MAX_OPENED: Final = 32
"""Leaves of one request: a request for all of them would be a request for the maker's whole business."""
MAX_REQUEST_BYTES: Final = 4096
MAX_REPLY_BYTES: Final = 2**20


class Wanted(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A request. With `root`, for leaves of the document of that root; otherwise for the document of today."""

    skill: Label
    root: Annotated[str, Meta(pattern=r"\A([0-9a-f]{64})?\Z")] = ""
    leaves: Annotated[tuple[Annotated[int, Meta(ge=0, lt=MAX_LEAVES)], ...], Meta(max_length=MAX_OPENED)] = ()


class OpenedLeaf(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A leaf with its way to the root; bytes are base64."""

    index: Annotated[int, Meta(ge=0, lt=MAX_LEAVES)]
    leaf: Annotated[bytes, Meta(max_length=65_536)]
    path: Annotated[tuple[Hash32, ...], Meta(max_length=16)]


class Reply(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """An answer: one of the two."""

    prior: str = ""
    leaves: Annotated[tuple[OpenedLeaf, ...], Meta(max_length=MAX_OPENED)] = ()


def decode_wanted(data: bytes) -> Wanted:
    """A request; ValueError for anything else."""
    if len(data) > MAX_REQUEST_BYTES:
        raise ValueError(f"a request has at most {MAX_REQUEST_BYTES} bytes, not {len(data)}")
    wanted = msgspec.json.decode(data, type=Wanted)
    if bool(wanted.root) != bool(wanted.leaves) or len(set(wanted.leaves)) < len(wanted.leaves):
        raise ValueError("a request for leaves names the root and each leaf once")
    return wanted


def decode_reply(data: bytes) -> Reply:
    """An answer; ProofError for anything else."""
    if len(data) > MAX_REPLY_BYTES:
        raise ProofError("malformed", f"an answer of {len(data)} bytes is over the limit of {MAX_REPLY_BYTES}")
    try:
        return msgspec.json.decode(data, type=Reply)
    except (msgspec.DecodeError, ValueError) as error:
        raise ProofError("malformed", f"the answer cannot be read: {error}") from error


def opened_reply(made: Made, leaves: Sequence[int]) -> Reply:
    """These leaves of a document; IndexError where it has none such."""
    if max(leaves) >= len(made.leaves):
        raise IndexError(f"the document has {len(made.leaves)} leaves")
    shown = (disclose(made.leaves, index) for index in leaves)
    return Reply(leaves=tuple(OpenedLeaf(index=one.index, leaf=one.leaf, path=one.path) for one in shown))


def shown(reply: Reply) -> list[Disclosed]:
    """The leaves of an answer."""
    return [Disclosed(one.leaf, one.index, one.path) for one in reply.leaves]


def openings_of(prior: Prior, leaves: Sequence[int]) -> Wanted:
    """The request for these leaves of a document."""
    return Wanted(skill=prior.skill, root=prior.tree.root, leaves=tuple(sorted(leaves)))
