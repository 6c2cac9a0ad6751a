"""A seller that takes money for work it does not do: an ordinary daemon with another executor.

Run as `python -m coalesced.testnet.dishonest CONDUCT start --home DIR ...`. Only a testnet starts it: a daemon has no
way to cheat. It asks the prices of honest work, since it claims that its runs took as long as honest ones here.

| conduct | what it hands over |
|-|-|
| fabricator | the result of the skill's own example: well-formed, signed, at once, and about something else |
| baiter | good work three times a skill, then as the fabricator |
| corner-cutter | the least effort, where full effort was bought |
"""

import sys
from dataclasses import replace
from functools import partial
from typing import Final, assert_never, cast, get_args

from coalesced.__main__ import prefer_own_packages
from coalesced.testnet.manifest import Conduct

prefer_own_packages()

from node.env import Env  # noqa: E402
from node.errors import NodeError  # noqa: E402
from node.execute.config import ExecuteConfig  # noqa: E402
from node.execute.execution import Execution  # noqa: E402
from node.execute.job import Job  # noqa: E402
from node.execute.processes import ProcessExecutor  # noqa: E402
from node.outsource.localwork import FIRST_RUNS  # noqa: E402

OWN_RUNS: Final = FIRST_RUNS + 2
"""What a testnet's seller runs for itself before it sells: its first measurements, and a warm-up of two."""
BAIT_JOBS: Final = 3
"""The paper's first jobs at which a bait-and-switch seller is good."""


class CheatingExecutor(ProcessExecutor):
    """Does a node's own runs honestly, and after them what its conduct is."""

    def __init__(self, conduct: Conduct, config: ExecuteConfig, env: Env) -> None:
        super().__init__(config, env)
        self._conduct = conduct
        self._runs: dict[str, int] = {}
        self._seconds_per_unit: dict[str, float] = {}
        """Of the latest honest run, by label."""

    async def run(self, job: Job) -> Execution:
        """As ProcessExecutor, of other work or less of it, with the time that the right work would have taken."""
        label, skill = job.label, self.skill(job.label)
        units = await self.size(label, job.input, job.media_type)
        self._runs[label] = self._runs.get(label, 0) + 1
        is_honest = self._is_honest(self._runs[label])
        if not is_honest:
            match self._conduct:
                case "corner-cutter":
                    job = replace(job, effort=skill.efforts[-1])
                case "fabricator" | "baiter" | "honest":
                    job = replace(job, input=skill.example, media_type=skill.example_media_type)
                case _:
                    assert_never(self._conduct)
        done = await super().run(job)
        if is_honest:
            self._seconds_per_unit[label] = done.wall_s / units
            return done
        return replace(done, wall_s=units * self._seconds_per_unit[label])

    def _is_honest(self, run: int) -> bool:
        """Whether the `run`th run of a skill is; the first ones are the node's own."""
        match self._conduct:
            case "honest":
                return True
            case "baiter":
                return run <= OWN_RUNS + BAIT_JOBS
            case "fabricator" | "corner-cutter":
                return run <= OWN_RUNS
            case _:
                assert_never(self._conduct)


def main() -> int:
    """Read the few options that a testnet gives, and run the daemon."""
    from coalesced.app import run
    from coalesced.config import load
    from coalesced.testnet.starting import read_command_line

    told = read_command_line(__doc__, get_args(Conduct))
    try:
        return run(load(told.source), make_executor=partial(CheatingExecutor, cast("Conduct", told.kind)))
    except NodeError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code


if __name__ == "__main__":
    sys.exit(main())
