"""Which GPU, which model, which price: the owner's figures first, then the dated tables of node/decision/data."""

import difflib
from collections.abc import Mapping
from typing import Annotated, TypeVar

from msgspec import Meta

from node.decision.checked import Checked, whole
from node.decision.data.gpus import DRIVER_WORDS, GPUS, OTHER_VARIANTS, Gpu
from node.decision.data.models import MODELS, Model
from node.decision.data.prices import PRICES
from node.errors import UsageError

T = TypeVar("T")


class GpuFigures(Checked, frozen=True, kw_only=True):
    """A GPU that the table lacks, or other figures for one that it has."""

    tflop_per_s: Annotated[float, Meta(ge=0.001, le=1e9)]
    """Dense bf16, without sparsity."""
    memory_gb: Annotated[float, Meta(ge=0.1, le=1e6)]
    bandwidth_gb_per_s: Annotated[float, Meta(ge=0.1, le=1e9)]
    power_watts: Annotated[float, Meta(ge=0, le=1e6)]


class ModelFigures(Checked, frozen=True, kw_only=True):
    """A model that the table lacks, or other figures for one that it has."""

    parameters: Annotated[float, Meta(ge=1e3, le=1e15)]
    layers: Annotated[int, Meta(ge=1, le=10_000)]
    width: Annotated[int, Meta(ge=1, le=1_000_000)]
    kv_heads: Annotated[int, Meta(ge=1, le=10_000)]
    head_width: Annotated[int, Meta(ge=1, le=100_000)]


class ApiPrice(Checked, frozen=True, kw_only=True):
    """What a hosted model charges for a million tokens."""

    input_usd: Annotated[float, Meta(ge=0, le=1e6)]
    output_usd: Annotated[float, Meta(ge=0, le=1e6)]


def gpu(name: str, own: Mapping[str, GpuFigures] | None = None) -> Gpu:
    """The GPU of that name, the owner's figures first; UsageError with the nearest names, and what to write."""
    figures = (own or {}).get(name)
    if figures is not None:
        return Gpu(
            figures.tflop_per_s * 1e12,
            figures.memory_gb * 1e9,
            figures.bandwidth_gb_per_s * 1e9,
            figures.power_watts,
        )
    return _known(
        name,
        GPUS,
        "GPU",
        f'[machine.gpus."{name}"] with tflop_per_s (dense bf16), memory_gb, bandwidth_gb_per_s and power_watts',
    )


def model(name: str, own: Mapping[str, ModelFigures] | None = None) -> Model:
    """The model of that name, the owner's figures first; UsageError with the nearest names, and what to write."""
    figures = (own or {}).get(name)
    if figures is not None:
        return Model(figures.parameters, figures.layers, figures.width, figures.kv_heads, figures.head_width)
    return _known(name, MODELS, "model", "its parameters, layers, width, kv_heads and head_width")


def api_cost_micro(name: str, read: int, written: int, own: Mapping[str, ApiPrice] | None = None) -> float:
    """What a hosted model charges for `read` and `written` tokens; UsageError for one without a known price."""
    price = (own or {}).get(name)
    given = (
        _known(name, PRICES, "hosted model", f'[machine.api_prices."{name}"] with input_usd and output_usd')
        if price is None
        else (price.input_usd, price.output_usd)
    )
    return whole("read", read, 0, 2**53) * given[0] + whole("written", written, 0, 2**53) * given[1]


def gpu_of_device(device: str) -> str:
    """The table's name for what a driver calls a device ("NVIDIA GeForce RTX 4090"); empty when it has none."""
    words = set(device.lower().replace("-", " ").split())
    if words & OTHER_VARIANTS:
        return ""
    return next((name for name, needed in DRIVER_WORDS.items() if needed <= words), "")


def _known(name: str, table: Mapping[str, T], kind: str, advice: str) -> T:
    found = table.get(name)
    if found is None:
        near = difflib.get_close_matches(name.lower(), table, 3, cutoff=0.4)
        there = f"nearest: {', '.join(near)}" if near else f"there are {', '.join(table)}"
        raise UsageError(f"no {kind} {name[:70]!r} is in the table ({there}); to use it, write {advice}")
    return found
