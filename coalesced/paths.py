"""Where a node keeps its files. One directory a node; COALESCED_HOME moves all of it, configuration included.

Imports none of the inner packages: the client and the command line use it too.
"""

import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

MAX_SOCKET_PATH_BYTES = 103
"""sun_path holds 104 bytes on macOS (108 on Linux), the closing zero included."""


class PathError(Exception):
    """A directory cannot be used; the text says which and why."""


@dataclass(frozen=True, slots=True)
class Paths:
    """One node's files. Nothing is created until `make_private` is called."""

    home: Path
    config_file: Path

    @property
    def key_file(self) -> Path:
        """The identity key, 0600."""
        return self.home / "identity.key"

    @property
    def node_db(self) -> Path:
        """Peers, quotes, tasks, calibration."""
        return self.home / "node.db"

    @property
    def openai_token(self) -> Path:
        """The bearer token of the OpenAI-compatible endpoint, 0600."""
        return self.home / "openai.token"

    @property
    def lock_file(self) -> Path:
        """Held by the running daemon; holds its process id."""
        return self.home / "daemon.lock"

    @property
    def socket(self) -> Path:
        """The control socket: in the home, or in the owner's runtime directory when that path would be too long."""
        inside = self.home / "control.sock"
        if len(os.fsencode(inside)) <= MAX_SOCKET_PATH_BYTES:
            return inside
        import hashlib

        name = hashlib.sha256(os.fsencode(self.home)).hexdigest()[:16] + ".sock"
        return _runtime_directory() / name


def _runtime_directory() -> Path:
    import tempfile

    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    base = Path(runtime) if runtime and Path(runtime).is_dir() else Path(tempfile.gettempdir())
    directory = base / f"coalesced-{os.getuid()}"
    if len(os.fsencode(directory)) > MAX_SOCKET_PATH_BYTES - 22:
        directory = Path("/tmp") / f"coalesced-{os.getuid()}"  # noqa: S108  made 0700 and checked for its owner before use
    return directory


def find_paths(home: Path | None = None, config_file: Path | None = None, *, environ: Mapping[str, str]) -> Paths:
    """The files of the node that the caller means: flag, then environment, then the XDG directories."""
    given_home = str(home) if home is not None else environ.get("COALESCED_HOME", "")
    given_config = str(config_file) if config_file is not None else environ.get("COALESCED_CONFIG", "")
    if given_home:
        chosen = resolved(given_home)
        default_config = chosen / "config.toml"
    else:
        import platformdirs

        chosen = Path(platformdirs.user_data_dir("coalesced", appauthor=False)).resolve()
        default_config = Path(platformdirs.user_config_dir("coalesced", appauthor=False)) / "config.toml"
    return Paths(chosen, resolved(given_config) if given_config else default_config)


def expanded(text: str) -> Path:
    """The path that `text` means, its ~ or ~user replaced; PathError when it can mean none."""
    try:
        path = Path(text).expanduser()
        os.fsencode(path)
    except (RuntimeError, ValueError) as error:
        raise PathError(f"{text[:200]!r} is no path here: {error}") from error
    if "\0" in text:
        raise PathError(f"{text[:200]!r} is no path: no name holds a zero character")
    return path


def resolved(text: str) -> Path:
    """The same, absolute and without links; PathError when its links run in a circle."""
    try:
        return expanded(text).resolve()
    except (RuntimeError, OSError) as error:
        raise PathError(f"{text[:200]!r} leads nowhere: {error}") from error


def make_private(directory: Path) -> Path:
    """Create `directory` as 0700, or check that it is ours and closed to others; PathError otherwise."""
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        info = directory.lstat()
    except OSError as error:
        raise PathError(f"cannot create {directory}: {error.strerror}") from error
    if not stat.S_ISDIR(info.st_mode):
        raise PathError(f"{directory} is not a directory")
    if info.st_uid != os.getuid():
        raise PathError(f"{directory} belongs to user {info.st_uid}, not to you ({os.getuid()}): choose another --home")
    if info.st_mode & 0o077:
        try:
            directory.chmod(0o700)
        except OSError as error:
            raise PathError(f"{directory} is open to others and cannot be closed: {error.strerror}") from error
    return directory
