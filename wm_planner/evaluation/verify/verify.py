"""The reality report: sections measured one after another on one checkpoint."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from wm_planner.data.output import Interrupted
from wm_planner.evaluation.verify.contact import contact
from wm_planner.evaluation.verify.expectation import expectation
from wm_planner.evaluation.verify.factors import factors
from wm_planner.evaluation.verify.intervention import intervention
from wm_planner.evaluation.verify.lab import Lab
from wm_planner.evaluation.verify.prediction import prediction
from wm_planner.evaluation.verify.section import Section
from wm_planner.evaluation.verify.state import state

SECTIONS: dict[str, Callable[[Lab], Section]] = {
    "prediction": prediction,
    "intervention": intervention,
    "contact": contact,
    "expectation": expectation,
    "state": state,
    "factors": factors,
}
_OF_OBJECTS = ("contact",)


def applicable(with_object: bool) -> list[str]:
    """The sections that a task with or without an object to push has."""
    return [name for name in SECTIONS if with_object or name not in _OF_OBJECTS]


def verify(lab: Lab, names: list[str], progress: Callable[[str], None] = lambda name: None) -> list[Section]:
    """Measure the named sections, saying which is begun.

    Raises:
        ValueError: a section that does not exist, or not for this task.
        Interrupted: it ended early; `finished` are the sections before.
    """
    possible = applicable(lab.task.with_cube)
    if unknown := [name for name in names if name not in possible]:
        raise ValueError(f"sections {unknown} do not exist for {lab.task.name}, expected some of {possible}")
    sections: list[Section] = []
    for name in names:
        progress(name)
        began = time.monotonic()
        try:
            sections.append(SECTIONS[name](lab))
        except BaseException as reason:
            if not sections:
                raise
            raise Interrupted(f"{len(sections)} of {len(names)} sections, in {name}", reason, sections) from reason
        sections[-1].data["seconds"] = round(time.monotonic() - began)
    return sections


def as_json(sections: list[Section], facts: dict) -> dict:
    """Everything but the figures; `interrupted` among the facts says that sections are missing."""
    return facts | {
        "passed": "interrupted" not in facts and all(v.passed for s in sections for v in s.verdicts),
        "sections": {
            s.name: {
                "verdicts": [v._asdict() | {"measured": round(v.measured, 4), "passed": v.passed} for v in s.verdicts],
                "note": s.note,
                "data": s.data,
            }
            for s in sections
        },
    }


def report_facts(lab: Lab, checkpoint: Path, quick: bool) -> dict:
    """What was verified, and how thoroughly."""
    return {
        "task": lab.task.name,
        "checkpoint": checkpoint.name,
        "version": lab.facts.get("version", ""),
        "extent": "quick" if quick else "full",
    }
