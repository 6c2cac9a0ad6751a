"""From an AskRequest to one well-formed task, or the plan of several: the node's defaults filled in, limits checked."""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import TypeVar

import msgspec

from crypto.identity import parse_did_key
from node.decision.policies.settings import PolicyName
from node.decision.security import Demand
from node.errors import RefusedError, UsageError
from node.outsource.config import ClientConfig
from node.outsource.delegations import Part
from node.outsource.localwork import LocalWork
from node.tasks.content import JSON, TEXT, Content, File, as_taken, assemble
from node.tasks.plan import Plan, Step, parse_plan, per_document
from node.tasks.spec import Wishes, digest, encode_specification, specify
from node.tasks.verify import Finding
from node.verification.bundles import NOTHING, Subject, Wanted, level_in, wanted_of
from node.views import AskRequest, Preference
from protocol.specification import LEVELS, PRIVACY_LEVELS, Specification

T = TypeVar("T")
NO_DEMAND = Demand()
DEFAULT_SCORE_PPM = 500_000
"""Half of what was asked for, where nothing is known about the skill's scores."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Undisclosed:
    """What no seller is told of a task: it looks like any other."""

    purse_micro: int | None = None
    """The most that it may cost, where that is less than its budget; None: the budget alone counts."""
    check: Callable[[Content], Finding] | None = None
    """The asker's own check of a result, beside the level's: it knows the answer, or what it must say. Runs off the
    event loop; what it does not give the full score is refused."""


NOTHING_KEPT = Undisclosed()


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """One task, ready to be decided."""

    task_id: bytes
    specification: Specification
    encoded: bytes
    content: Content
    value_micro: int | None
    prefer: Preference
    policy: PolicyName | None = None
    """Which rule decides; None = the configured one."""
    what_if: tuple[str, ...] = ()
    """What a dry run changes, as `name=value`."""
    demand: Demand = NO_DEMAND
    """Whom it may go to and what they must have shown, beyond the node's security budget."""
    words: str = ""
    """What was asked for, where that was no label: the skill was found by what it means."""
    reading: str = ""
    """How those words were understood, as a sentence."""
    wanted: Wanted = NOTHING
    """What of the result is to be checked, beside the level."""
    only: bytes | None = None
    """The seller that alone may be hired; None = whoever is best, or this node."""
    undisclosed: Undisclosed = NOTHING_KEPT

    @property
    def skill(self) -> str:
        """What it needs."""
        return self.specification.skill

    @property
    def subject(self) -> Subject:
        """What is checked when its result has come."""
        return Subject(
            skill=self.skill,
            work=self.content,
            effort=self.specification.effort,
            wanted=self.wanted,
            min_score_ppm=self.specification.verification.min_score_ppm,
        )

    @property
    def specification_sha256(self) -> bytes:
        """What quotes and receipts commit to."""
        return digest(self.encoded)


def in_json(ask: Ask) -> Ask | None:
    """The same task with its text as the JSON that it is, for sellers that take no text; None where it is none."""
    content = as_taken(ask.content, (JSON,))
    if content.media_type == ask.content.media_type:
        return None
    given = msgspec.structs.replace(ask.specification.input, media_type=JSON)
    specification = msgspec.structs.replace(ask.specification, input=given)
    said = f"sent as {JSON}: who sells it takes no {TEXT}"
    return replace(
        ask,
        specification=specification,
        encoded=encode_specification(specification),
        content=content,
        reading=f"{ask.reading}; {said}" if ask.reading else said.capitalize(),
    )


def demand_of(request: AskRequest) -> Demand:
    """What the request asks of sellers."""
    return Demand(only_to=request.only_to, proofs=request.proofs)


def wishes_of(request: AskRequest, config: ClientConfig) -> Wishes:
    """The request's own wishes, and the node's defaults for the rest."""
    return Wishes(
        budget_micro=_either(request.budget_micro, config.default_budget_micro),
        deadline_s=_either(request.deadline_s, config.default_deadline_s),
        privacy=_either(request.privacy, config.default_privacy),
        regions=request.regions,
        effort=_either(request.effort, config.default_effort),
        least_level=_either(level_in(request.verify) or request.least_level, config.default_least_level),
        min_score_ppm=request.min_score_ppm,
        max_output_bytes=config.max_output_bytes,
    )


def bounded(request: AskRequest, part: Part, config: ClientConfig) -> AskRequest:
    """A request handed on by a running task: within its part of that task's budget, the time that one has left, and to
    nobody to whom that one may not go. RefusedError where nobody is left.
    """
    wishes, reach = wishes_of(request, config), part.reach
    return msgspec.structs.replace(
        request,
        budget_micro=part.budget_micro,
        deadline_s=min(wishes.deadline_s, part.left_s),
        privacy=max(wishes.privacy, reach.privacy, key=PRIVACY_LEVELS.index),
        regions=_within(request.regions, reach.regions, lambda region, allowed: region == allowed),
        only_to=_within(request.only_to, reach.demand.only_to, fnmatchcase),
        proofs=tuple(dict.fromkeys((*reach.demand.proofs, *request.proofs))),
    )


def _within(wanted: tuple[str, ...], allowed: tuple[str, ...], fits: Callable[[str, str], bool]) -> tuple[str, ...]:
    """What is wanted of what is allowed; where either is empty, it sets no limit."""
    if not wanted or not allowed:
        return wanted or allowed
    if not (both := tuple(one for one in wanted if any(fits(one, other) for other in allowed))):
        raise RefusedError(f"the task that hands this on may go to {', '.join(allowed)} alone, not to {wanted[0]}")
    return both


def _either(wish: T | None, default: T) -> T:
    return default if wish is None else wish


def files_of(request: AskRequest) -> tuple[File, ...]:
    """The files handed over."""
    return tuple(File(file.name, file.media_type, file.data) for file in request.files)


def plan_of(request: AskRequest) -> Plan | None:
    """The plan that the request holds or that follows from it; None for a single task, and for a goal (`by`)."""
    files = files_of(request)
    if not (request.plan or request.split or request.by):
        return None
    if request.by and (request.plan or request.split):
        raise UsageError(f"by = {request.by!r} makes a plan, and one is given already: leave one out")
    names = [file.name for file in files]
    if doubled := sorted({name for name in names if names.count(name) > 1}):
        raise UsageError(f"two files are named {doubled[0]!r}: a plan tells its files apart by their names")
    if request.by:
        return None
    if request.plan:
        try:
            plain = json.loads(request.plan)
        except (ValueError, RecursionError) as error:
            raise UsageError(f"the plan is not JSON: {error}") from error
        return parse_plan(plain, names)
    return per_document(request.skill, request.text, files)


async def ask_of(
    task_id: bytes,
    skill: str,
    content: Content,
    wishes: Wishes,
    *,
    value_micro: int | None,
    prefer: Preference,
    policy: str = "",
    what_if: tuple[str, ...] = (),
    demand: Demand = NO_DEMAND,
    words: str = "",
    reading: str = "",
    only: bytes | None = None,
    wanted: Wanted = NOTHING,
    work: LocalWork | None,
) -> Ask:
    """One task for one skill. InputError when this node has the skill and the input is malformed.

    `work` None: nothing is measured (a plan as a whole is no work).
    """
    known = work.skill(skill) if work is not None else None
    units = await work.units(skill, content) if work is not None and known is not None else 0
    usual = known.min_score_ppm.get(wishes.effort, DEFAULT_SCORE_PPM) if known is not None else DEFAULT_SCORE_PPM
    wishes = replace(wishes, least_level=max(wishes.least_level, wanted.least_level, key=LEVELS.index))
    specification = specify((skill,), content, units, wishes, usual_score_ppm=usual)
    return Ask(
        task_id=task_id,
        specification=specification,
        encoded=encode_specification(specification),
        content=content,
        value_micro=value_micro,
        prefer=prefer,
        policy=_policy_name(policy) if policy else None,
        what_if=what_if,
        demand=demand,
        words=words,
        reading=reading,
        only=only,
        wanted=wanted,
    )


def wanted_for(request: AskRequest, content: Content) -> Wanted:
    """What is to be checked: as the request says, and the form that a chat itself asks for, where it can be checked."""
    if request.result_schema or request.verify:
        return wanted_of(request.verify, request.result_schema or _schema_in(content), request.min_score_ppm)
    try:
        return wanted_of((), _schema_in(content), request.min_score_ppm)
    except UsageError:
        return NOTHING


def of_step(request: AskRequest, step: Step) -> AskRequest:
    """A plan's request as it is for one of its steps: what all are checked by, and what this one is."""
    schema = request.result_schema if step.result_schema is None else json.dumps(step.result_schema)
    return msgspec.structs.replace(request, verify=(*request.verify, *step.checks), result_schema=schema)


def told_of(skill: str, content: Content, wanted: Wanted) -> Content:
    """The input as it is sold: a model is told which form its answer must have."""
    if wanted.schema is None:
        return content
    from node.execute.openai.material import asking_for

    return asking_for(skill, content, wanted.schema.text)


def _schema_in(content: Content) -> str:
    # Most inputs hold no such word, and are not read for it.
    if b"response_format" not in content.data:
        return ""
    from node.execute.openai.material import schema_in

    return schema_in(content)


def single_content(request: AskRequest, config: ClientConfig) -> Content:
    """The input of a request without a plan."""
    return assemble(request.text, files_of(request), config.max_input_bytes)


def only_of(request: AskRequest) -> bytes | None:
    """The key of the seller that the request is for; UsageError where it names none."""
    try:
        return parse_did_key(request.only) if request.only else None
    except ValueError as error:
        raise UsageError(f"only: {error}") from error


def _policy_name(text: str) -> PolicyName:
    """The policy of that name; UsageError, with the nearest names, when there is none."""
    from node.decision.policies.registry import policy

    return policy(text).name
