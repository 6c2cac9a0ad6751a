"""How many members of a testnet's chain may lie, and that nobody lies outside a testnet."""

import inspect
import os
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from coalesced.app import run
from coalesced.cli.chaos import KINDS
from coalesced.cli.start import start
from coalesced.config import Config, Sections, Source
from coalesced.config import load as load_config
from coalesced.testnet.byzantine.guard import permitted_chain
from coalesced.testnet.byzantine.kinds import CONDUCTS
from coalesced.testnet.lying import chosen_lies
from coalesced.testnet.manifest import LIES, Manifest, TestnetError, decode, encode, plan, save
from coalesced.testnet.runner import start_command
from crypto.identity import Identity
from node.community.genesis_file import make_genesis, parse_genesis, render_genesis
from node.community.shell import Shell
from node.errors import UsageError
from node.ledger.chain.genesis import chain_id
from node.store import keyfile

# --- how many


def test_each_kind_comes_in_turn_where_none_is_named() -> None:
    assert chosen_lies("0", 0) == ()
    assert chosen_lies("2", 7) == LIES[:2]
    assert chosen_lies("2:twin", 7) == ("twin", "twin")
    assert chosen_lies("9", 9, allow_unsafe=True) == (*LIES, *LIES[:2])


@pytest.mark.parametrize(
    ("text", "validators", "says"),
    [
        ("1", 0, "1 of 0 validators cannot lie"),
        ("1", 3, r"3 validators bear 0 that lie.*Give 4 validators, or --allow-unsafe"),
        ("2", 4, r"4 validators bear 1 that lie.*not 2.*Give 7 validators"),
        ("x", 4, "'x' is neither COUNT nor COUNT:KIND"),
        ("-1", 4, "neither COUNT"),
        ("1:fox", 4, "kind out of equivocator, silent"),
    ],
)
def test_more_liars_than_the_others_bear_are_refused_with_the_reason(text: str, validators: int, says: str) -> None:
    with pytest.raises(TestnetError, match=says):
        chosen_lies(text, validators)


def test_more_liars_than_bearable_need_a_word_and_more_than_members_are_never_allowed() -> None:
    assert len(chosen_lies("2", 4, allow_unsafe=True)) == 2
    with pytest.raises(TestnetError, match="5 of 4 validators cannot lie"):
        chosen_lies("5", 4, allow_unsafe=True)


def test_every_kind_has_a_conduct_and_a_word_on_the_command_line() -> None:
    assert tuple(CONDUCTS) == LIES == KINDS


# --- where


def described(directory: Path) -> Manifest:
    return plan(
        "small",
        directory,
        roles=("seller", "seller", "seller", "seller", "buyer"),
        ports=tuple(range(30_000, 30_005)),
        fronts=tuple(range(30_010, 30_015)),
        nonce="0badcafe",
        validators=4,
        lies=("liar",),
    )


def founded(directory: Path, *strangers: bytes) -> Manifest:
    """A testnet that could start, with its keys and genesis; `strangers` are members too."""
    manifest = described(directory)
    save(manifest)
    keys = [keyfile.create(manifest.home(node) / "identity.key", os.urandom).public_key for node in manifest.nodes]
    genesis = make_genesis(
        name="small", network=manifest.network, time_unix_ms=10**12, members=[*keys[:4], *strangers], others=keys[4:]
    )
    manifest.genesis.write_text(render_genesis(genesis))
    return manifest


def told(manifest: Manifest, node_at: int = 3, **changes: Any) -> tuple[Path, Config]:
    """What the testnet would start a node with, but for the changes."""
    node = manifest.nodes[node_at]
    flags = {
        "node.listen": (node.listen,),
        "node.advertise": node.endpoint,
        "node.bootstrap": (manifest.nodes[0].endpoint,),
        "node.network": manifest.network,
        "ledger.genesis": str(manifest.genesis),
        **{name.replace("__", "."): value for name, value in changes.items()},
    }
    home = manifest.home(node)
    return home, load_config(Source.here(home, flags))


def test_the_last_of_the_validators_lie_and_behind_fronts() -> None:
    manifest = described(Path("/net"))
    assert [node.lie for node in manifest.nodes] == [None, None, None, "liar", None]
    assert [node.name for node in manifest.honest] == ["n1", "n2", "n3", "n5"]
    assert decode(encode(manifest), where="it") == manifest
    command = start_command(manifest, manifest.nodes[3])
    assert command[1:4] == ["-m", "coalesced.testnet.byzantine", "liar"]
    assert command[command.index("--listen") + 1] == "127.0.0.1:30003"
    assert command[command.index("--advertise") + 1] == "127.0.0.1:30013"
    assert command[command.index("--bootstrap") + 1] == "127.0.0.1:30010"


def test_a_liar_may_lie_on_the_chain_of_its_testnet(tmp_path: Path) -> None:
    manifest = founded(tmp_path / "net")
    genesis = parse_genesis(manifest.genesis.read_bytes(), "it")
    assert permitted_chain("liar", *told(manifest)) == chain_id(genesis)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"node__network": "main"}, "network 'main' is not that of a testnet"),
        ({"node__listen": ("0.0.0.0:30003",)}, "0.0.0.0:30003 is not on loopback"),
        ({"node__listen": None}, "told to listen on loopback"),
        ({"node__advertise": "192.0.2.1:4000"}, "192.0.2.1:4000 is not on loopback"),
        ({"node__bootstrap": ("example.org:4000",)}, "example.org:4000 is not on loopback"),
        ({"ledger__genesis": "/elsewhere/genesis.json"}, "it has to follow the chain of"),
    ],
)
def test_outside_a_testnet_nobody_lies(tmp_path: Path, changes: dict[str, Any], says: str) -> None:
    manifest = founded(tmp_path / "net")
    with pytest.raises(UsageError, match=f"runs in a testnet only.*{says}"):
        permitted_chain("liar", *told(manifest, **changes))


def test_a_home_without_the_marker_of_a_testnet_is_refused(tmp_path: Path) -> None:
    manifest = founded(tmp_path / "net")
    home, config = told(manifest)
    (tmp_path / "net" / "testnet.json").unlink()
    with pytest.raises(UsageError, match="no testnet in"):
        permitted_chain("liar", home, config)


def test_a_marker_that_names_another_node_or_kind_or_place_is_refused(tmp_path: Path) -> None:
    manifest = founded(tmp_path / "net")
    with pytest.raises(UsageError, match="has no liar in"):
        permitted_chain("liar", *told(manifest, 0))
    with pytest.raises(UsageError, match="has no twin in"):
        permitted_chain("twin", *told(manifest))
    save(manifest)
    moved = (tmp_path / "net").rename(tmp_path / "moved")
    with pytest.raises(UsageError, match="cannot be moved"):
        permitted_chain("liar", moved / "n4", told(manifest)[1])


def test_a_chain_with_a_member_from_elsewhere_is_refused(tmp_path: Path) -> None:
    manifest = founded(tmp_path / "net", Identity(bytes(32)).public_key)
    with pytest.raises(UsageError, match="members whose keys are not here"):
        permitted_chain("liar", *told(manifest))


def test_another_networks_chain_in_the_testnets_file_is_refused(tmp_path: Path) -> None:
    manifest = founded(tmp_path / "net")
    save(replace(manifest, network="testnet-other-small"))
    with pytest.raises(UsageError, match="was not made by this testnet"):
        permitted_chain("liar", *told(manifest, node__network="testnet-other-small"))


def test_no_setting_and_no_option_of_a_daemon_makes_it_lie() -> None:
    assert inspect.signature(run).parameters["make_shell"].default is Shell
    words = [word for one in start.params for word in one.opts]
    for section in msgspec.structs.fields(Sections):
        words += [section.name, *(field.name for field in msgspec.structs.fields(section.type))]
    assert "genesis" in words  # the settings of the ledger were looked at
    parts = {part for word in words for part in word.replace("-", "_").split("_")}
    assert not parts & {"byzantine", "lie", "lies", "liar", "hostile", "shell"}
