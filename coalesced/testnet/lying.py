"""How many members of a testnet's chain may lie, which ones do, and how one begins to."""

from itertools import cycle, islice

from msgspec.structs import replace

from coalesced.testnet import runner
from coalesced.testnet.manifest import LIES, Lie, Manifest, TestnetError, save


def tolerated(members: int) -> int:
    """f: how many of a chain's members may lie or fail."""
    return max(0, members - 1) // 3


def chosen_lies(text: str, validators: int, *, allow_unsafe: bool = False) -> tuple[Lie, ...]:
    """What `COUNT[:KIND]` means: so many liars, of one kind or of each in turn; TestnetError when they are too many."""
    number, _, kind = text.partition(":")
    if not number.isascii() or not number.isdigit() or (kind and kind not in LIES):
        raise TestnetError(f"{text!r} is neither COUNT nor COUNT:KIND, with a kind out of {', '.join(LIES)}")
    count = int(number)
    check_bearable(count, validators, allow_unsafe=allow_unsafe)
    return tuple(islice(cycle([one for one in LIES if not kind or one == kind]), count))


def check_bearable(count: int, validators: int, *, allow_unsafe: bool) -> None:
    """TestnetError when so many liars are more than the others can bear, or than there are members."""
    if count > validators:
        raise TestnetError(f"{count} of {validators} validators cannot lie: only who votes can; give more of them")
    if count > tolerated(validators) and not allow_unsafe:
        raise TestnetError(
            f"{validators} validators bear {tolerated(validators)} that lie, f = (n - 1) // 3, not {count}: with "
            f"more, honest ones may commit different blocks at one height. Give {3 * count + 1} validators, or "
            "--allow-unsafe to see that happen"
        )


async def make_liar(manifest: Manifest, name: str, kind: Lie, *, allow_unsafe: bool) -> Manifest:
    """Restart a validator as a liar, for good: what it has signed as one stays signed. The manifest as it is now."""
    node = manifest.node(name)
    voting = manifest.nodes[: manifest.validators]
    if node not in voting:
        who = f"{voting[0].name} to {voting[-1].name} do" if voting else "nobody does: `testnet up --validators 4`"
        raise TestnetError(f"{name} does not vote on a chain of this testnet, so it has nobody to lie to; {who}")
    liars = {one.name for one in voting if one.lie is not None} | {name}
    check_bearable(len(liars), manifest.validators, allow_unsafe=allow_unsafe)
    turned = replace(node, lie=kind)
    changed = replace(manifest, nodes=tuple(turned if one == node else one for one in manifest.nodes))
    save(changed)
    await runner.restart(changed, turned)
    return changed
