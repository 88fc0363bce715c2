"""What a workload is: a name, the figures it yields with their goals, and a trial that measures them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from bench.runners import Runner

Figures = Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """One column: what it is called, how it is written, and what devport has to reach."""

    key: str
    title: str
    digits: int = 1
    goal: float | None = None
    more_is_better: bool = False

    def met(self, value: float) -> bool:
        """Whether the goal is reached."""
        assert self.goal is not None
        return value >= self.goal if self.more_is_better else value <= self.goal

    def goal_text(self) -> str:
        """The goal as a person writes it."""
        return f"{'at least' if self.more_is_better else 'at most'} {self.goal:g}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """One table. `relative` names a figure that is also given as a ratio (`share`): to which other figure of
    which limit in the same round. `tools` are those that it is for, all without.
    """

    name: str
    title: str
    measures: tuple[Measure, ...]
    trial: Callable[[Runner], Figures]
    rounds: int
    relative: tuple[str, str, str] | None = None
    tools: frozenset[str] | None = None
