"""A program: four members, the last one on a small file system of its own (argv[1]) that is filled and emptied."""

import asyncio
import sys
import tempfile
from pathlib import Path

from tests.harness.communities import community, until


async def main(small: Path) -> None:
    """Fill it up, see that the member stops and says why; make room, see that it goes on and votes."""
    with tempfile.TemporaryDirectory() as directory:
        node3 = Path(directory) / "node3"
        node3.symlink_to(small, target_is_directory=True)
        async with community(Path(directory)) as four:
            *others, full = four.members
            await others[0].commit()
            await four.agree(1)
            filler = small / "filler"
            with filler.open("wb", buffering=0) as file:
                try:
                    while file.write(bytes(4096)):
                        pass
                except OSError as error:
                    print("filled:", error.strerror)
            height = 1
            while full.facts is not None:
                height = (await others[0].commit()).height
                await asyncio.sleep(0)
            standing = full.community.standing
            assert standing is not None
            print(standing.problem)
            await others[1].commit()
            filler.unlink()
            await until(lambda: full.facts is not None, "it goes on")
            await four.agree(height + 1)
            await others[0].stop()
            done = await others[1].commit()
            await four.agree(done.height, [*others[1:], full])
            print("voted again at", done.height)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
