"""What a section of the reality report returns: plain data, verdicts, and figures to look at."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple


class Verdict(NamedTuple):
    """One measured number against its target; without a target it is only reported."""

    measure: str
    measured: float
    target: float | None
    sense: Literal[">=", "<="]

    @property
    def passed(self) -> bool:
        if self.target is None:
            return True
        return self.measured >= self.target if self.sense == ">=" else self.measured <= self.target


class Figure(NamedTuple):
    """A picture as a data URI, and what it shows."""

    uri: str
    caption: str


@dataclass
class Section:
    """name: the section's; data: JSON-able figures behind the verdicts; note: how it was measured."""

    name: str
    note: str
    verdicts: list[Verdict] = field(default_factory=list)
    data: dict[str, Any] = field(default_factory=dict)
    figures: list[Figure] = field(default_factory=list)
