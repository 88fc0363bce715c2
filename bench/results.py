"""The figures of a run, per workload, tool and round; their medians and spread; and why some are missing."""

import math
import statistics
from dataclasses import dataclass, field

from bench.workload import Figures, Measure, Workload


@dataclass(frozen=True, slots=True)
class Spread:
    """The median of some rounds, with the least and the most."""

    median: float
    least: float
    most: float

    def text(self, digits: int) -> str:
        """As a table's cell; no range where there is none to see."""
        median, least, most = (f"{value:,.{digits}f}" for value in (self.median, self.least, self.most))
        return median if least == most else f"{median} ({least}-{most})"


@dataclass(slots=True)
class Results:
    """What one workload yielded, tool by tool in the order of their turns."""

    workload: Workload
    rounds: dict[str, dict[int, Figures]] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)

    def add(self, tool: str, number: int, figures: Figures) -> None:
        """Keep one round's figures, with their ratio to the limit's where the workload wants one."""
        key, limit, of_limit = self.workload.relative or ("", "", "")
        base = self.rounds.get(limit, {}).get(number)
        share = {"share": figures[key] / base[of_limit]} if base else {}
        self.rounds.setdefault(tool, {})[number] = {**figures, **share}

    def spread(self, tool: str, measure: Measure) -> Spread | None:
        """The figures of one column; none where there are none."""
        found = [figures.get(measure.key, math.nan) for figures in self.rounds.get(tool, {}).values()]
        values = [value for value in found if not math.isnan(value)]
        return Spread(statistics.median(values), min(values), max(values)) if values else None
