"""The entry point of `coalesced` and of `python -m coalesced`."""

import sys
from pathlib import Path


def prefer_own_packages() -> None:
    """Put our inner packages first on the path, so that no crypto.py in the working directory shadows ours.

    In a wheel they live in coalesced/_app; in a checkout, beside this package.
    """
    package = Path(__file__).resolve().parent
    home = package / "_app" if (package / "_app").is_dir() else package.parent
    sys.path.insert(0, str(home))


def main() -> None:
    """Run the command line and exit with its code."""
    prefer_own_packages()
    from coalesced.cli.main import run

    sys.exit(run())


if __name__ == "__main__":
    main()
