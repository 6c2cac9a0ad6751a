"""How sellers are examined: by what they show, and by what they compute."""

from dataclasses import dataclass

from coalesced.compose.ground import Base
from node.credentials.examining import Examining
from node.credentials.proofs import Proofs
from node.outsource.client.reexamining import Reexaminer


@dataclass(frozen=True, slots=True)
class Examined:
    """What asks sellers for proofs."""

    proofs: Proofs
    examining: Examining
    reexaminer: Reexaminer


def build_examined(base: Base, proofs: Proofs) -> Examined:
    """What asks sellers for proofs, on demand and by itself."""
    ground = base.ground
    store = ground.store
    examining = Examining(
        own_key=ground.identity.public_key,
        env=ground.env,
        proofs=proofs,
        examinations=store.examinations,
        shown=store.shown,
        drifting=store.drifting,
        outcomes=store.outcomes,
    )
    reexaminer = Reexaminer(
        env=ground.env,
        config=base.config.examination,
        examining=examining,
        examinations=store.examinations,
        drifting=store.drifting,
        outcomes=store.outcomes,
        in_background=base.in_background,
    )
    return Examined(proofs, examining, reexaminer)
