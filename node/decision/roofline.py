"""How long LLM work takes on a GPU, before it was ever measured there: the roofline of COALESCE eq. (2).

Reading the prompt (prefill) is bound by arithmetic, writing (decode) by memory traffic: every written token reads all
weights and the cache so far. FLOP alone, as eq. (2) has it, puts decoding 100 to 240 times too low. The two shares of
the peak that are reached (MFU, MBU) are where calibration starts from.

    FLOP prefill = 2 N S + 2 L d S^2          S tokens read, O tokens written
    FLOP decode  = 2 N O + 4 L d (S O + O^2/2)
    bytes decode = O N b + KV (S O + O^2/2)   b bytes a weight, KV = 2 L H_kv d_h b_kv bytes a token

(Williams, Waterman & Patterson 2009; Pope et al. 2023, section 2.)
"""

from collections.abc import Iterable
from typing import Annotated, NamedTuple

from msgspec import Meta
from msgspec.structs import replace

from node.decision.checked import Checked, Probability, whole
from node.decision.data.gpus import Gpu
from node.decision.data.models import Model
from node.decision.hardware import gpu
from node.decision.inputs import LocalOption
from node.decision.internal_cost import MachineRates, Pending, does_not_fit_text, local_option

MAX_TOKENS = 10_000_000
GUESS_P95 = 2.0
"""The roofline is off by a factor of two at worst where it was compared; calibration narrows it."""


class Efficiency(Checked, frozen=True, kw_only=True):
    """What of the peak is reached, and what the weights weigh."""

    mfu: Probability = 0.45
    """Share of peak FLOP in prefill, before calibration."""
    mbu: Probability = 0.6
    """Share of peak bandwidth in decode, before calibration."""
    bytes_per_weight: Annotated[float, Meta(ge=0.1, le=8)] = 2.0
    """bf16."""
    bytes_per_kv: Annotated[float, Meta(ge=0.1, le=8)] = 2.0
    activation_share: Probability = 0.05
    """Of the weights: activations of one sequence in inference are small beside them."""
    memory_share_max: Probability = 0.92
    """More does not fit: driver and fragmentation need the rest."""


class LlmWork(NamedTuple):
    """Tokens read and written by one task."""

    read: int
    written: int


class LlmEstimate(NamedTuple):
    """What the roofline says of one task. Where it does not fit, `why_not` says so and the times are infinite."""

    prefill_s: float
    decode_s: float
    prefill_flop: float
    decode_flop: float
    memory_bytes: float
    why_not: str

    @property
    def time_s(self) -> float:
        """Prefill and decode."""
        return self.prefill_s + self.decode_s


def prefill_flop(model: Model, work: LlmWork) -> float:
    """2 N S + 2 L d S^2."""
    return 2.0 * model.parameters * work.read + 2.0 * model.layers * model.width * float(work.read) ** 2


def decode_flop(model: Model, work: LlmWork) -> float:
    """2 N O + 4 L d (S O + O^2 / 2)."""
    return 2.0 * model.parameters * work.written + 4.0 * model.layers * model.width * _attended(work)


def kv_bytes_per_token(model: Model, bytes_per_kv: float = 2.0) -> float:
    """2 L H_kv d_h bytes: Llama-3-8B 131,072, 70B 327,680."""
    return 2.0 * model.layers * model.kv_heads * model.head_width * bytes_per_kv


def memory_bytes(model: Model, work: LlmWork, efficiency: Efficiency) -> float:
    """M_model + M_kv_cache + M_activations of eq. (3)."""
    weights = model.parameters * efficiency.bytes_per_weight
    cache = kv_bytes_per_token(model, efficiency.bytes_per_kv) * (work.read + work.written)
    return weights * (1.0 + efficiency.activation_share) + cache


def estimate(model: Model, device: Gpu, work: LlmWork, efficiency: Efficiency | None = None) -> LlmEstimate:
    """Time and memory of one task on one GPU. ValueError for a token count that is negative or absurd."""
    chosen = efficiency or Efficiency()
    whole("LlmWork.read", work.read, 0, MAX_TOKENS)
    whole("LlmWork.written", work.written, 0, MAX_TOKENS)
    needed = memory_bytes(model, work, chosen)
    why_not = does_not_fit_text(needed, chosen.memory_share_max * device.memory_bytes)
    first, then = prefill_flop(model, work), decode_flop(model, work)
    if why_not:
        return LlmEstimate(float("inf"), float("inf"), first, then, needed, why_not)
    weights = model.parameters * chosen.bytes_per_weight
    kv = kv_bytes_per_token(model, chosen.bytes_per_kv)
    flop_per_s, bytes_per_s = device.flop_per_s * chosen.mfu, device.bandwidth_bytes_per_s * chosen.mbu
    moved_first = weights + kv * work.read if work.read else 0.0
    moved_then = work.written * weights + kv * _attended(work)
    return LlmEstimate(
        prefill_s=max(first / flop_per_s, moved_first / bytes_per_s),
        decode_s=max(then / flop_per_s, moved_then / bytes_per_s),
        prefill_flop=first,
        decode_flop=then,
        memory_bytes=needed,
        why_not="",
    )


def _attended(work: LlmWork) -> float:
    """Pairs of a written token and one before it: S O + O^2 / 2."""
    return float(work.read) * work.written + float(work.written) ** 2 / 2.0


def llm_option(
    model: Model,
    work: LlmWork,
    rates: MachineRates,
    *,
    success: float,
    efficiency: Efficiency | None = None,
    queue: Iterable[Pending] = (),
) -> LocalOption:
    """Doing LLM work on this machine's GPU, priced by eq. (1) before it was ever measured; or why it cannot be done.

    The GPU's memory is M_total of eq. (3), and its board power is drawn on top of the machine's.
    """
    if not rates.gpu:
        return LocalOption(feasible=False, why_not="this node has no GPU: name it in machine.gpu")
    device = gpu(rates.gpu, rates.gpus)
    found = estimate(model, device, work, efficiency)
    if found.why_not:
        return LocalOption(feasible=False, why_not=found.why_not)
    on_gpu = replace(
        rates,
        memory_bytes=int(device.memory_bytes),
        memory_share_max=1.0,  # what may be used of it is the estimate's to say
        power_watts=rates.power_watts + device.power_watts,
    )
    return local_option(
        time_s=found.time_s,
        p95_s=GUESS_P95 * found.time_s,
        samples=0,
        success=success,
        rates=on_gpu,
        memory_bytes=int(found.memory_bytes),
        queue=queue,
    )
