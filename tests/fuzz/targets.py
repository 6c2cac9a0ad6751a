"""Every parser that is fuzzed: one file an area, all of them here."""

from typing import Final

from tests.fuzz.areas import (
    channel,
    consensus,
    console,
    control,
    discovery,
    drawing,
    messages,
    proofs,
    records,
    seller,
    session,
    settings,
    skills,
    workers,
)
from tests.fuzz.target import Target

ALL: Final[tuple[Target, ...]] = (
    *channel.TARGETS,
    *messages.TARGETS,
    *session.TARGETS,
    *proofs.TARGETS,
    *records.TARGETS,
    *consensus.TARGETS,
    *discovery.TARGETS,
    *settings.TARGETS,
    *seller.TARGETS,
    *control.TARGETS,
    *console.TARGETS,
    *drawing.TARGETS,
    *skills.TARGETS,
    *workers.TARGETS,
)
BY_NAME: Final[dict[str, Target]] = {target.name: target for target in ALL}
