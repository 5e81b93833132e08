"""Factors of variation: success when one thing is other than in training."""

from __future__ import annotations

from wm_planner.evaluation.evaluate import evaluate
from wm_planner.evaluation.verify.figures import bars
from wm_planner.evaluation.verify.lab import Lab
from wm_planner.evaluation.verify.section import Section, Verdict
from wm_planner.evaluation.wilson import wilson
from wm_planner.sim.factors import FACTORS, factors_of

SEED = 31  # of scenes; not those of the published evaluations
RETAINED = 0.9


def factors(lab: Lab) -> Section:
    """Success under each factor, as a share of nominal success on the same scenes."""
    names = factors_of(lab.task.with_cube)
    successes = {name: _successes(lab, name) for name in (None, *names)}
    n, nominal = lab.size.trials, max(successes[None], 1)
    retained = {name: successes[name] / nominal for name in names}
    section = Section(
        "factors",
        f"{n} trials each on the same scenes; nominal success {successes[None]} of {n}. The goal image is taken under "
        "the same factor.",
        [Verdict(f"success kept under {name}", retained[name], RETAINED, ">=") for name in names],
        {
            "nominal": _entry(successes[None], n),
            "factors": {
                name: _entry(successes[name], n) | {"retained": round(retained[name], 4), "what": FACTORS[name].what}
                for name in names
            },
        },
    )
    section.figures.append(
        bars(retained, dict.fromkeys(names, RETAINED), "success / nominal success", "Success kept under each factor.")
    )
    return section


def _successes(lab: Lab, factor: str | None) -> int:
    return evaluate(
        lab.task, lab.size.trials, SEED, checkpoint=lab.checkpoint, config=lab.agent, workers=lab.workers, factor=factor
    )["successes"]


def _entry(successes: int, n: int) -> dict:
    low, high = wilson(successes, n)
    return {"successes": successes, "n": n, "wilson": [round(low, 4), round(high, 4)]}
