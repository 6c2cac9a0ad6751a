"""What this machine is: processor, memory, and the GPUs that NVIDIA's driver reports where its Python package is."""

import importlib
import os
from dataclasses import dataclass

import psutil

from node.decision.hardware import gpu_of_device
from node.wording import counted

GIB = 2**30


@dataclass(frozen=True, slots=True)
class Device:
    """One GPU as its driver tells it; `power_watts` is its board limit."""

    name: str
    memory_bytes: int
    power_watts: float


def devices() -> tuple[Device, ...]:
    """The NVIDIA GPUs here; none without nvidia-ml-py, without a driver, or where the driver does not answer."""
    try:
        nvml = importlib.import_module("pynvml")
    except ImportError:
        return ()
    try:
        nvml.nvmlInit()
    except nvml.NVMLError:
        return ()
    try:
        handles = [nvml.nvmlDeviceGetHandleByIndex(index) for index in range(nvml.nvmlDeviceGetCount())]
        return tuple(
            Device(
                name=str(nvml.nvmlDeviceGetName(handle)),
                memory_bytes=int(nvml.nvmlDeviceGetMemoryInfo(handle).total),
                power_watts=nvml.nvmlDeviceGetPowerManagementLimit(handle) / 1000,
            )
            for handle in handles
        )
    except nvml.NVMLError:
        return ()
    finally:
        nvml.nvmlShutdown()


def described(configured_gpu: str, found: tuple[Device, ...]) -> tuple[str, str]:
    """This machine in one line, and what to write into the configuration; empty when there is nothing to write."""
    memory = psutil.virtual_memory()
    text = f"{counted(os.cpu_count() or 1, 'core')}, {memory.total / GIB:.1f} GiB of memory"
    if not found:
        return f"{text}, no GPU seen" + (f", {configured_gpu} configured" if configured_gpu else ""), ""
    first = found[0]
    named = ", ".join(f"{one.name} ({one.memory_bytes / GIB:.0f} GiB, {one.power_watts:.0f} W)" for one in found)
    if configured_gpu:
        return f"{text}, {named}, priced as {configured_gpu}", ""
    known = gpu_of_device(first.name)
    advice = (
        f'machine.gpu = "{known}"' if known else f"[machine.gpus] with the figures of {first.name}, and machine.gpu"
    )
    return f"{text}, {named}", f"write {advice} to price language models on it"
