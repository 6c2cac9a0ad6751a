"""What a call to a daemon can end in, for callers that import nothing of the node.

ControlError            the daemon said no                      its own exit code
├── NoDaemonError       no daemon listens                       exit 3
└── LostDaemonError     it stopped, or fell silent, mid-call    exit 1
"""


class ControlError(Exception):
    """A failed call: the daemon's stable code, one line of text, the exit code of the command line."""

    def __init__(self, code: str, text: str, exit_code: int = 1) -> None:
        super().__init__(text)
        self.code = code
        self.text = text
        self.exit_code = exit_code


class NoDaemonError(ControlError):
    """Nobody listens on the control socket."""

    def __init__(self, socket_path: object) -> None:
        super().__init__("no_daemon", f"no daemon listens on {socket_path}. Start it: coalesced start", 3)


class LostDaemonError(ControlError):
    """The connection ended before the answer did."""

    def __init__(self, text: str) -> None:
        super().__init__("lost_daemon", text, 1)
