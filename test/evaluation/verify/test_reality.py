"""The shipped models are real: the quick report, with margins that honest noise does not cross."""

from __future__ import annotations

import pytest

from wm_planner.configurator.paths import checkpoint_path
from wm_planner.evaluation.verify.lab import QUICK, Lab
from wm_planner.evaluation.verify.section import Section
from wm_planner.evaluation.verify.verify import applicable, as_json, verify
from wm_planner.sim.tasks import get_task

# Measured by the quick report, with room for another draw of scenes; targets are those of the report.
LEAST = {
    "panda_reach": {
        "top-1 at 4 steps": 0.75,
        "AUROC of teleport": 0.95,
        "AUROC of frozen": 0.9,
        "AUROC of obstacle": 0.85,
        "R2 of position": 0.8,
    },
    "panda_push": {
        "top-1 at 4 steps": 0.75,
        "AUROC of teleport": 0.95,
        "AUROC of frozen": 0.9,
        "AUROC of obstacle": 0.85,
        "AUROC of pass-through": 0.8,
        "balanced accuracy of contact": 0.65,
        "R2 of position": 0.8,
    },
    "rover_rooms": {
        "top-1 at 4 steps": 0.7,
        "top-1 at 8 steps": 0.8,
        "AUROC of teleport": 0.95,
        "AUROC of frozen": 0.9,
        "AUROC of obstacle": 0.85,
        "R2 of position": 0.8,
    },
}
MOST = {
    "error at 8 steps / copying the last latent": 0.35,
    "error at 8 steps / linear dynamics": 0.9,
    "AUROC of light (harmless)": 0.75,
    "AUROC of floor colour (harmless)": 0.75,
}


@pytest.fixture(scope="module", params=sorted(LEAST))
def sections(request: pytest.FixtureRequest) -> tuple[str, list[Section]]:
    task = get_task(request.param)
    lab = Lab(task, checkpoint_path(task.name), QUICK._replace(scenes=8, events=12, contacts=20))
    try:
        contact = ["contact"] if task.with_cube else []
        return task.name, verify(lab, ["prediction", "intervention", *contact, "expectation", "state"])
    finally:
        lab.close()


@pytest.mark.timeout(1200)
def test_shipped_models_are_real(sections: tuple[str, list[Section]]) -> None:
    task, done = sections
    measured = {v.measure: v.measured for section in done for v in section.verdicts}
    assert {name: measured[name] for name in LEAST[task] if measured[name] < LEAST[task][name]} == {}
    assert {name: measured[name] for name in MOST if measured[name] > MOST[name]} == {}


@pytest.mark.timeout(1200)
def test_the_report_holds_data_and_figures(sections: tuple[str, list[Section]]) -> None:
    _, done = sections
    report = as_json(done, {"task": "it"})
    assert set(report["sections"]) == {s.name for s in done}
    assert all(section.figures for section in done)
    for section in report["sections"].values():
        assert section["data"]["seconds"] >= 0
        assert all({"measure", "measured", "target", "passed"} <= set(v) for v in section["verdicts"])


def test_sections_that_do_not_exist_are_named() -> None:
    task = get_task("panda_reach")
    assert "contact" in applicable(True) and "contact" not in applicable(False)
    lab = Lab(task, checkpoint_path(task.name), QUICK)
    try:
        with pytest.raises(ValueError, match=r"'contact'.*expected some of"):
            verify(lab, ["contact"])
    finally:
        lab.close()
