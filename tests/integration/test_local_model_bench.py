"""The comparison of predicted with measured time and energy, against an endpoint on a CPU: no claim about a card."""

import asyncio
import sys
from pathlib import Path

from tests.harness.openai_backend import backend

ROOT = Path(__file__).resolve().parents[2]


async def test_predicted_and_measured_times_are_compared_and_no_energy_is_made_up() -> None:
    async with backend() as served:
        words = (
            "--url",
            served.url,
            "--model",
            "small-1",
            "--figures",
            "llama-3-8b",
            "--gpu",
            "rtx-4090",
            "--runs",
            "8",
        )
        process = await asyncio.create_subprocess_exec(
            sys.executable, str(ROOT / "scripts/bench/local_model.py"), *words, stdout=asyncio.subprocess.PIPE
        )
        out, _ = await asyncio.wait_for(process.communicate(), 60)
    lines = out.decode().splitlines()
    assert process.returncode == 0
    assert [line.split(":")[0] for line in lines[1:]] == ["time, roofline", "time, calibrated", "energy"]
    assert lines[0].startswith("8 answers")
    assert lines[3] == "energy: not measured, no card here counts it"
