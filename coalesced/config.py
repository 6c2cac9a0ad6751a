"""The configuration: the only reader of TOML and of the environment. Flag > COALESCED_* > TOML > default.

Each section is one component's own frozen, validated struct; this module composes them, knows where every value
came from, and turns each mistake into one line: file, line, key, value, what is allowed.
"""

import difflib
import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from coalesced.config_types import allowed, fields_of, is_list, is_table
from coalesced.control.config import ControlConfig
from coalesced.gateway.a2a.config import A2aConfig
from coalesced.gateway.openai.config import OpenAiConfig
from coalesced.logs import LogConfig
from coalesced.paths import Paths, find_paths
from dht.config import DhtConfig
from node.attestation.config import AttestationConfig
from node.community.config import LedgerConfig
from node.decision.config import DecisionConfig
from node.decision.internal_cost import MachineRates
from node.decision.security_config import SecurityConfig, unheard
from node.decision.verification import VerificationConfig
from node.errors import UsageError
from node.examination.again import ExaminationConfig
from node.execute.config import ExecuteConfig
from node.market.pricing import PricingConfig
from node.net.config import NetConfig
from node.net.endpoint import parse_endpoint
from node.outsource.client.reader import MeaningConfig
from node.outsource.config import ClientConfig, ContractorConfig
from node.outsource.settlement.config import SettlementConfig
from node.priors.config import MarketMakerConfig, PriorsConfig
from node.proofs.policy import ProofsConfig
from node.registry.config import RegistryConfig
from node.store.blobs import RetentionConfig
from node.store.spending import Caps

DEFAULT_PORT: Final = 7733
PREFIX: Final = "COALESCED_"
COMMAND_LINE: Final = "the command line"
OWN_VARIABLES: Final = frozenset({"COALESCED_HOME", "COALESCED_CONFIG", "COALESCED_TESTNETS"})
"""Read by paths.py and the testnet, which must know them before any configuration exists."""


class ConfigError(UsageError):
    """A setting is wrong: where it was written, its value, what is allowed."""

    code = "config"


class NodeConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where this node lives in the network."""

    network: Annotated[str, Meta(pattern=r"\A[a-z0-9-]{1,48}\Z")] = "main"
    """Nodes of different networks cannot talk to each other, by handshake."""
    port: Annotated[int, Meta(ge=0, le=65535)] = DEFAULT_PORT
    """One number for UDP and TCP, where `listen` does not say otherwise; 0 takes any that is free in both."""
    listen: tuple[str, ...] = ()
    """Addresses (host:port) to be reached at. When empty: loopback, or all addresses if a bootstrap address is on
    another machine."""
    advertise: str = ""
    """The address (host:port) that peers are told; worked out from `listen` when empty."""
    bootstrap: tuple[str, ...] = ()
    """Addresses (host:port) of nodes to join through. All are tried, again and again; none is needed to start."""
    passphrase_file: str = ""
    """Its first line opens a sealed key file; without it, `start` asks at the terminal. Mode 600."""
    in_memory: bool = False
    """Keep nothing on disk (`start --dev`): a new key and an empty history each time."""

    def __post_init__(self) -> None:
        for key, texts in (("listen", self.listen), ("bootstrap", self.bootstrap), ("advertise", (self.advertise,))):
            for text in texts:
                try:
                    given = parse_endpoint(text) if text or key != "advertise" else None
                except UsageError as error:
                    raise ValueError(f"{key}: {error}") from error
                if given is not None and given.port == 0 and key != "listen":
                    raise ValueError(f"{key}: {text} has port 0, which nobody can reach")


@dataclass(frozen=True, slots=True)
class Source:
    """Where a configuration is read from; `load` may read it again."""

    paths: Paths
    flags: Mapping[str, object] = field(default_factory=dict)
    """Values by "section.key", as the command line gave them."""
    environ: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def here(cls, home: Path | None = None, flags: Mapping[str, object] | None = None) -> "Source":
        """The node that this process's environment means."""
        environ = dict(os.environ)
        return cls(find_paths(home, environ=environ), flags or {}, environ)


class Sections(msgspec.Struct, frozen=True, kw_only=True):
    """Every section by its name in TOML: each component's own settings."""

    node: NodeConfig = NodeConfig()
    control: ControlConfig = ControlConfig()
    openai: OpenAiConfig = OpenAiConfig()
    log: LogConfig = LogConfig()
    net: NetConfig = NetConfig()
    dht: DhtConfig = DhtConfig()
    client: ClientConfig = ClientConfig()
    caps: Caps = Caps()
    contractor: ContractorConfig = ContractorConfig()
    pricing: PricingConfig = PricingConfig()
    execute: ExecuteConfig = ExecuteConfig()
    machine: MachineRates = MachineRates()
    decision: DecisionConfig = DecisionConfig()
    verification: VerificationConfig = VerificationConfig()
    retention: RetentionConfig = RetentionConfig()
    ledger: LedgerConfig = LedgerConfig()
    settlement: SettlementConfig = SettlementConfig()
    a2a: A2aConfig = A2aConfig()
    meaning: MeaningConfig = MeaningConfig()
    proofs: ProofsConfig = ProofsConfig()
    attestation: AttestationConfig = AttestationConfig()
    examination: ExaminationConfig = ExaminationConfig()
    registry: RegistryConfig = RegistryConfig()
    security: SecurityConfig = SecurityConfig()
    market_maker: MarketMakerConfig = MarketMakerConfig()
    priors: PriorsConfig = PriorsConfig()


SECTIONS: Final[Mapping[str, type[msgspec.Struct]]] = {
    section.name: section.type for section in msgspec.structs.fields(Sections)
}


class Config(Sections, frozen=True, kw_only=True):
    """Everything that a daemon is told, checked."""

    source: Source
    origins: dict[str, str] = {}
    """Where each value that is not a default came from, by "section.key"."""

    @property
    def paths(self) -> Paths:
        """The node's files."""
        return self.source.paths

    @property
    def roles(self) -> tuple[str, ...]:
        """What the node is beside one that buys and sells."""
        served = {"registry": self.registry.serve, "market-maker": self.market_maker.serve}
        return tuple(role for role, is_served in served.items() if is_served)


def load(source: Source) -> Config:
    """Read and check everything; ConfigError says what is wrong and where."""
    document = _Document.read(source.paths.config_file, required="COALESCED_CONFIG" in source.environ)
    document.refuse_unknown()
    _refuse_unknown_variables(source.environ)
    origins: dict[str, str] = {}
    sections: dict[str, Any] = {}
    for name, kind in SECTIONS.items():
        values: dict[str, Any] = {}
        for info in fields_of(kind):
            given = _given(source, document, name, info)
            if given is not None:
                origins[f"{name}.{info.name}"] = given.origin
                values[info.name] = given.value
        try:
            sections[name] = kind(**values)
        except ValueError as error:
            raise _section_error(name, values, origins, error) from error
    if stranger := unheard(sections["security"].grants, sections["proofs"].attesters):
        raise ConfigError(
            f"{origins['security.grants']}: security.grants: a proof is wanted by {stranger}, whom this node does not "
            "believe: name it in proofs.attesters, with what you believe it for"
        )
    return Config(source=source, origins=origins, **sections)


@dataclass(frozen=True, slots=True)
class _Given:
    """A value that was given, checked, and where."""

    value: object
    origin: str


def variable(section: str, key: str) -> str:
    """The environment variable of a setting; the node's own section goes without its name."""
    return PREFIX + (key if section == "node" else f"{section}_{key}").upper()


def _given(source: Source, document: "_Document", section: str, info: msgspec.structs.FieldInfo) -> _Given | None:
    key = f"{section}.{info.name}"
    if source.flags.get(key) is not None:
        return _Given(_checked(source.flags[key], info.type, key, COMMAND_LINE), "flag")
    name = variable(section, info.name)
    if name in source.environ:
        return _Given(_from_text(source.environ[name], info.type, key, name), name)
    table = document.values.get(section, {})
    if info.name in table:
        where = document.where(section, info.name)
        return _Given(_checked(table[info.name], info.type, key, where), where)
    return None


def _checked(value: object, kind: object, key: str, where: str, *, strict: bool = True) -> object:
    try:
        return msgspec.convert(value, kind, strict=strict)
    except (msgspec.ValidationError, ValueError) as error:
        inside = re.search(r"`\$(.+)`$", str(error))
        detail = f" ({error})" if inside or is_table(kind) else ""
        raise ConfigError(f"{where}: {key} = {value!r}: write {allowed(kind)}{detail}") from error


def _from_text(text: str, kind: object, key: str, where: str) -> object:
    """A value from the environment: lists by commas, tables as TOML, the rest as it stands."""
    if is_list(kind):
        items = [item.strip() for item in text.split(",") if item.strip()]
        return _checked(items, kind, key, where, strict=False)
    if is_table(kind):
        try:
            return _checked(tomllib.loads(f"value = {text}")["value"], kind, key, where)
        except tomllib.TOMLDecodeError as error:
            raise ConfigError(f"{where}: {key} = {text!r}: write a TOML inline table ({error})") from error
    return _checked(text, kind, key, where, strict=False)


def _section_error(
    name: str, values: Mapping[str, object], origins: Mapping[str, str], error: Exception
) -> ConfigError:
    """A mistake that only the whole section shows, at the key that its text names."""
    key = next((key for key in values if key in str(error)), None)
    where = origins.get(f"{name}.{key}", "") if key else ""
    where = COMMAND_LINE if where == "flag" else where
    return ConfigError(f"{where}: {name}.{error}" if where else f"[{name}] {error}")


def _refuse_unknown_variables(environ: Mapping[str, str]) -> None:
    known = OWN_VARIABLES | {variable(section, info.name) for section, info in settings()}
    for name in environ:
        if name.startswith(PREFIX) and name not in known:
            raise ConfigError(f"environment: no setting is called {name}{_nearest(name, known)}")


def settings() -> Iterator[tuple[str, msgspec.structs.FieldInfo]]:
    """Every setting there is, as (section, field)."""
    for section, kind in SECTIONS.items():
        for info in fields_of(kind):
            yield section, info


def _nearest(name: str, known: set[str] | frozenset[str]) -> str:
    near = difflib.get_close_matches(name, sorted(known), 3)
    return f"; nearest: {', '.join(near)}" if near else f"; there are: {', '.join(sorted(known)[:12])}"


@dataclass(frozen=True, slots=True)
class _Document:
    """The TOML file, and on which line each key stands."""

    path: Path
    values: dict[str, Any]
    lines: dict[str, int]

    @classmethod
    def read(cls, path: Path, *, required: bool) -> "_Document":
        """Read `path`; an absent one is empty unless somebody named it."""
        try:
            text = path.read_bytes().decode()
        except FileNotFoundError:
            if required:
                raise ConfigError(f"{path}: no such file, but COALESCED_CONFIG names it") from None
            return cls(path, {}, {})
        except OSError as error:
            raise ConfigError(f"{path}: cannot be read ({error.strerror})") from error
        except UnicodeDecodeError as error:
            raise ConfigError(f"{path}: byte {error.start} is not UTF-8 text") from error
        try:
            return cls(path, tomllib.loads(text), _key_lines(text))
        except (tomllib.TOMLDecodeError, RecursionError) as error:
            raise ConfigError(f"{path}: not TOML: {error}") from error

    def where(self, section: str, key: str = "") -> str:
        """`file:line` of a key or section, as exactly as it is known."""
        line = self.lines.get(f"{section}.{key}" if key else section, self.lines.get(section))
        return f"{self.path}:{line}" if line else str(self.path)

    def refuse_unknown(self) -> None:
        """ConfigError at the first section or key that does not exist, with the nearest that do."""
        for section, table in self.values.items():
            where = self.where(section)
            if not isinstance(table, dict):
                homes = [f"[{name}]" for name, info in settings() if info.name == section]
                hint = f": write it below {' or '.join(homes)}" if homes else _nearest(section, set(SECTIONS))
                raise ConfigError(f"{where}: {section} stands outside every section{hint}")
            if section not in SECTIONS:
                raise ConfigError(f"{where}: no section is called [{section}]{_nearest(section, set(SECTIONS))}")
            known = {info.name for info in fields_of(SECTIONS[section])}
            for key in table:
                if key not in known:
                    raise ConfigError(f"{self.where(section, key)}: no setting {section}.{key}{_nearest(key, known)}")


_HEADER = re.compile(r"\s*\[+\s*([^\]]+?)\s*\]+")
_KEY = re.compile(r"\s*([A-Za-z0-9_.\"'-]+)\s*=")


def _key_lines(text: str) -> dict[str, int]:
    """Line numbers of sections and keys. What looks like a key inside a multi-line value does no harm: none asks."""
    found: dict[str, int] = {}
    section = ""
    for number, line in enumerate(text.splitlines(), 1):
        if header := _HEADER.match(line):
            section = header[1]
            found.setdefault(section.split(".")[0], number)
            found.setdefault(section, number)
        elif key := _KEY.match(line):
            name = key[1].strip("\"'")
            found.setdefault(f"{section}.{name}" if section else name, number)
    return found
