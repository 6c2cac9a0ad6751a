"""What is shipped: one package in the wheel, pinned dependencies without addresses, scripts that can be run."""

import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
INNER_PACKAGES = ("crypto", "dht", "node", "protocol")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[zipfile.ZipFile]:
    target = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(target)]
    subprocess.run(command, cwd=ROOT, capture_output=True, timeout=100, check=True)
    (built,) = target.glob("coalesced-*.whl")
    with zipfile.ZipFile(built) as archive:
        yield archive


def test_the_wheel_puts_one_package_into_site_packages(wheel: zipfile.ZipFile) -> None:
    tops = {name.split("/", 1)[0] for name in wheel.namelist()}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"coalesced"}


def test_the_wheel_carries_the_four_inner_packages_privately(wheel: zipfile.ZipFile) -> None:
    names = set(wheel.namelist())
    for package in INNER_PACKAGES:
        assert f"coalesced/_app/{package}/__init__.py" in names


def test_every_module_of_the_repository_is_in_the_wheel(wheel: zipfile.ZipFile) -> None:
    names = set(wheel.namelist())
    for package in ("coalesced", *INNER_PACKAGES):
        prefix = "" if package == "coalesced" else "coalesced/_app/"
        missing = [p for p in (ROOT / package).rglob("*.py") if prefix + p.relative_to(ROOT).as_posix() not in names]
        assert missing == []


def test_the_wheel_installs_the_console_script(wheel: zipfile.ZipFile) -> None:
    (entry_points,) = (name for name in wheel.namelist() if name.endswith("entry_points.txt"))
    assert "coalesced = coalesced.__main__:main" in wheel.read(entry_points).decode()


def pins(lock: str) -> list[tuple[str, str]]:
    """The pinned requirements of a lock file, as (name, version)."""
    text = (ROOT / "scripts" / lock).read_text(encoding="utf-8")
    return re.findall(r"^([A-Za-z0-9._-]+)==([^ \\;]+)", text, re.MULTILINE)


@pytest.mark.parametrize("lock", ["lock.txt", "lock-dev.txt"])
def test_a_lock_pins_every_requirement_by_hash_and_names_no_address(lock: str) -> None:
    text = (ROOT / "scripts" / lock).read_text(encoding="utf-8")
    assert "://" not in text
    requirements = re.split(r"\n(?=\S)", text.strip())
    assert len(requirements) == len(pins(lock)) > 20
    for requirement in requirements:
        assert "--hash=sha256:" in requirement, requirement


def test_the_development_lock_pins_the_same_versions_as_the_run_lock() -> None:
    assert set(pins("lock.txt")) <= set(pins("lock-dev.txt"))


@pytest.mark.parametrize("package", ["hatchling", "editables"])
def test_the_lock_holds_what_an_editable_install_without_isolation_needs(package: str) -> None:
    assert package in dict(pins("lock.txt"))


@pytest.mark.parametrize("script", ["scripts/demo", "scripts/test", "scripts/check", "scripts/bench_node", ".ci/run"])
def test_a_script_is_executable_and_parses(script: str) -> None:
    path = ROOT / script
    assert os.access(path, os.X_OK)
    subprocess.run(["bash", "-n", str(path)], check=True, timeout=60)
