"""GPUs by their makers' figures: what they compute, hold, move and draw."""

from typing import NamedTuple

AS_OF = "2026-11-21"
SOURCE = (
    "NVIDIA data sheets and architecture white papers (Ampere GA102, Ada AD102, L4, L40S, A100, H100, H200): dense "
    "bf16 tensor throughput with fp32 accumulation and without sparsity, memory, bandwidth and board power"
)


class Gpu(NamedTuple):
    """One kind of GPU. `flop_per_s` is dense bf16, without sparsity."""

    flop_per_s: float
    memory_bytes: float
    bandwidth_bytes_per_s: float
    power_watts: float


def _gpu(tflop_per_s: float, memory_gb: float, gb_per_s: float, watts: float) -> Gpu:
    return Gpu(tflop_per_s * 1e12, memory_gb * 1e9, gb_per_s * 1e9, watts)


GPUS = {
    "rtx-3080": _gpu(59.5, 10, 760, 320),
    "rtx-4090": _gpu(165, 24, 1008, 450),
    "l4": _gpu(121, 24, 300, 72),
    "l40s": _gpu(362, 48, 864, 350),
    "a100-80gb": _gpu(312, 80, 2039, 400),
    "h100-sxm": _gpu(989, 80, 3350, 700),
    "h200": _gpu(989, 141, 4800, 700),
}

DRIVER_WORDS = {
    "rtx-3080": {"rtx", "3080"},
    "rtx-4090": {"rtx", "4090"},
    "l4": {"l4"},
    "l40s": {"l40s"},
    "a100-80gb": {"a100", "80gb"},
    "h100-sxm": {"h100", "hbm3"},
    "h200": {"h200"},
}
"""What the driver's name of each holds: "NVIDIA A100-SXM4-80GB", "NVIDIA H100 80GB HBM3"."""
OTHER_VARIANTS = {"ti", "super", "laptop", "d", "mobile"}
"""Words of devices with other figures."""
assert set(DRIVER_WORDS) == set(GPUS)
