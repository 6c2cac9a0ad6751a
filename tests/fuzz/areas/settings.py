"""What the owner writes: configuration, environment, plan files, testnet descriptions, key and passphrase files."""

import base64
import json
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec

from coalesced.cli.errors import CliError
from coalesced.cli.request import _plan_files, read_plan
from coalesced.config import SECTIONS, ConfigError, Source, load
from coalesced.config_sample import sample
from coalesced.control.errors import ControlError
from coalesced.passphrase import read_passphrase
from coalesced.paths import MAX_SOCKET_PATH_BYTES, PathError, Paths, expanded, find_paths
from coalesced.testnet.manifest import TestnetError, decode, encode, plan
from crypto.aead import Cost, seal
from crypto.pkcs8 import encode_private_key
from node.errors import UsageError
from node.store import keyfile
from node.tasks.plan import parse_plan
from tests.fuzz.target import Parse, Target, plain

ENVIRONMENT = b"\n### environment\n"
"""What follows it in an input are environment variables, one a line."""
PASSPHRASE = "correct horse"
CHEAP_KIB, CHEAP_ITERATIONS = 64, 2
"""Argon2id costs what the file says, up to a limit that no fuzzer could afford."""


@contextmanager
def written(name: str) -> Iterator[Path]:
    """A private directory's file to write inputs to."""
    with TemporaryDirectory(prefix="coalesced-fuzz-") as directory:
        yield Path(directory) / name


@contextmanager
def config() -> Iterator[Parse]:
    """A configuration file and an environment."""
    with written("config.toml") as path:

        def parse(data: bytes) -> None:
            toml, _, variables = data.partition(ENVIRONMENT)
            path.write_bytes(toml)
            pairs = [line.partition("=") for line in variables.decode(errors="surrogateescape").splitlines()]
            loaded = load(Source(Paths(path.parent, path), {}, {name: value for name, _, value in pairs if name}))
            assert set(SECTIONS) <= set(msgspec.to_builtins(loaded, enc_hook=str))

        yield parse


@contextmanager
def key_file() -> Iterator[Parse]:
    """A key file, opened without and with a passphrase."""
    with written("identity.key") as path:

        def parse(data: bytes) -> None:
            if _is_costly(data):
                return
            path.write_bytes(data)
            path.chmod(0o600)
            assert keyfile.is_sealed(path) == (keyfile.SEALED_BEGIN in data)
            keyfile.load(path, PASSPHRASE if keyfile.SEALED_BEGIN in data else None)

        yield parse


def _is_costly(data: bytes) -> bool:
    """Whether opening it would honestly cost more processor time than a fuzzer has."""
    _, _, text = data.partition(keyfile.SEALED_BEGIN)
    try:
        head = base64.b64decode(b"".join(text.partition(keyfile.SEALED_END)[0].split()))
        memory_kib, iterations = struct.unpack_from(">II", head, 4)
    except (ValueError, struct.error):
        return False
    return bool(memory_kib > CHEAP_KIB or iterations > CHEAP_ITERATIONS)


@contextmanager
def passphrase_file() -> Iterator[Parse]:
    """A passphrase file."""
    with written("passphrase") as path:

        def parse(data: bytes) -> None:
            path.write_bytes(data)
            path.chmod(0o600)
            assert read_passphrase(str(path))

        yield parse


@contextmanager
def plan_file() -> Iterator[Parse]:
    """A plan file as the command line reads it: JSON, or TOML after a first byte `#`."""
    with written("plan.json") as path:

        def parse(data: bytes) -> None:
            chosen = path.with_suffix(".toml") if data.startswith(b"#") else path
            chosen.write_bytes(data)
            text, names = read_plan(chosen)
            files = _plan_files(chosen, names, [])
            parse_plan(json.loads(text), (file["name"] for file in files))

        yield parse


def parse_path(data: bytes) -> None:
    """A path as it is typed: the home, the configuration, a file to write into."""
    text = data.decode(errors="surrogateescape")
    paths = find_paths(environ={"COALESCED_HOME": text, "COALESCED_CONFIG": text})
    assert paths.home.is_absolute()
    assert not text or paths.config_file.is_absolute()
    assert len(str(paths.socket).encode(errors="surrogateescape")) <= MAX_SOCKET_PATH_BYTES
    expanded(text)


def parse_manifest(data: bytes) -> None:
    """A testnet's description."""
    assert decode(data, where="this testnet").bootstrap.port


def _configs() -> Iterator[bytes]:
    yield b"""[node]
network = "lab"
port = 7801
listen = ["0.0.0.0:7801"]
bootstrap = ["192.0.2.7:7733", "a.example:1"]
"""
    yield b'[caps]\nday_micro = 1000\n[dht]\nk = 20\nrecord_ttl_s = 60.5\n[log]\nlevel = "debug"\n[pricing]\n'
    yield b"[node]\nport = 1" + ENVIRONMENT + b"COALESCED_PORT=7802\nCOALESCED_LISTEN=[::1]:7802, 127.0.0.1:7802\n"
    yield ENVIRONMENT + b"COALESCED_CAPS_DAY_MICRO=5\nCOALESCED_DHT_K=3\nCOALESCED_IN_MEMORY=true\n"
    lines = sample().splitlines()
    yield "\n".join(line for line in lines if line.startswith("[")).encode()
    yield "\n".join(line.removeprefix("#") for line in lines if "=" in line or line.startswith("["))[:6000].encode()


def _keys() -> Iterator[bytes]:
    pem = encode_private_key(b"\x07" * 32)
    yield pem
    yield keyfile._armour(seal(pem, PASSPHRASE, bytes(28), Cost(memory_kib=8, iterations=1, lanes=1)))


def _plans() -> Iterator[bytes]:
    steps = [
        {"name": "q1", "skill": "document-analysis", "text": "What are the risks?", "files": []},
        {"name": "q2", "skill": "sentiment", "needs": ["q1"]},
        {"name": "all", "merge": True, "needs": ["q1", "q2"]},
    ]
    yield json.dumps({"step": steps}).encode()
    yield json.dumps({"step": [{"name": "a", "skill": "risk", "files": ["a.txt", "../b"]}]}).encode()
    yield b"""# a plan
[[step]]
name = "q1"
skill = "risk"
text = "x"

[[step]]
name = "m"
merge = true
needs = ["q1"]
"""


def _manifests() -> Iterator[bytes]:
    yield encode(plan("default", Path("/tmp/nets"), roles=("seller", "both", "buyer"), ports=(1, 2, 3), nonce="a1"))


def _paths() -> Iterator[bytes]:
    yield from (b"/var/lib/coalesced", b"~/nodes/n1", b"~nobody-here/x", b"../a//b/./c", "/tmp/ä".encode())


TARGETS = (
    Target(name="path", form="text", opened=plain(parse_path), seeds=_paths, may_raise=(PathError,)),
    Target(name="config", form="text", opened=config, seeds=_configs, may_raise=(ConfigError,), share=0.5),
    Target(name="key-file", form="text", opened=key_file, seeds=_keys, may_raise=(keyfile.KeyFileError,), share=0.5),
    Target(
        name="passphrase-file",
        form="text",
        opened=passphrase_file,
        seeds=lambda: [b"correct horse\n", "pässwörd\r\nsecond line".encode()],
        may_raise=(UsageError,),
        share=0.25,
    ),
    Target(
        name="plan-file",
        form="json",
        opened=plan_file,
        seeds=_plans,
        may_raise=(CliError, ControlError, UsageError),
        share=0.5,
    ),
    Target(
        name="testnet-manifest",
        form="json",
        opened=plain(parse_manifest),
        seeds=_manifests,
        may_raise=(TestnetError,),
        share=0.5,
    ),
)
