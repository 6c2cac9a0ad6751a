"""The files of a community chain: genesis, export, proof. Reads and checks them without a node."""

import base64
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final

import msgspec

from coalesced.cli.errors import CliError, unreadable
from crypto.identity import did_key, short_id
from node.community.audit import Audit
from node.community.genesis_file import load_genesis, make_genesis, render_genesis
from node.env import Env
from node.errors import NodeError
from node.ledger.chain.genesis import Parameters, chain_id
from node.ledger.chain.machine import ChainMachine
from node.ledger.chain.proofs import LightProof, Proved, ProvedEntry, ProvedTransaction, TransactionPath, check_proof
from node.ledger.chain.state import STANDINGS, Account
from node.ledger.pbft.quorum import tolerated
from node.ledger.reputation.beta import lower_bound
from node.ledger.reputation.l1 import beta_of
from node.store import keyfile
from protocol.consensus import Committed
from protocol.errors import RemoteProtocolError
from protocol.packing import unpack
from protocol.receipts import Signed, check_rating, open_receipt
from protocol.transactions import Rating, RevealRating, open_transaction

EXPORT: Final = "coalesced.ledger-export/1"
PROOF: Final = "coalesced.ledger-proof/1"
MAX_LINE_BYTES: Final = 8 * 2**20
MAX_SHOWN_DEPTH: Final = 8
KEY_FILE: Final = "identity.key"
TESTNET_CREDITS: Final = 1_000_000
TESTNET_RULES: Final = Parameters(epoch_ms=20_000, reveal_epochs=1000, review_ms=60_000, rule_ms=60_000)
"""A rating shows within a minute instead of within two days, and may be late by hours; silence means something after
a minute.
"""


@dataclass(frozen=True, slots=True)
class Checked:
    """What a check gave."""

    ok: bool
    view: dict[str, object]


def create_genesis(
    name: str,
    network: str,
    members: Sequence[bytes],
    others: Sequence[bytes],
    *,
    each_credits: int,
    output: Path,
    parameters: Parameters | None = None,
) -> dict[str, object]:
    """Write a genesis file that did not exist; what it says of itself."""
    try:
        packed = make_genesis(
            name=name,
            network=network,
            time_unix_ms=Env().unix_ms(),
            members=members,
            each_credits=each_credits,
            others=others,
            parameters=parameters,
        )
    except NodeError as error:
        raise CliError(str(error), code=error.code, exit_code=error.exit_code) from error
    try:
        # A genesis that is in use is not written over: its nodes would refuse the new one.
        with output.open("x", encoding="utf-8") as file:
            file.write(render_genesis(packed))
    except FileExistsError as error:
        raise CliError(f"{output} is there already: choose another name") from error
    except OSError as error:
        raise _unwritable(output, error) from error
    count = len(members)
    return {
        "schema": "coalesced.ledger-genesis/1",
        "chain": chain_id(packed).hex(),
        "name": name,
        "network": network,
        "members": [did_key(key) for key in members],
        "tolerates": tolerated(count),
        "file": str(output),
    }


def found_testnet(name: str, network: str, homes: Sequence[Path], validators: int, output: Path) -> None:
    """Draw every node's key and write the genesis: the first `validators` are members, everybody has credits."""
    try:
        keys = [keyfile.create(home / KEY_FILE, Env().entropy).public_key for home in homes]
    except NodeError as error:
        raise CliError(str(error), code=error.code, exit_code=error.exit_code) from error
    create_genesis(
        name,
        network,
        keys[:validators],
        keys[validators:],
        each_credits=TESTNET_CREDITS,
        output=output,
        parameters=TESTNET_RULES,
    )


def read_genesis(path: Path) -> bytes:
    """The packed genesis of a file; CliError says what is wrong with it."""
    try:
        return load_genesis(path)
    except OSError as error:
        raise unreadable(path, error) from error
    except NodeError as error:
        raise CliError(str(error), code=error.code, exit_code=error.exit_code) from error


@contextmanager
def written(path: Path) -> Iterator[BinaryIO]:
    """A file to write; CliError when it cannot be."""
    try:
        with path.open("wb") as file:
            yield file
    except OSError as error:
        raise _unwritable(path, error) from error


def export_header(genesis_hex: str) -> bytes:
    """The first line of an export."""
    return msgspec.json.encode({"schema": EXPORT, "genesis": genesis_hex}) + b"\n"


def export_line(height: int, block: object) -> bytes:
    """The line of one block, which is in base64."""
    return msgspec.json.encode({"height": height, "block": block}) + b"\n"


def check_file(path: Path, genesis: bytes) -> Checked:
    """Verify a proof or an export against a genesis; CliError when it is neither."""
    try:
        with path.open("rb") as file:
            first = file.readline(MAX_LINE_BYTES)
            start = _object(first, path) if first.strip() not in (b"", b"{") else {}
            if start.get("schema") == EXPORT:
                return _check_export(file, path, genesis, start.get("genesis"))
            rest = file.read(MAX_LINE_BYTES)
    except OSError as error:
        raise unreadable(path, error) from error
    found = start or _object(first + rest, path)
    if found.get("schema") != PROOF:
        raise CliError(f"{path} is neither a proof nor an export of a ledger")
    return _check_proof(found, path, genesis)


def _check_export(lines: BinaryIO, path: Path, genesis: bytes, own: object) -> Checked:
    audit = Audit(ChainMachine(genesis))
    if own != genesis.hex():
        audit.problem = f"the genesis in {path} is not the one that it is checked against"
    while not audit.problem and (line := lines.readline(MAX_LINE_BYTES)):
        try:
            block = unpack(Committed, _base64(_object(line, path).get("block")))
        except CliError:
            audit.problem = f"block {audit.height + 1}: its line in {path} is cut off or damaged"
        except RemoteProtocolError as error:
            audit.problem = f"block {audit.height + 1}: {error.text}"
        else:
            audit.feed([block])
    view: dict[str, object] = {
        "schema": "coalesced.ledger-verify/1",
        "ok": not audit.problem,
        "chain": chain_id(genesis).hex(),
        "first_height": audit.first_height,
        "height": audit.height,
        "transactions": audit.transactions,
        "block": audit.block.hex(),
        "state_root": audit.state_root.hex(),
        "problem": audit.problem,
    }
    return Checked(not audit.problem, view)


def _check_proof(found: Mapping[str, Any], path: Path, genesis: bytes) -> Checked:
    try:
        proved = check_proof(_base64(found.get("proof")), genesis)
        _same(found, "chain", proved.header.chain.hex())
        _same(found, "height", proved.header.height)
        receipt = _receipt(proved, found.get("receipt"))
    except RemoteProtocolError as error:
        raise CliError(f"{path} proves nothing: {error.text}", code="verification_failed", exit_code=7) from error
    view: dict[str, object] = {
        "schema": "coalesced.ledger-check/1",
        "ok": True,
        "chain": chain_id(genesis).hex(),
        "height": proved.header.height,
        "at_unix_ms": proved.header.time_unix_ms,
        "view": proved.view,
        "signers": [short_id(key) for key in proved.signers],
        "members": len(proved.committee),
        "tolerates": tolerated(len(proved.committee)),
        "committee_changes": proved.changes,
        **_content(proved),
        **receipt,
    }
    return Checked(ok=True, view=view)


def rating_in(proof: object, named: str) -> Rating:
    """The rating that a proof of this node's own is about; CliError when it is about something else."""
    about = unpack(LightProof, _base64(proof)).about
    rating = open_transaction(about.tx).rating if isinstance(about, TransactionPath) else None
    if rating is None:
        raise CliError(f"{named} is no job that was rated", exit_code=2)
    return rating


def _same(found: Mapping[str, Any], name: str, proved: object) -> None:
    """What the file says of its proof for people to read must not be another thing than the proof says."""
    if found.get(name, proved) != proved:
        raise RemoteProtocolError("bad_proof", f"it says {name} {str(found[name])[:80]}, and its proof says {proved}")


def _content(proved: Proved) -> dict[str, object]:
    match proved.what:
        case ProvedTransaction(opened=opened):
            kind, content = f"transaction {opened.tx_id.hex()}", opened.terms
            facts = shown(content)
            if opened.rating is not None:
                # The rating itself is packed inside what is committed: what it says is what the reader wants.
                accepted = opened.rating.acceptance
                parties = {"client": did_key(accepted.client), "contractor": did_key(accepted.contractor)}
                said = {name: value for name, value in shown(opened.rating.terms).items() if "acceptance" not in name}
                facts = {**parties, "skill": accepted.skill, "day": accepted.day, **said}
            return {"about": kind, "kind": type(content).__name__, "content": facts}
        case ProvedEntry(entry=Account() as account):
            return {"about": f"state at {proved.what.key.hex()}", "kind": "Account", "content": _told(account)}
        case ProvedEntry(entry=entry):
            fields = {name: _plain(getattr(entry, name)) for name in entry.__struct_fields__}
            return {"about": f"state at {proved.what.key.hex()}", "kind": type(entry).__name__, "content": fields}


def _told(account: Account) -> dict[str, object]:
    """An account as people read it: by its name, with ratings in place of their 2^-32nds, and what they come to."""
    fields: dict[str, object] = {name: _plain(getattr(account, name)) for name in account.__struct_fields__}
    good, bad = beta_of(account.sums, account.day)
    return {
        "did": did_key(account.key),
        **fields,
        "standing": STANDINGS[account.standing],
        "successes": round(good - 1, 4),
        "failures": round(bad - 1, 4),
        "level_1": round(good / (good + bad), 4),
        "level_1_at_least": round(lower_bound(good, bad), 4),
    }


def _receipt(proved: Proved, parts: object) -> dict[str, object]:
    """What the private receipt in the file says, once it is checked to be the one that was rated."""
    if not parts:
        return {}
    rating = proved.what.opened.rating if isinstance(proved.what, ProvedTransaction) else None
    terms = proved.what.opened.terms if isinstance(proved.what, ProvedTransaction) else None
    if rating is None or not isinstance(terms, RevealRating) or not isinstance(parts, list) or len(parts) != 3:
        raise RemoteProtocolError("bad_proof", "it holds a receipt, and no rating of one")
    receipt = open_receipt(*(_base64(part) for part in parts))
    check_rating(Signed(rating.terms, terms.rating, terms.rating_signature), receipt)
    names = ("price_micro", "paid_micro", "verdict", "level")
    return {"receipt": {"id": receipt.digest.hex(), **{name: getattr(receipt.terms, name) for name in names}}}


def shown(value: msgspec.Struct) -> dict[str, object]:
    """The fields of a signed body as plain values, bytes in hexadecimal."""
    return {name: _plain(one) for name, one in msgspec.to_builtins(value, builtin_types=(bytes,)).items()}


def _plain(value: Any, depth: int = MAX_SHOWN_DEPTH) -> object:
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, list | tuple):
        return [_plain(one, depth - 1) for one in value] if depth else "..."
    return value


def _object(text: bytes, path: Path) -> dict[str, Any]:
    try:
        return msgspec.json.decode(text, type=dict[str, Any])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise CliError(f"{path} is neither a proof nor an export of a ledger: {str(error)[:200]}") from error


def _base64(text: object) -> bytes:
    try:
        return base64.b64decode(str(text), validate=True)
    except ValueError as error:
        raise RemoteProtocolError("bad_message", "it is not in base64") from error


def _unwritable(path: Path, error: OSError) -> CliError:
    return CliError(f"{path} cannot be written: {error.strerror}", code="failed", exit_code=1)
