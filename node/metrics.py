"""Prometheus metrics, computed when they are asked for."""

from collections.abc import Iterator, Mapping

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

Labelled = Mapping[str, float]


class _Once(Collector):
    """Hands over figures that were just taken."""

    def __init__(self, metrics: list[Metric]) -> None:
        self._metrics = metrics

    def collect(self) -> Iterator[Metric]:
        yield from self._metrics


def render(gauges: Mapping[str, tuple[str, float]], counters: Mapping[str, tuple[str, str, Labelled]]) -> bytes:
    """The text format 0.0.4. `gauges`: name -> (help, value); `counters`: name -> (help, label name, values)."""
    metrics: list[Metric] = [
        GaugeMetricFamily(f"coalesced_{name}", text, value) for name, (text, value) in gauges.items()
    ]
    for name, (text, label, values) in counters.items():
        family = CounterMetricFamily(f"coalesced_{name}", text, labels=[label])
        for key, value in values.items():
            family.add_metric([key], value)
        metrics.append(family)
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Once(metrics))
    return generate_latest(registry)
