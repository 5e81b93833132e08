"""Intervention: the same state, many futures; each prediction must know its own."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from wm_planner.actor.icem import coloured_noise
from wm_planner.evaluation.verify.figures import curves
from wm_planner.evaluation.verify.lab import Lab
from wm_planner.evaluation.verify.section import Section, Verdict
from wm_planner.sim.play import PLAY
from wm_planner.world_model.model import Context

FUTURES = 16
HORIZONS = (1, 2, 4, 8)
_TARGETS = {4: 0.9, 8: 0.75}


class Futures(NamedTuple):
    """What some action sequences led to from one state.

    context: the state as the model sees it; actions (K, H, A); frames (K, len(HORIZONS), S, S, C).
    """

    context: Context
    actions: np.ndarray
    frames: np.ndarray


@torch.no_grad()
def intervention(lab: Lab) -> Section:
    """Top-1 retrieval of the real future among those of the other action sequences."""
    hits = np.zeros((lab.size.scenes, len(HORIZONS)))
    for index in range(lab.size.scenes):
        futures = _futures(lab, index)
        actions = torch.from_numpy(futures.actions.astype(np.float32))
        predicted = lab.model.rollout(futures.context.expand(FUTURES), actions)[0]
        real = lab.encode(futures.frames)
        for k, horizon in enumerate(HORIZONS):
            hits[index, k] = retrieval(predicted[:, horizon - 1], real[:, k])
    accuracy = dict(zip(HORIZONS, hits.mean(0)))
    # Scenes are independent, the futures of one are not.
    error = dict(zip(HORIZONS, hits.std(0) / np.sqrt(len(hits))))
    section = Section(
        "intervention",
        f"{FUTURES} action sequences (half play, half coloured noise) from each of {len(hits)} states; the predicted "
        f"latent retrieves its own real future among the {FUTURES}.",
        [Verdict(f"top-1 at {h} steps", float(accuracy[h]), target, ">=") for h, target in _TARGETS.items()],
        {
            "top1_by_horizon": {str(h): round(float(a), 4) for h, a in accuracy.items()},
            "standard_error": {str(h): round(float(e), 4) for h, e in error.items()},
            "chance": 1 / FUTURES,
            "scenes": len(hits),
        },
    )
    series = {"world model": list(accuracy.values()), "chance": [1 / FUTURES] * len(HORIZONS)}
    labels = ("steps ahead", "top-1 accuracy")
    section.figures.append(curves(HORIZONS, series, labels, f"Retrieving one's own future among {FUTURES}."))
    return section


def retrieval(predicted: Tensor, real: Tensor) -> float:
    """Share of predictions (K, D) whose nearest real future (K, D) is their own."""
    return float((torch.cdist(predicted, real).argmin(1) == torch.arange(len(real))).float().mean())


def _futures(lab: Lab, index: int) -> Futures:
    """Half the action sequences come from play that goes on anew, half are coloured noise."""
    env, longest = lab.env, max(HORIZONS)
    rng = np.random.default_rng([index, 2])
    lab.scene(index, warm_up=int(rng.integers(5, 30)))
    context = lab.context_now()
    generator = torch.Generator().manual_seed(index)
    shape = torch.Size((FUTURES // 2, longest, env.contract.action_dim))
    noise = (0.7 * coloured_noise(shape, 1.0, generator, torch.device("cpu"))).clamp(-1.0, 1.0).numpy()
    actions = np.zeros((FUTURES, longest, env.contract.action_dim))
    frames, begin = [], env.save()
    for k in range(FUTURES):
        env.restore(begin)
        play = PLAY[env.task.name](env, np.random.default_rng([index, 3, k]))
        seen = []
        for t in range(longest):
            actions[k, t] = play.act() if k < FUTURES // 2 else noise[k - FUTURES // 2, t]
            env.move(actions[k, t])
            if t + 1 in HORIZONS:
                seen.append(env.observe().frame)
        frames.append(np.stack(seen))
    env.forget(begin)
    return Futures(context, actions, np.stack(frames))
