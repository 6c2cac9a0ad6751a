"""The genesis as people read and pass it on: a JSON file that names the chain by its hash.

What counts is the packed genesis that follows from the file, so spaces and the order of keys mean nothing.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec

from crypto.identity import did_key, parse_did_key
from node.errors import UsageError
from node.ledger.chain.genesis import Genesis, Holding, Parameters, chain_id, decode_genesis, encode_genesis
from protocol.errors import ProtocolError

SCHEMA: Final = "coalesced.genesis/1"
MAX_FILE_BYTES: Final = 4 * 2**20


class _Account(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    did: str
    credits: int = 0
    next_key_sha256: str = ""


class _File(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="schema", tag=SCHEMA):
    chain: str
    name: str
    network: str
    time_unix_ms: int
    members: tuple[str, ...]
    accounts: tuple[_Account, ...] = ()
    parameters: Parameters = Parameters()


def make_genesis(
    *,
    name: str,
    network: str,
    time_unix_ms: int,
    members: Sequence[bytes],
    each_credits: int = 0,
    others: Sequence[bytes] = (),
    parameters: Parameters | None = None,
) -> bytes:
    """A packed genesis: `members`, and `others` that have an account from the start; each holds so many credits.

    UsageError when that is no chain.
    """
    genesis = Genesis(
        name=name,
        network=network,
        time_unix_ms=time_unix_ms,
        members=tuple(members),
        accounts=tuple(Holding(key=key, credits=each_credits) for key in sorted({*members, *others})),
        parameters=parameters or Parameters(),
    )
    try:
        return encode_genesis(genesis)
    except ProtocolError as error:
        raise UsageError(f"that is no genesis: {error}") from error


def render_genesis(packed: bytes) -> str:
    """The file's text."""
    genesis = decode_genesis(packed)
    accounts = tuple(
        _Account(did=did_key(one.key), credits=one.credits, next_key_sha256=(one.next_key_sha256 or b"").hex())
        for one in genesis.accounts
    )
    file = _File(
        chain=chain_id(packed).hex(),
        name=genesis.name,
        network=genesis.network,
        time_unix_ms=genesis.time_unix_ms,
        members=tuple(map(did_key, genesis.members)),
        accounts=accounts,
        parameters=genesis.parameters,
    )
    return msgspec.json.format(msgspec.json.encode(file), indent=2).decode() + "\n"


def load_genesis(path: Path) -> bytes:
    """The packed genesis of a file, of which no more is read than one may have; OSError, or UsageError as below."""
    with path.open("rb") as file:
        return parse_genesis(file.read(MAX_FILE_BYTES + 1), str(path))


def parse_genesis(text: bytes, where: str) -> bytes:
    """The packed genesis of a file's text; UsageError says what is wrong with it."""
    if len(text) > MAX_FILE_BYTES:
        raise UsageError(f"{where} is no genesis file: that has {MAX_FILE_BYTES} bytes at most")
    try:
        file = msgspec.json.decode(text, type=_File)
        packed = encode_genesis(
            Genesis(
                name=file.name,
                network=file.network,
                time_unix_ms=file.time_unix_ms,
                members=tuple(map(parse_did_key, file.members)),
                accounts=tuple(
                    Holding(
                        key=parse_did_key(one.did),
                        credits=one.credits,
                        next_key_sha256=bytes.fromhex(one.next_key_sha256) or None,
                    )
                    for one in file.accounts
                ),
                parameters=file.parameters,
            )
        )
    except (msgspec.MsgspecError, ValueError, RecursionError, ProtocolError) as error:
        raise UsageError(f"{where} is no genesis file: {str(error)[:300]}") from error
    if (made := chain_id(packed).hex()) != file.chain:
        raise UsageError(
            f"{where} says that its chain is {file.chain[:80]!r}, and what it holds makes {made}: it was changed by "
            "hand, or by whoever passed it on; ask for it again"
        )
    return packed
