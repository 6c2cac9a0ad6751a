"""The node's identity key on disk: PKCS8 in a file that only its owner can read, or sealed with a passphrase.

A key file is written once and never changed. It appears under its name whole or not at all, also when the machine loses
power, and never in place of another: losing an identity means losing its reputation.
"""

import base64
import os
import stat
import textwrap
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

from crypto.aead import ENTROPY_BYTES, SealError, seal, unseal
from crypto.identity import Identity
from crypto.pkcs8 import PEM_BEGIN, decode_private_key, encode_private_key
from node.store.errors import StorageError

SEALED_BEGIN: Final = b"-----BEGIN COALESCED SEALED KEY-----"
SEALED_END: Final = b"-----END COALESCED SEALED KEY-----"
MAX_FILE_BYTES: Final = 4096
"""Many times a key in either form; more is something else."""
SEED_BYTES: Final = 32


class KeyFileError(StorageError):
    """The identity key cannot be read or written; the text says why and what to do."""

    code = "key_file"


def load_or_create(path: Path, entropy: Callable[[int], bytes], passphrase: str | None = None) -> Identity:
    """The identity in `path`; a new one is drawn and saved there when there is no such file."""
    with suppress(FileExistsError):  # Another process may create it between the look and the attempt.
        if not path.exists() and not path.is_symlink():
            return create(path, entropy, passphrase)
    return load(path, passphrase)


def create(path: Path, entropy: Callable[[int], bytes], passphrase: str | None = None) -> Identity:
    """Draw a new identity and save it; FileExistsError when there is something at `path` already."""
    identity = Identity(entropy(SEED_BYTES))
    save(path, identity, entropy, passphrase)
    return identity


def load(path: Path, passphrase: str | None = None) -> Identity:
    """The identity in `path`; KeyFileError for a file that others can read, or that is not a key file."""
    text = _read_private(path)
    if SEALED_BEGIN in text:
        if passphrase is None:
            raise KeyFileError(f"the key file {path} is sealed: a passphrase is needed to start this node")
        try:
            text = unseal(_unarmour(text), passphrase)
        except SealError as error:
            raise KeyFileError(f"the key file {path} does not open: {error}") from error
        except ValueError as error:
            raise _not_a_key(path, "its text is damaged") from error
    elif passphrase is not None:
        raise KeyFileError(f"the key file {path} is not sealed, though a passphrase was given: start without one")
    elif PEM_BEGIN not in text:
        raise _not_a_key(path, "it does not begin as one")
    try:
        return Identity(decode_private_key(text))
    except ValueError as error:
        raise _not_a_key(path, str(error)) from error


def save(path: Path, identity: Identity, entropy: Callable[[int], bytes], passphrase: str | None = None) -> None:
    """Save an identity; FileExistsError when there is something at `path` already: no key is ever written over."""
    text = encode_private_key(identity.seed())
    if passphrase is not None:
        if not passphrase:
            raise KeyFileError("the passphrase is empty: give one, or none at all")
        text = _armour(seal(text, passphrase, entropy(ENTROPY_BYTES)))
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise _not_writable(path, error) from error
    try:
        _write_new(path, text, suffix=entropy(8).hex())
    except FileExistsError:
        raise
    except OSError as error:
        raise _not_writable(path, error) from error


def is_sealed(path: Path) -> bool:
    """Whether the key file at `path` needs a passphrase. KeyFileError as `load` raises it."""
    return SEALED_BEGIN in _read_private(path)


def _write_new(path: Path, text: bytes, suffix: str) -> None:
    """Write under a temporary name, then link it to the real one, which fails if that exists."""
    draft = path.with_name(f".{path.name}.{suffix}")
    descriptor = os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.link(draft, path)
    finally:
        draft.unlink()
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def _read_private(path: Path) -> bytes:
    """The content of a regular file that only its owner, who is this user, can read."""
    try:
        # NOFOLLOW: a link could name any file. NONBLOCK: opening a named pipe must not wait.
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if path.is_symlink():
            raise _not_a_key(path, "it is a symbolic link, which is not followed") from error
        raise KeyFileError(f"cannot read the key file {path}: {error.strerror}") from error
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise _not_a_key(path, "it is a directory or a device")
        if status.st_uid != os.geteuid():
            raise KeyFileError(f"the key file {path} belongs to user {status.st_uid}: this node runs as {os.geteuid()}")
        mode = stat.S_IMODE(status.st_mode)
        if mode & 0o077:
            raise KeyFileError(f"others can read the key file {path} (mode {mode:04o}): run `chmod 600 {path}`")
        if status.st_size > MAX_FILE_BYTES:
            raise _not_a_key(path, f"it has {status.st_size} bytes, over the limit of {MAX_FILE_BYTES}")
        return os.read(descriptor, MAX_FILE_BYTES)
    finally:
        os.close(descriptor)


def _not_writable(path: Path, error: OSError) -> KeyFileError:
    return KeyFileError(
        f"cannot write the key file {path} ({error.strerror}): make its directory writable for this user, "
        "or choose another directory"
    )


def _not_a_key(path: Path, detail: str) -> KeyFileError:
    return KeyFileError(
        f"{path} is not this program's key file ({detail}): restore it from a copy, "
        "or move it away and a new identity is made"
    )


def _armour(blob: bytes) -> bytes:
    lines = textwrap.wrap(base64.b64encode(blob).decode(), 64)
    return b"\n".join([SEALED_BEGIN, *(line.encode() for line in lines), SEALED_END, b""])


def _unarmour(text: bytes) -> bytes:
    """The blob between the two lines; ValueError when there is none."""
    begin, end = text.index(SEALED_BEGIN) + len(SEALED_BEGIN), text.index(SEALED_END)
    return base64.b64decode(b"".join(text[begin:end].split()), validate=True)
