"""The bearer token of the endpoint: made once, kept in a file that only its owner reads."""

import hmac
import os
import secrets
from collections.abc import Callable
from pathlib import Path

from node.errors import NodeError

PREFIX = "sk-coalesced-"
"""Clients and scanners for leaked keys know what begins with sk-."""


class TokenFile:
    """Reads the token anew when its file has changed, so that a new one is in force at once."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: tuple[int, int] | None = None
        self._token = b""

    def admits(self, authorization: str) -> bool:
        """Whether an Authorization header holds the token."""
        scheme, _, given = authorization.partition(" ")
        if scheme.lower() != "bearer":
            return False
        return hmac.compare_digest(given.strip().encode(errors="replace"), self._current())

    def _current(self) -> bytes:
        status = self._path.stat()
        seen = (status.st_mtime_ns, status.st_ino)
        if seen != self._seen:
            self._token, self._seen = read_token(self._path).encode(), seen
        return self._token


def read_token(path: Path) -> str:
    """The token in the file; NodeError when there is none, or others could read it."""
    try:
        if path.stat().st_mode & 0o077:
            raise NodeError(f"others can read {path}, which holds a token: chmod 600 {path}")
        token = path.read_text(encoding="ascii", errors="replace").strip()
    except OSError as error:
        raise NodeError(f"cannot read the token in {path}: {error.strerror}") from error
    if len(token) < len(PREFIX) + 16:
        raise NodeError(f"{path} holds no token: coalesced gateway token --new")
    return token


def write_token(path: Path, entropy: Callable[[int], bytes] = secrets.token_bytes) -> str:
    """Make a new token and put it in the file's place, all at once."""
    token = PREFIX + entropy(24).hex()
    beside = path.with_name(f"{path.name}.new")
    beside.unlink(missing_ok=True)
    with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(f"{token}\n")
    beside.replace(path)
    return token


def ensure_token(path: Path) -> str:
    """The token of the file, made if there is none."""
    return read_token(path) if path.exists() else write_token(path)
