"""The layer rule of docs/architecture.md, as import-linter sees it (contracts in pyproject.toml)."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def run_import_linter() -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-logo", "--no-cache"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=100, check=False)


def test_every_import_contract_is_kept() -> None:
    finished = run_import_linter()
    assert finished.returncode == 0, finished.stdout + finished.stderr
