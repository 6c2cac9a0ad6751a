"""Proof files, checked without a node: what they say for people to read is held to what they prove."""

import base64
import json
from pathlib import Path
from typing import Any, get_args

import pytest
from msgspec.structs import replace as changed

from coalesced.cli.errors import CliError
from coalesced.cli.ledger_files import (
    MAX_LINE_BYTES,
    check_file,
    export_header,
    export_line,
    rating_in,
    read_genesis,
)
from coalesced.cli.trust import OBJECTIONS
from crypto.identity import did_key
from node.ledger.chain.genesis import decode_genesis, encode_genesis
from node.ledger.chain.proofs import Anchor, prove_account, prove_transaction
from protocol.consensus import Block, Committed, block_hash, decode_header
from protocol.packing import pack
from protocol.transactions import Objection
from tests.harness.chains import MEMBERS, PEOPLE, World, certified, header_of
from tests.harness.commandline import Ran

CLIENT, CONTRACTOR = PEOPLE[4:6]


class Proof:
    """A file that proves an account after one rating."""

    def __init__(self, file: Path) -> None:
        world = World()
        promised = world.rating(CLIENT, CONTRACTOR, 1)
        world.block(promised.commit)
        state = world.block(promised.reveal, after_ms=60_000)
        header = header_of(world, [promised.reveal])
        anchor = Anchor(header, certified(header, MEMBERS[:3]))
        packed = prove_account(anchor, state, CONTRACTOR.public_key)
        assert packed is not None
        self.of_rating = base64.b64encode(prove_transaction(anchor, [promised.reveal], 0)).decode()
        self.genesis = world.genesis
        self.content: dict[str, Any] = {
            "schema": "coalesced.ledger-proof/1",
            "chain": world.machine.chain.hex(),
            "height": 2,
            "proof": base64.b64encode(packed).decode(),
            "receipt": [],
        }
        self._file = file

    def checked(self, **changed: Any) -> dict[str, Any]:
        """What a check says of the file, with some of its fields put otherwise."""
        self._file.write_text(json.dumps(self.content | changed))
        return check_file(self._file, self.genesis).view


@pytest.fixture
def proof(tmp_path: Path) -> Proof:
    return Proof(tmp_path / "proof.json")


def test_an_account_is_shown_by_name_and_with_what_its_ratings_come_to(proof: Proof) -> None:
    shown = proof.checked()["content"]
    assert (shown["did"], shown["standing"]) == (did_key(CONTRACTOR.public_key), "active")
    assert (shown["successes"], shown["failures"], shown["level_1"]) == (1.0, 0.0, 0.6667)
    assert 0.2 < shown["level_1_at_least"] < shown["level_1"]


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"chain": "00" * 32}, "it says chain 00"),
        ({"height": 3}, "it says height 3, and its proof says 2"),
        ({"proof": "AAAA"}, "proves nothing"),
        ({"proof": "no base64"}, "not in base64"),
        ({"receipt": ["AAAA"]}, "a receipt, and no rating of one"),
        ({"schema": "coalesced.ledger-proof/2"}, "neither a proof nor an export"),
    ],
)
def test_no_field_of_a_proof_file_can_say_another_thing(proof: Proof, changed: dict[str, Any], why: str) -> None:
    with pytest.raises(CliError, match=why):
        proof.checked(**changed)


def test_the_rating_in_a_proof_is_found_and_what_is_none_is_refused(proof: Proof) -> None:
    assert rating_in(proof.of_rating, "it").acceptance.contractor == CONTRACTOR.public_key
    with pytest.raises(CliError, match="it is no job that was rated"):
        rating_in(proof.content["proof"], "it")


def test_the_objections_that_can_be_typed_are_those_of_the_protocol() -> None:
    assert get_args(Objection) == OBJECTIONS


class Export:
    """Two blocks in a file, and their genesis."""

    def __init__(self, file: Path) -> None:
        world, self.file = World(), file
        self.genesis, previous, lines = world.genesis, world.machine.chain, list[bytes]()
        for number in range(2):
            tx = world.rating(CLIENT, CONTRACTOR, number).commit
            world.block(tx, after_ms=1)
            header = pack(changed(decode_header(header_of(world, [tx])), previous=previous))
            block = Committed(block=Block(header=header, txs=(tx,)), certificate=certified(header, MEMBERS[:3]))
            lines.append(export_line(number + 1, base64.b64encode(pack(block)).decode()))
            previous = block_hash(header)
        self.lines = [export_header(world.genesis.hex()), *lines]

    def problem(self, content: bytes, genesis: bytes | None = None) -> tuple[int, str]:
        """How far a file with this content is good, and what is wrong with what comes after."""
        self.file.write_bytes(content)
        view = check_file(self.file, genesis or self.genesis).view
        assert isinstance(view["height"], int)
        return view["height"], str(view["problem"])


def test_an_export_that_is_cut_off_damaged_or_of_another_chain_is_good_up_to_there(tmp_path: Path) -> None:
    export = Export(tmp_path / "export.jsonl")
    whole = b"".join(export.lines)
    assert export.problem(whole) == (2, "")
    broken = f"block 2: its line in {export.file} is cut off or damaged"
    assert export.problem(whole[:-9]) == (1, broken)
    assert export.problem(b"".join(export.lines[:2]) + b"\xff" * 100) == (1, broken)
    endless = b'{"height":2,"block":"' + b"A" * (2 * MAX_LINE_BYTES)
    assert export.problem(b"".join(export.lines[:2]) + endless) == (1, broken)
    height, why = export.problem(export.lines[0], encode_genesis(changed(decode_genesis(export.genesis), name="other")))
    assert (height, "not the one that it is checked against" in why) == (0, True)


def test_of_a_genesis_file_no_more_is_read_than_one_may_have() -> None:
    with pytest.raises(CliError, match="no genesis file: that has 4194304 bytes at most"):
        read_genesis(Path("/dev/zero"))


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (("ledger", "submit", "/dev/zero"), "/dev/zero is no transaction: that has 16384 bytes at most"),
        (("ledger", "members", "approve", "FILE", "--yes"), "is no motion: it has another schema, or decides nothing"),
    ],
)
def test_a_file_that_is_something_else_is_refused_before_a_node_is_asked(
    tmp_path: Path, command: tuple[str, ...], said: str
) -> None:
    file = tmp_path / "file"
    file.write_text('{"schema": "coalesced.ledger-proof/1"}')
    ran = Ran(tmp_path / "home", *(str(file) if word == "FILE" else word for word in command))
    assert (ran.code, said in ran.err) == (2, True), ran.err
