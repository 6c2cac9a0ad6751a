"""The 17 rows of the paper's experiments, with what Table I prints (13 of them)."""

from dataclasses import dataclass
from typing import Final

from coalesced.sim.market.scenario import Scenario


@dataclass(frozen=True, slots=True)
class Row:
    """One experiment; percentages as printed, None where the table leaves the row out."""

    name: str
    days: int
    clients: int
    printed_cost: float | None
    printed_cost_deviation: float | None
    printed_time: float | None
    rerun_metric: float
    rerun_honest: float
    """The authors' code run again, 20 seeds: their metric, and 1 - spent/all-local by what it books."""

    @property
    def scenario(self) -> Scenario:
        """The row's market, as their code has it."""
        return Scenario(
            name=self.name,
            clients=self.clients,
            contractors=2 * self.clients,
            tasks=None,
            hours=24 * self.days,
            arrivals="code",
            demand="code",
            skills="paper",
            always_offered=True,
            local_scale=1.0,
            printed_opportunity=True,
        )


ROWS: Final = (
    Row("dur_01", 1, 15, 27.1, 10.2, 33.0, 35.5, 21.6),
    Row("dur_02", 3, 15, 35.2, 10.7, 42.7, 36.0, 21.9),
    Row("dur_03", 5, 15, 40.5, 5.7, 46.2, 42.8, 24.3),
    Row("dur_04", 7, 15, 41.3, 23.0, 41.2, 42.7, 24.4),
    Row("dur_05", 10, 15, 38.0, 3.1, 44.1, 40.4, 23.6),
    Row("dur_06", 15, 15, None, None, None, 39.7, 23.4),
    Row("dur_07", 20, 15, None, None, None, 39.6, 23.5),
    Row("dur_08", 25, 15, None, None, None, 39.4, 23.3),
    Row("dur_09", 30, 15, None, None, None, 38.8, 23.0),
    Row("agt_01", 7, 5, 70.9, 26.2, 53.5, 65.4, 37.0),
    Row("agt_02", 7, 10, 59.7, 48.3, 42.9, 73.9, 34.8),
    Row("agt_03", 7, 15, 40.9, 12.6, 44.9, 42.7, 24.4),
    Row("agt_04", 7, 20, 40.7, 6.0, 45.3, 37.4, 22.4),
    Row("agt_05", 7, 25, 40.3, 2.5, 44.7, 37.1, 22.2),
    Row("agt_06", 7, 30, 39.1, 4.7, 46.8, 37.1, 22.2),
    Row("agt_07", 7, 40, 35.8, 2.2, 42.4, 37.3, 22.3),
    Row("agt_08", 7, 50, 35.4, 4.3, 41.0, 35.5, 21.6),
)
