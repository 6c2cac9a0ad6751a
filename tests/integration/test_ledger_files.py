"""Proof files, checked without a node: what they say for people to read is held to what they prove."""

import base64
import json
from pathlib import Path
from typing import Any, get_args

import pytest

from coalesced.cli.errors import CliError
from coalesced.cli.ledger_files import check_file, rating_in
from coalesced.cli.trust import OBJECTIONS
from crypto.identity import did_key
from node.ledger.chain.proofs import Anchor, prove_account, prove_transaction
from protocol.transactions import Objection
from tests.harness.chains import MEMBERS, PEOPLE, World, certified, header_of

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
