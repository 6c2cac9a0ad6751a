"""The configured judge: a model that grades what other models delivered."""

import msgspec

from node.decision.hardware import ApiPrice
from node.decision.tokens import Tariff
from node.decision.verification import JudgeConfig
from node.errors import NodeError
from node.execute.errors import FormatError
from node.execute.execution import Execution
from node.execute.job import Job
from node.execute.openai.form import WishedForm
from node.execute.openai.model import OpenAiModel
from node.execute.openai.offer import cost_rate, skill_of
from node.execute.openai.reply import ChatResult
from node.execute.skill import JSON, worst_micro
from node.verification.judging import Grade, NoGradeError, judge_request, read_grade
from node.views import ModelSource

LABEL = "judge"
"""What the judge's times are kept under; it is no skill, and nobody can ask for it."""
USUAL_NONCE = "0" * 16
"""As long as any."""


def judge_source(config: JudgeConfig) -> ModelSource:
    """The judge as a model behind an endpoint, like those on sale."""
    return ModelSource(
        url=config.url,
        model=config.model,
        key_env=config.key_env,
        key_file=config.key_file,
        cost=config.cost,
        max_tokens=config.max_tokens,
        per_minute=config.per_minute,
    )


class JudgeModel:
    """Asks the judge, once for each answer; a reply in another form is asked for once more."""

    def __init__(self, config: JudgeConfig, prices: dict[str, ApiPrice]) -> None:
        """UsageError where nobody knows what the judge charges."""
        self.config = config
        source = judge_source(config)
        skill = skill_of(source, LABEL, "", cost_rate(source, prices))
        assert skill.tariff is not None
        self.tariff: Tariff = skill.tariff
        self._model = OpenAiModel(source, skill)
        self._form = WishedForm()

    async def ask(self, task: str, answer: str, nonce: str, *, timeout_s: float) -> Execution:
        """The judge's reply, for `grade_in`. NoGradeError when there is none to be had."""
        request = judge_request(task, answer, nonce, self.config.max_tokens)
        return await self._form.asked(request, lambda sent: self._asked(sent, timeout_s))

    def most_micro(self, task: str, answer: str) -> int:
        """The most that its endpoint can charge for one grade."""
        request = judge_request(task, answer, USUAL_NONCE, self.config.max_tokens)
        return worst_micro(self._model.skill, len(msgspec.json.encode(request)))

    async def _asked(self, request: dict[str, object], timeout_s: float) -> Execution:
        try:
            job = Job(LABEL, msgspec.json.encode(request), JSON, timeout_s=timeout_s)
            return await self._model.run(job)
        except FormatError:
            raise
        except NodeError as error:
            raise NoGradeError(f"the judge cannot be asked: {error}", error.spent_micro) from error


def grade_in(reply: Execution, nonce: str) -> Grade:
    """The grade in a judge's reply; NoGradeError where it is none."""
    return read_grade(msgspec.json.decode(reply.output, type=ChatResult).content, nonce)
