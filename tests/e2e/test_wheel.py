"""The program as installed from a wheel, elsewhere: one package, and it works beside a file named crypto.py."""

import subprocess
import sys
import venv
from pathlib import Path

import pytest

from tests.harness.processes import daemons, run_cli

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bin directory of an environment that has the wheel, with the dependencies of this one beside it."""
    place = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(place)]
    subprocess.run(build, cwd=ROOT, capture_output=True, timeout=100, check=True)
    (wheel,) = place.glob("*.whl")
    venv.create(place / "venv", with_pip=False, symlinks=True)
    python = place / "venv" / "bin" / "python"
    (site_packages,) = (place / "venv" / "lib").glob("python*/site-packages")
    install = [sys.executable, "-m", "pip", "--python", str(python), "install", "--no-deps", "--no-index", "-q"]
    subprocess.run([*install, str(wheel)], capture_output=True, timeout=100, check=True)
    before = {path.name for path in site_packages.iterdir()}
    assert {name for name in before if not name.endswith(".dist-info")} == {"coalesced"}
    # The dependencies are the ones that run these tests; the project itself is not among them (it is editable there).
    dependencies = site_packages / "dependencies.pth"
    dependencies.write_text(str(dependency_directory(place)))
    return place / "venv" / "bin"


def dependency_directory(place: Path) -> Path:
    """This environment's packages, without the editable project: links to each."""
    (mine,) = (path for path in map(Path, sys.path) if path.name == "site-packages" and (path / "aiohttp").is_dir())
    linked = place / "dependencies"
    linked.mkdir()
    for package in mine.iterdir():
        if "coalesced" not in package.name and package.suffix != ".pth":
            (linked / package.name).symlink_to(package)
    return linked


@pytest.fixture
def hostile(tmp_path: Path) -> Path:
    """A working directory with files that are named like our inner packages."""
    for name in ("crypto", "node", "dht", "protocol"):
        (tmp_path / f"{name}.py").write_text("raise ImportError('this is not the module you are looking for')\n")
    return tmp_path


def test_the_installed_program_runs_beside_files_named_like_its_packages(installed: Path, hostile: Path) -> None:
    for program in ((str(installed / "coalesced"),), (str(installed / "python"), "-m", "coalesced")):
        helped = run_cli("--help", program=program, cwd=hostile)
        assert helped.returncode == 0, helped.stderr
        assert "Usage" in helped.stdout
        with daemons() as made:
            daemon = made.make("node", program=program, cwd=hostile).start()
            answered = daemon.cli("ask", "sentiment", "not bad at all", cwd=hostile)
            assert answered.returncode == 0, answered.stderr + daemon.log_text()
            assert daemon.stop() == 0


def test_the_installed_program_knows_its_version(installed: Path, hostile: Path) -> None:
    said = run_cli("--version", program=(str(installed / "coalesced"),), cwd=hostile)
    assert said.returncode == 0
    assert said.stdout.startswith("coalesced, version ")
