"""Counterfactual contact: had the arm passed beside the object, would it have moved?"""

from __future__ import annotations

import numpy as np
import torch

from wm_planner.evaluation.verify.lab import Lab
from wm_planner.evaluation.verify.ridge import Ridge
from wm_planner.evaluation.verify.section import Section, Verdict
from wm_planner.training.probe import positions
from wm_planner.world_model.model import Context

STEPS = 8
MOVES = 0.01  # metres that count as moved
_ASIDE = 0.09  # metres from the object's centre at which passes go at most


@torch.no_grad()
def contact(lab: Lab) -> Section:
    """Drive past and into the object from the same states; a linear probe reads off predicted latents if it moved."""
    probe, threshold = _displacement_probe(lab)
    guesses, truths = [], []
    for index in range(lab.size.contacts):
        for context, actions, moved in _passes(lab, index):
            predicted = lab.model.rollout(context, torch.from_numpy(actions[None]))[0][:, -1]
            guesses.append(float(probe(predicted - context.latents[:, -1]).norm()))
            truths.append(moved)
    guess, truth = np.array(guesses) > threshold, np.array(truths) > MOVES
    return Section(
        "contact",
        f"{len(truth)} straight passes of {STEPS} steps, three from each state, aimed at and beside the object; moved "
        f"means more than {100 * MOVES:g} cm. Accuracy is the mean over those that moved it and those that did not.",
        [Verdict("balanced accuracy of contact", balanced(guess, truth), 0.95, ">=")],
        {
            "recall": {
                "moved": round(float(guess[truth].mean()), 4),
                "stayed": round(float((~guess[~truth]).mean()), 4),
            },
            "moved": int(truth.sum()),
            "stayed": int((~truth).sum()),
            "probe_threshold_cm": round(100 * threshold, 2),
        },
    )


def balanced(guess: np.ndarray, truth: np.ndarray) -> float:
    """Accuracy over the positives and over the negatives, averaged."""
    return float(guess[truth].mean() + (~guess[~truth]).mean()) / 2


def _displacement_probe(lab: Lab) -> tuple[Ridge, float]:
    """From a change between encoded latents to how far the object went, metres, and what to call moved.

    The probe's noise makes still objects seem to move, so the boundary is where it judges play best.
    """
    z, place = (
        lab.fit.latents.latents,
        torch.from_numpy(lab.fit.episodes.state[..., positions(lab.fit.episodes)["cube"]]),
    )
    change = (z[:, STEPS:] - z[:, :-STEPS]).flatten(0, 1)
    went = (place[:, STEPS:] - place[:, :-STEPS]).flatten(0, 1)
    probe = Ridge(change, went)
    seen, truth = probe(change).norm(dim=-1).numpy(), went.norm(dim=-1).numpy() > MOVES
    boundaries = np.linspace(0.5, 4.0, 36) * MOVES
    return probe, float(max(boundaries, key=lambda boundary: balanced(seen > boundary, truth)))


def _passes(lab: Lab, index: int) -> list[tuple[Context, np.ndarray, float]]:
    """From one state: context, actions (STEPS, A) and how far the object went, for passes on several lines."""
    env, out = lab.env, []
    rng = np.random.default_rng([index, 4])
    lab.scene(index, warm_up=int(rng.integers(5, 30)))
    context, begin = lab.context_now(), env.save()
    limit = np.asarray(env.contract.action.limit)
    for line in rng.permutation(np.array((0.0, 0.5, 1.0))) * rng.choice((-1.0, 1.0)):
        env.restore(begin)
        tool, cube = (env.world.truth()[name][:2] for name in ("tool", "object"))
        ahead = (cube - tool) / np.linalg.norm(cube - tool)
        target = cube + _ASIDE * (line + rng.uniform(-0.2, 0.2)) * np.array((-ahead[1], ahead[0]))
        heading = (target - tool) / np.linalg.norm(target - tool)
        action = np.clip(heading * rng.uniform(0.6, 1.0) * limit.min() / limit, -1.0, 1.0).astype(np.float32)
        actions = np.tile(action, (STEPS, 1))
        for step in actions:
            env.step(step)
        out.append((context, actions, float(np.linalg.norm(env.world.truth()["object"][:2] - cube))))
    env.forget(begin)
    return out
