"""Counterfactual contact: had the arm passed beside the object, would it have moved?"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from wm_planner.evaluation.verify.lab import Lab
from wm_planner.evaluation.verify.section import Section, Verdict
from wm_planner.world_model.model import Context

STEPS = 8
MOVES = 0.01  # metres that count as moved
_ASIDE = 0.09  # metres from the object's centre at which passes go at most
_RIDGE = 1e-3


@torch.no_grad()
def contact(lab: Lab) -> Section:
    """Drive past and into the object from the same states; a linear probe reads off predicted latents if it moved."""
    probe = _displacement_probe(lab)
    guesses, truths = [], []
    for index in range(lab.size.contacts):
        for context, actions, moved in _passes(lab, index):
            predicted = lab.model.rollout(context, torch.from_numpy(actions[None]))[0][:, -1]
            shift = (_pair(context.latents[:, -1], predicted) @ probe)[0]
            guesses.append(float(shift.norm()))
            truths.append(moved)
    guess, truth = np.array(guesses) > MOVES, np.array(truths) > MOVES
    rates = {"moved": float(guess[truth].mean()), "stayed": float((~guess[~truth]).mean())}
    return Section(
        "contact",
        f"{len(truth)} straight passes of {STEPS} steps, two or more from each state, aimed at and beside the object; "
        f"moved means more than {100 * MOVES:g} cm. Accuracy is the mean over those that moved it and those that "
        "did not.",
        [Verdict("balanced accuracy of contact", (rates["moved"] + rates["stayed"]) / 2, 0.95, ">=")],
        {"recall": rates, "moved": int(truth.sum()), "stayed": int((~truth).sum())},
    )


def _pair(before: Tensor, after: Tensor) -> Tensor:
    """Features (B, 2 D + 1) of a change between latents (B, D)."""
    return torch.cat([after - before, after, torch.ones(len(after), 1)], 1)


def _displacement_probe(lab: Lab) -> Tensor:
    """Ridge regression (2 D + 1, 2) from two encoded latents to how far the object went between them, metres."""
    cut = lab.held_out
    z, state = lab.latents.latents[:cut], torch.from_numpy(lab.episodes.state[:cut, :, 3:5])
    x = _pair(z[:, :-STEPS].flatten(0, 1), z[:, STEPS:].flatten(0, 1))
    y = (state[:, STEPS:] - state[:, :-STEPS]).flatten(0, 1)
    return torch.linalg.solve(x.T @ x + _RIDGE * len(x) * torch.eye(x.shape[1]), x.T @ y)


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
