"""`coalesced doctor`: every check, those that need no daemon first."""

import os
import platform
import stat
import sys
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import click

from coalesced import __version__
from coalesced.cli.config import read_config, setting_rows
from coalesced.cli.errors import CliError
from coalesced.cli.face import Face, command_options
from coalesced.cli.units import counted
from coalesced.control import shapes
from coalesced.control.client import ControlClient
from coalesced.control.errors import ControlError
from coalesced.paths import Paths

LEAST_PYTHON = (3, 11)


@click.command()
@click.option("--bundle", type=click.Path(path_type=Path), help="Also write what a bug report needs to this zip file.")
@command_options
def doctor(face: Face, /, bundle: Path | None) -> int:
    """Check everything, and say what to fix. Fails when any check does."""
    checks = [_timed(check, face) for check in OFFLINE]
    try:
        asked = face.run(lambda client: client.doctor())["checks"]
        named = {check["name"] for check in asked}
        checks = [check for check in checks if check["name"] not in named] + asked
        checks.append(_check("daemon", "pass", "it answers"))
    except ControlError as error:
        status = "skip" if error.exit_code == 3 else "fail"
        text = "it does not run, so only what needs none was checked" if status == "skip" else error.text
        checks.append(_check("daemon", status, text, "coalesced start"))
    view: shapes.Doctor = {"schema": "coalesced.doctor/1", "checks": checks}
    face.show(view)
    if bundle is not None:
        write_bundle(face, bundle, view)
        face.note(f"{bundle} is written; it holds no key, task or result. Read it before you send it.")
    return 1 if any(check["status"] == "fail" for check in checks) else 0


def _check(name: str, status: str, text: str, fix: str = "") -> shapes.Check:
    return {"name": name, "status": status, "text": text, "fix": fix, "took_s": 0.0}


def _timed(check: Callable[[Face], shapes.Check], face: Face) -> shapes.Check:
    started_s = time.monotonic()
    outcome = check(face)
    return {**outcome, "took_s": round(time.monotonic() - started_s, 6)}


def check_python(face: Face) -> shapes.Check:
    """The interpreter is new enough."""
    version = platform.python_version()
    if sys.version_info[:2] < LEAST_PYTHON:
        return _check("python", "fail", f"{version} is too old", "install Python 3.11 or newer")
    return _check("python", "pass", f"{version} on {platform.system()} {platform.machine()}")


def check_configuration(face: Face) -> shapes.Check:
    """The configuration can be read."""
    try:
        loaded = read_config(face)
    except CliError as error:
        return _check("configuration", "fail", error.text, "coalesced config sample")
    changed = counted(len(loaded.origins), "setting")
    return _check("configuration", "pass", f"{loaded.paths.config_file}, {changed} changed")


def check_home(face: Face) -> shapes.Check:
    """The node's directory is there, ours, and closed to others."""
    home = face.paths.home
    try:
        info = home.stat()
    except FileNotFoundError:
        return _check("home", "warn", f"{home} does not exist yet", "coalesced init")
    if not stat.S_ISDIR(info.st_mode) or info.st_uid != os.getuid():
        return _check("home", "fail", f"{home} is not a directory of yours", "give another --home")
    if info.st_mode & 0o077:
        return _check("home", "fail", f"{home} is open to others", f"chmod 700 {home}")
    if not os.access(home, os.W_OK | os.X_OK):
        return _check("home", "fail", f"{home} cannot be written", f"chmod 700 {home}")
    return _check("home", "pass", str(home))


def check_key(face: Face) -> shapes.Check:
    """The key file, if there is one, is closed to others."""
    file = face.paths.key_file
    try:
        info = file.stat()
    except OSError:
        return _check("key", "warn", f"there is no {file} yet", "coalesced init")
    if info.st_mode & 0o077:
        return _check("key", "fail", f"{file} can be read by others: whoever read it is this node", f"chmod 600 {file}")
    return _check("key", "pass", f"{file}, mode 600")


def check_space(face: Face) -> shapes.Check:
    """There is room for the journal and for results."""
    paths: Paths = face.paths
    place = next(p for p in (paths.home, *paths.home.parents) if p.exists())
    info = os.statvfs(place)
    free_mb = info.f_bavail * info.f_frsize // 2**20
    if free_mb < 64:
        return _check("disk", "fail", f"only {free_mb} MiB are free at {place}", "free some space")
    return _check("disk", "warn" if free_mb < 512 else "pass", f"{free_mb:,} MiB free at {place}")


OFFLINE = (check_python, check_configuration, check_home, check_key, check_space)


def write_bundle(face: Face, target: Path, view: shapes.Doctor) -> None:
    """Write the zip: what was checked, status, metrics, settings, versions."""
    import msgspec

    def encoded(value: object) -> bytes:
        return msgspec.json.format(msgspec.json.encode(value), indent=2)

    parts = {"doctor.json": encoded(view), "versions.json": encoded(_versions())}
    try:
        parts["settings.json"] = encoded(setting_rows(read_config(face)))
    except CliError as error:
        parts["settings.json"] = encoded({"error": error.text})

    async def call(client: ControlClient) -> tuple[shapes.Status, str]:
        return await client.status(), await client.metrics()

    try:
        status, metrics = face.run(call)
        parts |= {"status.json": encoded(status), "metrics.txt": metrics.encode()}
    except ControlError as error:
        parts["status.json"] = encoded({"error": error.text})
    try:
        with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, data in parts.items():
                archive.writestr(name, data)
    except OSError as error:
        raise CliError(f"cannot write {target}: {error.strerror}", code="failed", exit_code=1) from error


def _versions() -> dict[str, str]:
    from importlib.metadata import distributions

    found = {item.name: item.version for item in distributions()}
    return {
        "coalesced": __version__,
        "python": sys.version,
        "platform": platform.platform(),
        **dict(sorted(found.items())),
    }
