"""A member of a testnet's chain that lies: an ordinary daemon with another shell around its core.

Run as `python -m coalesced.testnet.byzantine KIND start --home DIR ...`. Only a testnet starts it, and it refuses to
run anywhere else: a daemon has no setting and no option that makes it lie.
"""

import sys
from typing import cast

from coalesced.__main__ import prefer_own_packages
from coalesced.testnet.manifest import LIES, Lie

prefer_own_packages()

from coalesced.app import run  # noqa: E402
from coalesced.config import load  # noqa: E402
from coalesced.testnet.byzantine.guard import permitted_chain  # noqa: E402
from coalesced.testnet.byzantine.shell import only_on  # noqa: E402
from coalesced.testnet.byzantine.witness import FILE, Witness  # noqa: E402
from coalesced.testnet.starting import read_command_line  # noqa: E402
from node.errors import NodeError  # noqa: E402


def main() -> int:
    """Make sure that this is a testnet, then run the daemon."""
    told = read_command_line(__doc__, LIES)
    kind = cast("Lie", told.kind)
    try:
        config = load(told.source)
        chain = permitted_chain(kind, told.home, config)
        return run(config, make_shell=only_on(chain, kind, Witness(told.home / FILE)))
    except NodeError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code


if __name__ == "__main__":
    sys.exit(main())
