"""The interactive console: reads lines, runs them, shows what happens meanwhile above the line being typed."""

import asyncio
import os
import signal
import sys
from collections import deque
from contextlib import aclosing
from pathlib import Path
from typing import Final

from prompt_toolkit import PromptSession
from prompt_toolkit.patch_stdout import patch_stdout
from prompt_toolkit.shortcuts import CompleteStyle

from coalesced.cli.render import event_line
from coalesced.control.client import ControlClient
from coalesced.control.errors import ControlError
from coalesced.control.shapes import Event
from coalesced.paths import find_paths
from coalesced.repl.completion import ConsoleCompleter
from coalesced.repl.history import open_history
from coalesced.repl.names import Names
from coalesced.repl.session import ConsoleSession

RETRY_S: Final = 2.0
"""How often a node that went away is looked for again."""
MAX_HELD_EVENTS: Final = 100
"""Kept while a command has the screen; older ones are dropped, the log has them."""


async def interact(home: Path | None) -> int:
    """Run a console until ^D or `exit`; 0. ControlError when no node answers at the start."""
    async with ConsoleSession(home, sys.stdout, sys.stderr) as session:
        status = await session.client.status()
        print(f"node {status['node']} on network {status['network']}. Type help; ^D leaves, the node goes on.")
        names = Names()
        async with asyncio.TaskGroup() as group:
            events = _Events(session, names, group)
            fresh = group.create_task(names.keep_fresh(lambda: session.client))
            try:
                await _read_and_run(session, names, events)
            finally:
                fresh.cancel()
                events.stop()
    return 0


async def _read_and_run(session: ConsoleSession, names: Names, events: "_Events") -> None:
    loop = asyncio.get_running_loop()
    prompt: PromptSession[str] = PromptSession(
        history=open_history(find_paths(session.home, environ=os.environ).home),
        completer=ConsoleCompleter(names),
        complete_style=CompleteStyle.READLINE_LIKE,
        complete_while_typing=False,
        enable_open_in_editor=False,
    )
    while not session.wants_to_leave:
        try:
            with patch_stdout(raw=True):
                events.release()
                text = await prompt.prompt_async(f"{session.name}> ", set_exception_handler=False)
        except KeyboardInterrupt:
            continue
        except EOFError:
            return
        events.hold()
        # While a command has the terminal, ^C arrives as a signal: it cancels the call, not the console.
        loop.add_signal_handler(signal.SIGINT, session.cancel)
        try:
            await session.execute(text)
        finally:
            loop.remove_signal_handler(signal.SIGINT)
        events.follow_current()


class _Events:
    """Prints events above the prompt; keeps them back while a command has the screen."""

    def __init__(self, session: ConsoleSession, names: Names, group: asyncio.TaskGroup) -> None:
        self._session = session
        self._names = names
        self._group = group
        self._held: deque[str] = deque(maxlen=MAX_HELD_EVENTS)
        self._is_holding = True
        self._followed: ControlClient | None = None
        self._following: asyncio.Task[None] | None = None
        self.follow_current()

    def follow_current(self) -> None:
        """Follow the session's node, which `use` may have changed."""
        if self._followed is not self._session.client:
            self.stop()
            self._followed = self._session.client
            self._following = self._group.create_task(self._follow(self._followed))

    def stop(self) -> None:
        """Follow nobody."""
        if self._following is not None:
            self._following.cancel()

    def hold(self) -> None:
        """A command takes the screen."""
        self._is_holding = True

    def release(self) -> None:
        """The prompt is back: print what came meanwhile, then the rest as it comes."""
        self._is_holding = False
        while self._held:
            print(self._held.popleft())

    async def _follow(self, client: ControlClient) -> None:
        """Print the node's events, also across its restarts."""
        is_away = False
        while True:
            try:
                await client.status()
                if is_away:
                    is_away = False
                    self._print("the node is back")
                async with aclosing(client.events()) as events:
                    async for event in events:
                        self._show(event)
            except ControlError as error:
                if not is_away:
                    is_away = True
                    self._print(f"the node went away: {error.text}")
            await asyncio.sleep(RETRY_S)

    def _show(self, event: Event) -> None:
        if event["task_id"]:
            self._names.add_task(event["task_id"])
            # The command in front shows its own task's events; a percentage is for who watches the task.
            if self._session.is_busy or event["name"] == "progress":
                return
        self._print(event_line(event))

    def _print(self, text: str) -> None:
        if self._is_holding:
            self._held.append(text)
        else:
            print(text)
