"""Work on this machine: what it would cost, doing it, checking it; every measured run corrects the next price.

Both roles use it: the client to price and do local work and to verify, the contractor to price and do sold work.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager, nullcontext

import msgspec
import structlog

from node.decision.calibrate import Calibration, Prediction, Prior, observe, predict, start
from node.decision.hardware import gpu, model
from node.decision.inputs import InternalCost, LocalOption, VerificationOption
from node.decision.internal_cost import MachineRates, Pending, internal_cost, local_option
from node.decision.pace import USUAL, after_run, slowness
from node.decision.roofline import LlmWork, estimate
from node.decision.tokens import Usage, charge_micro
from node.decision.verification import VerificationConfig, verification_options
from node.errors import NodeError
from node.execute.conversation import Ask
from node.execute.execution import Execution
from node.execute.executor import Executor
from node.execute.job import Job
from node.execute.skill import Progress, Skill
from node.outsource.tokenbook import PREFIX as TOKENS_PREFIX
from node.outsource.tokenbook import TokenBook
from node.store.calibration import Calibrations
from node.tasks.content import Content, as_taken
from node.tasks.verify import FULL_SCORE_PPM, Judgement, check_form, judge
from protocol.specification import Effort, Level

log = structlog.get_logger()

UNKNOWN = Prior(seconds_per_unit=1e-3, level_deviation=5.0)
"""Before the first run of a type, almost nothing is claimed to be known: the first measurement decides."""
USUAL_READ_PER_S, USUAL_WRITTEN_PER_S = 1_000.0, 30.0
"""Tokens a second of a model of which nothing is known: between one on a laptop and one in a data centre."""
LOCAL_SUCCESS = 0.99
"""Own work of a skill that this node runs; it fails only when the machine does."""
FIRST_RUNS = 3
"""One run says how long, three say how sure."""
MEASURE_LIMIT_S = 20.0
"""Longest first measurement of a skill."""


class LocalWork:
    """Prices, runs and verifies on this machine."""

    def __init__(
        self,
        executor: Executor,
        calibrations: Calibrations,
        rates: MachineRates,
        verification: VerificationConfig,
        unix_ms: Callable[[], int],
    ) -> None:
        self.executor = executor
        self.rates = rates
        self.verification = verification
        self._calibrations = calibrations
        self._unix_ms = unix_ms
        self.tokens = TokenBook(calibrations, unix_ms)
        self._states: dict[str, Calibration] = {}
        self._pace = USUAL
        self._under_way: dict[object, Pending] = {}
        """In the order of their coming: the first run, the others wait."""

    async def load(self) -> None:
        """Take up the calibration of earlier runs; a state of an older form is measured anew."""
        kept = await self._calibrations.load()
        self.tokens.load(kept)
        for key, text in kept.items():
            if key.startswith(TOKENS_PREFIX):
                continue
            try:
                self._states[key] = msgspec.json.decode(text, type=Calibration)
            except (msgspec.ValidationError, ValueError) as error:
                log.warning("calibration.discarded", key=key, error=str(error))

    async def measure_new(self) -> None:
        """Try out each builtin skill that was never measured here, on a probe of its kind, one at a time."""
        for skill in self.executor.skills:
            if skill.is_builtin and _key(skill.label, "full") not in self._states:
                try:
                    data, media_type = await self.executor.probe(skill.label, timeout_s=MEASURE_LIMIT_S)
                    content = Content(media_type, data)
                    for _ in range(FIRST_RUNS):
                        await self.run(skill.label, content, "full", timeout_s=MEASURE_LIMIT_S)
                except NodeError as error:
                    log.warning("calibration.not_measured", skill=skill.label, error=str(error))

    def skill(self, label: str) -> Skill | None:
        """The skill of that label, if this node can do it."""
        return next((skill for skill in self.executor.skills if skill.label == label), None)

    def as_taken(self, label: str, content: Content) -> Content:
        """The input in the form that the skill takes; as it is for a skill that this node does not have."""
        skill = self.skill(label)
        return content if skill is None else as_taken(content, skill.input_media_types)

    async def units(self, label: str, content: Content) -> int:
        """Work units of an input; 1 for a skill that this node does not have. InputError when it is malformed."""
        if self.skill(label) is None:
            return 1
        return await self.executor.size(label, content.data, content.media_type)

    def predict(self, label: str, effort: Effort, units: int) -> Prediction:
        """How long such a run takes here, at the pace that this machine has just now."""
        state = self._states.get(_key(label, effort)) or self._borrowed(label) or start(self._prior(label, units))
        usual, factor = predict(state, units), self._slowness(label, state)
        return msgspec.structs.replace(usual, expected_s=usual.expected_s * factor, p95_s=usual.p95_s * factor)

    def option(self, label: str, effort: Effort, units: int, *, memory_bytes: int = 0) -> LocalOption:
        """Doing it here, priced: or why it cannot be done."""
        skill = self.skill(label)
        if skill is None:
            return LocalOption(feasible=False, why_not="this node does not have the skill")
        if effort not in skill.efforts:
            return LocalOption(feasible=False, why_not=f"the skill has no {effort} effort here")
        prediction = self.predict(label, effort, units)
        lane = self.executor.lane(label)
        waiting = max(0, lane.queued + 1 - lane.free_slots)
        option = local_option(
            time_s=prediction.expected_s,
            p95_s=prediction.p95_s,
            samples=prediction.runs,
            error=prediction.mean_relative_error,
            success=LOCAL_SUCCESS,
            rates=self.rates,
            wait_s=waiting * prediction.expected_s / lane.slots,
            memory_bytes=memory_bytes,
            machine_share=1 / lane.slots,
            queue=self.waiting() if skill.slots is None else (),
        )
        charged = self._charged_micro(skill, units)
        if charged is None or not option.feasible:
            return option
        return msgspec.structs.replace(option, cost=InternalCost(compute_micro=charged))

    def waiting(self) -> tuple[Pending, ...]:
        """Q of eq. (5): what waits here for a free slot, with what it is worth."""
        return tuple(self._under_way.values())[self.executor.slots :]

    def cost_micro(self, label: str, execution: Execution, units: int, *, memory_bytes: int = 0) -> float:
        """What a run has cost: its time here, or what whoever does it elsewhere charges for it."""
        skill = self.skill(label)
        charged = self._charged_micro(skill, units, execution.usage) if skill is not None else None
        if charged is None:
            slots = self.executor.lane(label).slots
            return self.spent_micro(execution.wall_s, memory_bytes=memory_bytes, slots=slots)
        return charged + execution.wasted_micro

    def is_charged(self, label: str) -> bool:
        """Whether whoever does the work charges this node for it."""
        skill = self.skill(label)
        return skill is not None and self._charged_micro(skill, 1) is not None

    def _charged_micro(self, skill: Skill, units: int, usage: Usage | None = None) -> float | None:
        """What a task costs where it is done elsewhere, by the tokens counted or expected; None: its time here."""
        if skill.tariff is None or skill.tariff.cost is None:
            return skill.charge_micro
        return charge_micro(skill.tariff.cost, usage or self.tokens.expected(skill.tariff, units))

    def spent_micro(self, wall_s: float, *, memory_bytes: int = 0, slots: int | None = None) -> float:
        """What so long on one of so many slots costs, of the workers' unless said otherwise (COALESCE eq. 1)."""
        cost = internal_cost(
            wall_s, self.rates, memory_bytes=memory_bytes, machine_share=1 / (slots or self.executor.slots)
        )
        return cost.total_micro

    def checks(self, label: str, local: LocalOption, *, seconds: int = 0) -> tuple[VerificationOption, ...]:
        """The verification levels to choose from, priced by the work's own local cost.

        `seconds` is how many sellers there are: with two, or with one and this node's own work, a result can be
        compared with a second one. `redundant` is not offered otherwise.
        """
        skill = self.skill(label)
        supported: set[Level] = set(skill.verification if skill else ()) - {"redundant"}
        if seconds >= 2 or (seconds == 1 and local.feasible):
            supported.add("redundant")
        options = verification_options(
            label,
            supported,
            work_micro=local.cost.total_micro,
            work_s=local.time_s,
            config=self.verification,
        )
        if seconds >= 2:
            return options
        return tuple(_compared_here(option, local) if option.level == "redundant" else option for option in options)

    async def run(
        self,
        label: str,
        content: Content,
        effort: Effort,
        *,
        timeout_s: float,
        memory_bytes: int | None = None,
        on_progress: Progress | None = None,
        ask: Ask | None = None,
        units: int = 1,
        worth_micro: float | None = None,
        budget_micro: int = 0,
        token: str = "",
        turn: AbstractAsyncContextManager[None] | None = None,
    ) -> Execution:
        """Do the work here, within the skill's own limits too, and learn from how long it took.

        `units` and `worth_micro` say how much work it is and what doing it brings, for what comes while it waits; None
        takes its own cost. `budget_micro` is the most that it may spend on tasks of its own, which it submits with
        `token`. `turn` is held while it runs. Raises what the executor raises.
        """
        skill = self.executor.skill(label)
        if skill.time_limit_s is not None:
            timeout_s = min(timeout_s, skill.time_limit_s)
        if skill.memory_limit_bytes is not None:
            memory_bytes = min(memory_bytes or skill.memory_limit_bytes, skill.memory_limit_bytes)
        with self.counted(label, effort, units, worth_micro) if skill.slots is None else nullcontext():
            async with turn or nullcontext():
                job = Job(
                    label,
                    content.data,
                    content.media_type,
                    effort=effort,
                    timeout_s=timeout_s,
                    memory_bytes=memory_bytes,
                    on_progress=on_progress,
                    ask=ask,
                    budget_micro=budget_micro,
                    token=token,
                )
                execution = await self.executor.run(job)
        if skill.tariff is not None and execution.usage is not None:
            await self.tokens.learn(skill.tariff, len(content.data), execution.usage)
        await self.learn_time(label, effort, await self.units(label, content), execution.wall_s)
        return execution

    @contextmanager
    def counted(self, label: str, effort: Effort, units: int, worth_micro: float | None) -> Iterator[None]:
        """Hold a run among those that are under way."""
        time_s = self.predict(label, effort, units).expected_s
        worth = self.spent_micro(time_s) if worth_micro is None else worth_micro
        place = object()
        self._under_way[place] = Pending(worth, time_s)
        try:
            yield
        finally:
            del self._under_way[place]

    async def verify(
        self,
        label: str,
        work: Content,
        result: Content,
        *,
        level: Level,
        min_score_ppm: int,
        seed: bytes,
        timeout_s: float,
    ) -> Judgement:
        """Judge a result at a level that `checks` offered. Of a skill that is not here, only the form can be judged."""
        if self.skill(label) is None:
            return judge(check_form(result.data, result.media_type), min_score_ppm=FULL_SCORE_PPM, cpu_s=0.0)
        return await self.executor.verify(
            label,
            work.data,
            work.media_type,
            result.data,
            output_media_type=result.media_type,
            level=level,
            min_score_ppm=min_score_ppm,
            seed=seed,
            timeout_s=timeout_s,
        )

    def seconds_per_unit(self, label: str) -> float | None:
        """Measured here at full effort; None before the first run."""
        state = self._states.get(_key(label, "full"))
        return predict(state, 1).expected_s if state else None

    def errors(self) -> dict[str, tuple[int, float]]:
        """Runs and mean relative error of the predicted time, by type of task."""
        return {key: (state.runs, state.error) for key, state in sorted(self._states.items())}

    def _prior(self, label: str, units: int) -> Prior:
        """Before the first run: for a model the roofline, where its shape and the GPU are known, or a usual speed."""
        skill = self.skill(label)
        if skill is not None and skill.usual_s is not None:
            return Prior(seconds_per_unit=skill.usual_s / units)
        if skill is None or skill.tariff is None:
            return UNKNOWN
        usage = self.tokens.expected(skill.tariff, units)
        guess_s = usage.read / USUAL_READ_PER_S + usage.written / USUAL_WRITTEN_PER_S
        if skill.tariff.figures and self.rates.gpu:
            shape = model(skill.tariff.figures, self.rates.models)
            found = estimate(shape, gpu(self.rates.gpu, self.rates.gpus), LlmWork(*usage))
            guess_s = guess_s if found.why_not else found.time_s
        return Prior(seconds_per_unit=guess_s / units)

    def _borrowed(self, label: str) -> Calibration | None:
        """Another effort of the same skill: an upper guess, since less effort is less work."""
        return self._states.get(_key(label, "full"))

    def _follows_pace(self, label: str, state: Calibration) -> bool:
        """A builtin skill of known speed: it computes, and here. What others wait for need not be this machine."""
        skill = self.skill(label)
        return skill is not None and skill.is_builtin and state.runs >= FIRST_RUNS

    def _slowness(self, label: str, state: Calibration) -> float:
        return slowness(self._pace, self._unix_ms() / 1000) if self._follows_pace(label, state) else 1.0

    async def learn_time(self, label: str, effort: Effort, units: int, measured_s: float) -> None:
        """Take in how long so much work of a kind took."""
        key, now_ms = _key(label, effort), self._unix_ms()
        before = self._states.get(key) or start(UNKNOWN)
        state = self._states[key] = observe(before, units, measured_s / self._slowness(label, before))
        if self._follows_pace(label, before):
            self._pace = after_run(self._pace, predict(before, units).expected_s, measured_s, now_ms / 1000)
        await self._calibrations.save(key, msgspec.json.encode(state).decode(), now_ms)


def _key(label: str, effort: Effort) -> str:
    return f"{label}/{effort}"


def _compared_here(option: VerificationOption, local: LocalOption) -> VerificationOption:
    """A redundant check whose second result is made here instead of bought."""
    return msgspec.structs.replace(
        option,
        cost_micro=option.cost_micro + local.cost.total_micro,
        time_s=option.time_s + local.time_s,
        price_share=0.0,
    )
