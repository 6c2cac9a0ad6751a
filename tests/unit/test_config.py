"""Precedence, origins, and errors that say where, what, and what is allowed."""

import re
from pathlib import Path

import pytest

from coalesced.config import SECTIONS, Config, ConfigError, Source, load, settings, variable
from coalesced.config_sample import sample, toml_value
from coalesced.config_types import allowed, documentation, fields_of
from coalesced.paths import Paths
from crypto.identity import did_key

STRANGER = did_key(b"s" * 32)


def source(home: Path, toml: str = "", **given: object) -> Source:
    (home / "config.toml").write_text(toml, encoding="utf-8")
    environ = {name: str(value) for name, value in given.items()}
    return Source(Paths(home, home / "config.toml"), {}, environ)


def with_flags(base: Source, **flags: object) -> Source:
    return Source(base.paths, {name.replace("__", "."): value for name, value in flags.items()}, base.environ)


def test_without_anything_every_setting_has_its_default(tmp_path: Path) -> None:
    loaded = load(Source(Paths(tmp_path, tmp_path / "config.toml")))
    assert loaded == Config(source=loaded.source)
    assert loaded.origins == {}


def test_a_flag_comes_before_the_environment_before_the_file(tmp_path: Path) -> None:
    base = source(
        tmp_path,
        '[node]\nnetwork = "file"\nport = 1\n[log]\nlevel = "error"\n',
        COALESCED_NETWORK="env",
        COALESCED_PORT=2,
    )
    loaded = load(with_flags(base, node__network="flag"))
    assert (loaded.node.network, loaded.node.port, loaded.log.level) == ("flag", 2, "error")
    assert loaded.origins == {
        "node.network": "flag",
        "node.port": "COALESCED_PORT",
        "log.level": f"{tmp_path}/config.toml:5",
    }


def test_a_flag_that_was_not_given_sets_nothing(tmp_path: Path) -> None:
    loaded = load(with_flags(source(tmp_path, "[node]\nport = 1\n"), node__port=None))
    assert loaded.node.port == 1


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("COALESCED_BOOTSTRAP", "a.example:1, [::1]:2,", ("a.example:1", "[::1]:2")),
        ("COALESCED_IN_MEMORY", "true", True),
        ("COALESCED_NET_DRAIN_S", "2.5", 2.5),
        ("COALESCED_CONTROL_ADMIN_PORT", "0", 0),
        ("COALESCED_MACHINE_MEMORY_BYTES", "1024", 1024),
    ],
)
def test_the_environment_holds_values_of_every_kind(tmp_path: Path, name: str, text: str, value: object) -> None:
    loaded = load(source(tmp_path, **{name: text}))
    (key,) = loaded.origins
    section, _, field = key.partition(".")
    assert getattr(getattr(loaded, section), field) == value


def test_a_table_in_the_environment_is_toml(tmp_path: Path) -> None:
    table = "{risk = {cheap = {work_share = 0.5, detection = 0.9}}}"
    loaded = load(source(tmp_path, COALESCED_VERIFICATION_MEASURED=table))
    assert loaded.verification.measured["risk"]["cheap"].detection == 0.9


WRONG_FILES = [
    ("[node]\nport = 70000", r"config\.toml:2: node\.port = 70000: write a whole number from 0 to 65535"),
    ('[node]\n\nport = "x"', r"config\.toml:3: node\.port = 'x': write a whole number"),
    ("[node]\nprot = 1", r"config\.toml:2: no setting node\.prot; nearest: port"),
    ("[nod]\nport = 1", r"config\.toml:1: no section is called \[nod\]; nearest: node"),
    ("port = 1", r"config\.toml:1: port stands outside every section: write it below \[node\]"),
    ("quux = 1", r"config\.toml:1: quux stands outside every section; there are: "),
    ('[log]\nlevel = "loud"', r"config\.toml:2: log\.level = 'loud': write one of "),
    ("[node]\nport = 1\nport = 2\n[log]", r"config\.toml: not TOML: .*line 3"),
    ("[node", r"config\.toml: not TOML"),
    (
        '[node]\nbootstrap = ["nowhere"]',
        r"config\.toml:2: node\.bootstrap: 'nowhere' is not an address: write host:port",
    ),
    ('[node]\nbootstrap = ["h:0"]', r"config\.toml:2: node\.bootstrap: h:0 has port 0"),
    ('[node]\nnetwork = "Main!"', r"config\.toml:2: node\.network = 'Main!': write text that matches"),
    ("[net]\ndrain_s = nan", r"config\.toml:2: net\.drain_s = nan: write a number above 0"),
    ("[verification.measured.risk]\ncheap = {work_share = 2}", r"config\.toml:1: verification\.measured = .*detection"),
    (
        "[decision]\nweight_cost = 0.0\nweight_reliability = 0.0\nweight_latency = 0.0\nweight_security = 0.0",
        r"all four TOPSIS weights are 0",
    ),
    (
        '[contractor]\nhas = ["hasResource/gpu/h100"]',
        r"config\.toml:2: contractor\.has: 'hasResource/gpu/h100' is not a resource term of .*nvidia/h100",
    ),
    (
        '[security]\ngrants = [{ needs = [{ proof = "attestation", claim = "skill:risk" }] }]',
        r"config\.toml:2: security\.grants = .*'skill:risk' is nothing that an attestation is about: write compute",
    ),
    (
        '[security]\ngrants = [{ needs = [{ proof = "certificate", by = ["alice"] }] }]',
        r"security\.grants = .*'alice' is no did:key: write did:key:z6Mk",
    ),
    (
        '[security]\ngrants = [{ needs = [{ proof = "certificate", claim = "risk" }] }]',
        r"'risk' is nothing that a believed certificate is about: write skill",
    ),
    (
        f'[security]\ngrants = [{{ needs = [{{ proof = "certificate", by = ["{STRANGER}"] }}] }}]',
        rf"config\.toml:2: security\.grants: a proof is wanted by {STRANGER}, whom this node does not believe",
    ),
]


@pytest.mark.parametrize(("toml", "said"), WRONG_FILES, ids=[repr(toml[:30]) for toml, _ in WRONG_FILES])
def test_a_wrong_file_is_told_by_line_value_and_what_is_allowed(tmp_path: Path, toml: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said) as caught:
        load(source(tmp_path, toml))
    assert str(caught.value).startswith((str(tmp_path), "[decision]"))


@pytest.mark.parametrize("raw", [b"\xff\xfe", b"a = 1\n\x00", b"[" * 5000])
def test_a_file_of_any_bytes_is_a_config_error(tmp_path: Path, raw: bytes) -> None:
    base = source(tmp_path)
    (tmp_path / "config.toml").write_bytes(raw)
    with pytest.raises(ConfigError, match=r"config\.toml"):
        load(base)


def test_a_wrong_variable_is_told_by_name(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"^COALESCED_PORT: node\.port = 'many': write a whole number"):
        load(source(tmp_path, COALESCED_PORT="many"))
    with pytest.raises(ConfigError, match=r"no setting is called COALESCED_NETWROK; nearest: COALESCED_NETWORK"):
        load(source(tmp_path, COALESCED_NETWROK="x"))


def test_a_wrong_flag_is_told_as_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"^the command line: node\.network = 'A B': write text"):
        load(with_flags(source(tmp_path), node__network="A B"))
    with pytest.raises(ConfigError, match=r"^the command line: node\.bootstrap: 'nowhere' is not an address"):
        load(with_flags(source(tmp_path), node__bootstrap=("nowhere",)))


def test_a_file_that_was_named_must_exist(tmp_path: Path) -> None:
    named = Source(Paths(tmp_path, tmp_path / "no.toml"), {}, {"COALESCED_CONFIG": str(tmp_path / "no.toml")})
    with pytest.raises(ConfigError, match="no such file"):
        load(named)


def test_no_two_settings_share_a_variable() -> None:
    names = [variable(section, info.name) for section, info in settings()]
    assert len(names) == len(set(names))


def test_the_sample_as_it_is_changes_nothing(tmp_path: Path) -> None:
    loaded = load(source(tmp_path, sample()))
    assert loaded == Config(source=loaded.source)


def test_the_sample_with_everything_uncommented_states_every_default(tmp_path: Path) -> None:
    toml = re.sub(r"^#(\w+ = )", r"\1", sample(), flags=re.MULTILINE)
    loaded = load(source(tmp_path, toml))
    assert Config(source=loaded.source, origins=loaded.origins) == loaded
    unset = {f"{section}.{info.name}" for section, info in settings() if info.default is None}
    assert set(loaded.origins) | unset == {f"{section}.{info.name}" for section, info in settings()}


def test_every_setting_has_its_line_in_the_sample() -> None:
    text = sample()
    for section, info in settings():
        assert re.search(rf"^# ?{info.name} (= |is not set)", text, re.MULTILINE), f"{section}.{info.name}"


@pytest.mark.parametrize("section", SECTIONS)
def test_every_section_says_what_it_is_for(section: str) -> None:
    assert SECTIONS[section].__doc__


def test_documentation_is_taken_from_the_source() -> None:
    assert "by handshake" in documentation(SECTIONS["node"])["network"]
    by_name = {info.name: info for info in fields_of(SECTIONS["log"])}
    assert allowed(by_name["format"].type).startswith("one of ")


@pytest.mark.parametrize(
    ("value", "text"),
    [(True, "true"), (1.5, "1.5"), ('a"b\n', r'"a\"b\n"'), (("a", "b"), '["a", "b"]'), ({"a b": 1}, '{"a b" = 1}')],
)
def test_values_are_written_as_toml(value: object, text: str) -> None:
    assert toml_value(value) == text
