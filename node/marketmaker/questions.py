"""Questions whose answers are known: from the owner's files, or made up here and answered by this node's own skill."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from node.env import Env
from node.examination.items import Item
from node.execute import catalogue
from node.execute.executor import Executor
from node.execute.job import Job
from node.store.examinations import Examinations
from node.tasks.content import Content
from node.tasks.verify import FULL_SCORE_PPM, Finding, check_agreement

SCALE: Final = 0.02
"""Of made-up questions, in middle-sized tasks of the usual mix (node/execute/mix): small, and of as many sizes."""
ANSWER_LIMIT_S: Final = 30.0


@dataclass(frozen=True, slots=True)
class Question:
    """What is sent, and what has to come back."""

    content: Content
    expected: Content

    def judge(self, answer: Content) -> Finding:
        """Full score where the answer is the known one."""
        if answer.media_type != self.expected.media_type:
            return Finding(0, (f"the result is {answer.media_type}, not {self.expected.media_type}",))
        finding = check_agreement(self.expected.data, answer.data, answer.media_type)
        if finding.score_ppm == FULL_SCORE_PPM:
            return finding
        return Finding(0, ("the result is wrong",))  # Not in which place: the seller reads it in the fault report.


class Questions:
    """Draws questions. A file's are asked once each, as in a test of a skill."""

    def __init__(
        self, *, items: Mapping[str, tuple[Item, ...]], executor: Executor, examinations: Examinations, env: Env
    ) -> None:
        self._items = items
        self._executor = executor
        self._examinations = examinations
        self._env = env

    @property
    def skills(self) -> tuple[str, ...]:
        """What there can be questions for."""
        builtin = (skill.label for skill in self._executor.skills if skill.label in catalogue.PACKAGES)
        return tuple(sorted({*self._items, *builtin}))

    async def draw(self, skill: str) -> Question | None:
        """A question that nobody was asked before; None where there is none. NodeError where it cannot be answered."""
        if skill in self._items:
            return await self._from_file(skill)
        return await self._made_up(skill) if skill in self.skills else None

    async def _from_file(self, skill: str) -> Question | None:
        items = self._items[skill]
        retired = await self._examinations.retired([item.input_sha256 for item in items])
        left = [item for item in items if item.input_sha256 not in retired]
        if not left:
            return None
        item = self._env.rng.choice(left)
        await self._examinations.asked(item.input_sha256, self._env.unix_ms())
        return Question(
            Content(item.media_type, item.input.encode()),
            Content(item.expected_media_type, item.expected.encode()),
        )

    async def _made_up(self, skill: str) -> Question:
        from node.execute.mix import FACTOR, MixedTask  # numpy

        size = SCALE * FACTOR ** self._env.rng.uniform(-0.5, 0.5)
        task = MixedTask(skill, int.from_bytes(self._env.entropy(6), "big"), size)
        case = await self._env.offload(task.case)
        done = await self._executor.run(Job(skill, case.input, case.media_type, timeout_s=ANSWER_LIMIT_S))
        return Question(Content(case.media_type, case.input), Content(done.media_type, done.output))
