"""What a node is built on, and what both of its roles are made from."""

import asyncio
from dataclasses import dataclass

from coalesced.config import Config
from crypto.identity import Identity
from dht.service import KademliaDiscovery
from node.background import Background
from node.community.shell import MakeShell, Shell
from node.env import Env
from node.events import EventHub
from node.execute.executor import Executor
from node.net.addresses import Addresses
from node.net.endpoint import Endpoint
from node.net.peers import Peers
from node.net.transport import Transport
from node.outsource.client.agents import NO_AGENTS, Agents
from node.outsource.client.running import Running
from node.outsource.delegations import Delegations
from node.outsource.expenses import Expenses
from node.outsource.localwork import LocalWork
from node.outsource.tasklog import TaskLog
from node.registry.sources import Sources
from node.store.store import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """What a node stands on: who it is, where it is, what it remembers, how it reaches others."""

    identity: Identity
    env: Env
    store: Store
    addresses: Addresses
    bootstrap: tuple[Endpoint, ...]
    transport: Transport
    executor: Executor
    group: asyncio.TaskGroup
    make_shell: MakeShell = Shell
    agents: Agents = NO_AGENTS


@dataclass(frozen=True, slots=True, kw_only=True)
class Base:
    """What both roles are made from."""

    config: Config
    ground: Ground
    hub: EventHub
    work: LocalWork
    tasks: TaskLog
    peers: Peers
    discovery: KademliaDiscovery
    sources: Sources
    in_background: Background
    running: Running
    expenses: Expenses
    delegations: Delegations
