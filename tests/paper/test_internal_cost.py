"""COALESCE section III.E.1: internal cost, worked by hand."""

import pytest

from node.decision.data.gpus import GPUS, Gpu
from node.decision.data.models import MODELS
from node.decision.hardware import api_cost_micro, gpu, gpu_of_device, model
from node.decision.inputs import InternalCost
from node.decision.internal_cost import (
    MachineRates,
    Pending,
    energy_usd,
    internal_cost,
    memory_share,
    opportunity_micro,
)
from node.decision.roofline import (
    Efficiency,
    LlmWork,
    decode_flop,
    estimate,
    kv_bytes_per_token,
    llm_option,
    memory_bytes,
    prefill_flop,
)
from node.errors import UsageError

HOUR_S = 3600.0


def test_eq_1_internal_cost_is_the_sum_of_its_five_terms() -> None:
    """COALESCE eq. (1)."""
    cost = InternalCost(compute_micro=1, memory_micro=2, energy_micro=4, opportunity_micro=8, depreciation_micro=16)
    assert cost.total_micro == 31


def test_eq_1_depreciation_is_counted_only_where_the_hourly_rate_leaves_it_out() -> None:
    """COALESCE eq. (1): the print counts a write-off in the rate and once more as depreciation."""
    included = internal_cost(HOUR_S, MachineRates(hourly_rate_usd=0.04))
    apart = internal_cost(
        HOUR_S, MachineRates(hourly_rate_usd=0.0, rate_includes_depreciation=False, purchase_usd=100, lifetime_hours=50)
    )
    assert included.depreciation_micro == 0
    assert apart.depreciation_micro == pytest.approx(2e6)


def test_eq_2_compute_cost_takes_time_once_and_hours_as_hours() -> None:
    """COALESCE eq. (2): t = FLOP / (P_peak U), cost = t / 3600 * $/h; the print multiplies by t twice."""
    device = Gpu(flop_per_s=1e12, memory_bytes=1e15, bandwidth_bytes_per_s=1e30, power_watts=0)
    work = LlmWork(read=1000, written=0)
    time_s = estimate(MODELS["llama-3-8b"], device, work, Efficiency(mfu=0.5)).time_s
    assert time_s == pytest.approx(prefill_flop(MODELS["llama-3-8b"], work) / 0.5e12)
    assert internal_cost(time_s, MachineRates(hourly_rate_usd=3.6)).compute_micro == pytest.approx(time_s * 1000)


def test_eq_2_flop_of_reading_and_of_writing() -> None:
    """COALESCE eq. (2), FLOPS(T): 2NS + 2LdS^2 and 2NO + 4Ld(SO + O^2/2)."""
    llama = MODELS["llama-3-8b"]
    assert prefill_flop(llama, LlmWork(1000, 0)) == 2 * 8.03e9 * 1000 + 2 * 32 * 4096 * 1000**2
    assert decode_flop(llama, LlmWork(1000, 200)) == 2 * 8.03e9 * 200 + 4 * 32 * 4096 * (1000 * 200 + 200**2 / 2)


@pytest.mark.parametrize("name", ["rtx-4090", "a100-80gb", "h100-sxm"])
def test_eq_2_decoding_is_bound_by_memory_so_that_flop_alone_are_100_to_240_times_too_low(name: str) -> None:
    """COALESCE eq. (2): the time of writing is that of moving the weights, not that of the arithmetic."""
    device = GPUS[name]
    work = LlmWork(read=500, written=200)
    found = estimate(MODELS["llama-3-8b"], device, work)
    by_flop_s = found.decode_flop / device.flop_per_s
    assert 90 <= found.decode_s / by_flop_s <= 500
    assert found.prefill_s < found.decode_s


def test_eq_3_memory_cost_is_the_share_of_the_memory_for_the_time() -> None:
    """COALESCE eq. (3), with (M_model + M_kv_cache + M_activations) / M_total."""
    rates = MachineRates(memory_hourly_usd=0.5, memory_bytes=1000, memory_share_max=1.0)
    assert memory_share(250, rates) == 0.25
    assert internal_cost(HOUR_S, rates, memory_bytes=250).memory_micro == pytest.approx(125_000)


def test_eq_3_memory_is_weights_cache_and_activations() -> None:
    """COALESCE eq. (3): 131,072 bytes of cache a token for Llama-3-8B, 327,680 for 70B."""
    assert kv_bytes_per_token(MODELS["llama-3-8b"]) == 131_072
    assert kv_bytes_per_token(MODELS["llama-3-70b"]) == 327_680
    needed = memory_bytes(MODELS["llama-3-8b"], LlmWork(900, 100), Efficiency(activation_share=0.0))
    assert needed == 8.03e9 * 2 + 131_072 * 1000


def test_eq_3_what_does_not_fit_is_not_priced_but_refused() -> None:
    """COALESCE eq. (3): the print gives a share above 1."""
    found = estimate(MODELS["llama-3-70b"], GPUS["rtx-4090"], LlmWork(100, 100))
    assert found.time_s == float("inf")
    assert found.why_not.startswith("it does not fit: it needs 138 GiB of memory and 20.6 GiB can be used")
    option = llm_option(MODELS["llama-3-70b"], LlmWork(100, 100), MachineRates(gpu="rtx-4090"), success=0.9)
    assert (option.feasible, option.why_not) == (False, found.why_not)


def test_eq_4_energy_is_power_times_utilisation_times_hours_times_the_price() -> None:
    """COALESCE eq. (4), in kW and h: 320 W * .75 for 2 h at $.15 a kWh, and the data centre's share on top."""
    rates = MachineRates(power_watts=320, utilization=0.75, energy_usd_per_kwh=0.15)
    assert energy_usd(2.0, rates) == pytest.approx(0.072)
    cooled = MachineRates(power_watts=320, utilization=0.75, energy_usd_per_kwh=0.15, pue=1.5)
    assert energy_usd(2.0, cooled) == pytest.approx(0.108)


def test_eq_5_opportunity_is_the_best_value_per_second_that_waits_but_no_more_than_all_of_it() -> None:
    """COALESCE eq. (5), capped: min(max V_i / t_i * t, sum V_i); the print has no cap."""
    queue = (Pending(value_micro=100, time_s=10), Pending(value_micro=30, time_s=1))
    assert opportunity_micro(2, queue) == 60
    assert opportunity_micro(1000, queue) == 130
    assert opportunity_micro(2, ()) == 0


def test_llm_work_on_a_gpu_is_priced_before_it_was_ever_measured() -> None:
    rates = MachineRates(gpu="l4", hourly_rate_usd=0.8)
    option = llm_option(MODELS["llama-3-8b"], LlmWork(1000, 200), rates, success=0.95)
    assert option.feasible
    assert 15 < option.time_s < 25  # 200 tokens, each reading 16 GB at 60 % of 300 GB/s
    assert option.cost.compute_micro == pytest.approx(option.time_s / 3600 * 0.8e6)
    assert option.samples == 0


def test_a_gpu_that_is_not_in_the_table_is_named_with_its_nearest_and_what_to_write() -> None:
    with pytest.raises(UsageError, match=r"no GPU 'rtx4090' is in the table \(nearest: rtx-4090.*machine\.gpus"):
        gpu("rtx4090")
    with pytest.raises(ValueError, match="gpu: no GPU 'h1000'"):
        MachineRates(gpu="h1000")
    with pytest.raises(UsageError, match="no model 'gpt-9'"):
        model("gpt-9")
    with pytest.raises(UsageError, match="no hosted model"):
        api_cost_micro("nobody/nothing", 1, 1)


def test_the_owners_figures_come_before_the_tables() -> None:
    from node.decision.hardware import ApiPrice, GpuFigures

    own = {"mine": GpuFigures(tflop_per_s=10, memory_gb=12, bandwidth_gb_per_s=300, power_watts=150)}
    assert gpu("mine", own) == Gpu(10e12, 12e9, 300e9, 150)
    assert MachineRates(gpu="mine", gpus=own).gpu == "mine"
    price = {"openai/gpt-4o": ApiPrice(input_usd=1, output_usd=2)}
    assert api_cost_micro("openai/gpt-4o", 1000, 500, price) == 2000
    assert api_cost_micro("openai/gpt-4o", 1_000_000, 0) == pytest.approx(2.5e6)


def test_a_driver_s_name_of_a_device_is_found_in_the_table() -> None:
    assert gpu_of_device("NVIDIA GeForce RTX 4090") == "rtx-4090"
    assert gpu_of_device("NVIDIA H200") == "h200"
    assert gpu_of_device("NVIDIA L4") == "l4"
    assert gpu_of_device("NVIDIA A100-SXM4-80GB") == "a100-80gb"
    assert gpu_of_device("NVIDIA H100 80GB HBM3") == "h100-sxm"
    assert gpu_of_device("NVIDIA GeForce RTX 3080 Ti") == ""
    assert gpu_of_device("Quadro P400") == ""
