"""The entry point of `coalesced` and of `python -m coalesced`."""

import os
import sys
from pathlib import Path


def prefer_own_packages() -> None:
    """Put our inner packages first on the path, so that no crypto.py in the working directory shadows ours.

    In a wheel they live in coalesced/_app; in a checkout, beside this package.
    """
    package = Path(__file__).resolve().parent
    home = package / "_app" if (package / "_app").is_dir() else package.parent
    sys.path.insert(0, str(home))


def fill_standard_streams() -> None:
    """Open what the caller closed (`>&-`) on the null device: else a database would get number 1, and our output."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open(mode, encoding="utf-8"))  # noqa: SIM115  it stays open


def main() -> None:
    """Run the command line and exit with its code."""
    fill_standard_streams()
    prefer_own_packages()
    from coalesced.cli.main import run

    sys.exit(run())


if __name__ == "__main__":
    main()
