"""The setting of the security budget."""

from collections.abc import Iterable
from typing import Annotated

import msgspec
from msgspec import Meta

from node.decision.security import Grant


class SecurityConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What may go to whom, beyond `client` and `caps`."""

    grants: Annotated[tuple[Grant, ...], Meta(max_length=64)] = ()
    """A task may go to a seller that one of these covers whole. None, the default: everybody may get what other limits
    allow. A task can only ask for more (`--proof`, `--only-to`)."""
    proof_life_s: Annotated[float, Meta(gt=0, le=366 * 86_400)] = 86_400.0
    """How long what a seller showed counts: a day, since machines are sold and models are swapped. A certificate that
    ends earlier counts until then."""


def unheard(grants: Iterable[Grant], attesters: Iterable[str]) -> str:
    """The first did:key that a grant wants a proof by, and that no attester policy names: nobody could show it."""
    believed = {line.split()[0] for line in attesters}
    wanted = (pattern for grant in grants for need in grant.needs for pattern in need.by if "*" not in pattern)
    return next((did for did in wanted if did not in believed), "")
