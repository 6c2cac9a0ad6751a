"""The identity key on a real file system."""

import multiprocessing
import os
import subprocess
from pathlib import Path

import pytest

from node.store.keyfile import KeyFileError, create, load, load_or_create


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "identity.key"


def test_a_key_is_made_once_and_then_found_again(path: Path) -> None:
    first = load_or_create(path, os.urandom)
    assert load_or_create(path, os.urandom).public_key == first.public_key
    assert load(path).public_key == first.public_key


def test_the_file_is_0600_in_a_directory_of_0700_with_nothing_beside_it(path: Path) -> None:
    load_or_create(path, os.urandom)
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


def test_the_file_is_pkcs8_as_rfc_8410_prints_it(path: Path) -> None:
    seed = bytes.fromhex("d4ee72dbf913584ad5b6d8f1f769f8ad3afe7c28cbf1d4fbe097a88f44755842")
    create(path, lambda size: seed[:size])
    assert "MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC" in path.read_text()


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o777, 0o620])
def test_a_file_that_others_can_use_is_refused_with_the_command_that_helps(path: Path, mode: int) -> None:
    load_or_create(path, os.urandom)
    path.chmod(mode)
    with pytest.raises(KeyFileError, match=f"chmod 600 {path}"):
        load_or_create(path, os.urandom)


def test_a_symbolic_link_is_refused_even_when_it_leads_to_a_key(path: Path, tmp_path: Path) -> None:
    load_or_create(path, os.urandom)
    link = tmp_path / "link"
    link.symlink_to(path)
    with pytest.raises(KeyFileError, match="symbolic link"):
        load_or_create(link, os.urandom)


def test_a_dangling_link_is_not_written_through(tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(KeyFileError, match="symbolic link"):
        load_or_create(link, os.urandom)
    assert not (tmp_path / "elsewhere").exists()


def test_a_directory_and_a_pipe_are_refused_without_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe", 0o600)
    for other in (tmp_path, tmp_path / "pipe"):
        with pytest.raises(KeyFileError, match="directory or a device"):
            load_or_create(other, os.urandom)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\0" * 100,
        b"garbage",
        b"-----BEGIN PRIVATE KEY-----\ngarbage\n-----END PRIVATE KEY-----\n",
        b"-----BEGIN COALESCED SEALED KEY-----\n",
        b"-----BEGIN COALESCED SEALED KEY-----\n!!!\n-----END COALESCED SEALED KEY-----\n",
        b"-----BEGIN COALESCED SEALED KEY-----\nAAAA\n-----END COALESCED SEALED KEY-----\n",
        b"x" * 5000,
    ],
)
def test_garbage_is_refused_and_left_as_it_is(path: Path, content: bytes) -> None:
    path.parent.mkdir()
    path.write_bytes(content)
    path.chmod(0o600)
    for passphrase in (None, "p"):
        with pytest.raises(KeyFileError):
            load_or_create(path, os.urandom, passphrase)
    assert path.read_bytes() == content


def test_another_kind_of_key_is_refused_by_name(path: Path) -> None:
    path.parent.mkdir()
    subprocess.run(["openssl", "genpkey", "-algorithm", "X25519", "-out", path], check=True)
    path.chmod(0o600)
    with pytest.raises(KeyFileError, match="X25519"):
        load(path)


def test_a_sealed_key_opens_with_its_passphrase_only(path: Path) -> None:
    identity = load_or_create(path, os.urandom, "correct horse")
    assert b"PRIVATE KEY" not in path.read_bytes()
    assert load_or_create(path, os.urandom, "correct horse").public_key == identity.public_key
    with pytest.raises(KeyFileError, match="passphrase is another one"):
        load(path, "wrong")
    with pytest.raises(KeyFileError, match="passphrase is needed"):
        load(path)


def test_a_passphrase_for_a_key_that_is_not_sealed_is_refused(path: Path) -> None:
    load_or_create(path, os.urandom)
    with pytest.raises(KeyFileError, match="not sealed"):
        load(path, "p")


def test_an_empty_passphrase_is_refused(path: Path) -> None:
    with pytest.raises(KeyFileError, match="empty"):
        load_or_create(path, os.urandom, "")
    assert not path.exists()


def test_an_existing_key_is_never_replaced(path: Path) -> None:
    identity = create(path, os.urandom)
    with pytest.raises(FileExistsError):
        create(path, os.urandom)
    assert load(path).public_key == identity.public_key
    assert len(list(path.parent.iterdir())) == 1


def test_a_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(KeyFileError, match="cannot write the key file"):
        create(tmp_path / "file" / "identity.key", os.urandom)


def _public_key(path: str) -> bytes:
    return load_or_create(Path(path), os.urandom).public_key


def test_processes_that_start_together_end_up_with_one_identity(path: Path) -> None:
    with multiprocessing.get_context("spawn").Pool(4) as pool:
        keys = pool.map(_public_key, [str(path)] * 8)
    assert len(set(keys)) == 1
    assert len(list(path.parent.iterdir())) == 1
