"""Counterfactual contact: had the arm passed beside the object, would it have moved?"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from wm_planner.evaluation.verify.classifier import Classifier
from wm_planner.evaluation.verify.figures import bars
from wm_planner.evaluation.verify.lab import Lab, Playback
from wm_planner.evaluation.verify.section import Section, Verdict
from wm_planner.training.probe import positions
from wm_planner.world_model.model import Context

STEPS = 8
MOVES = 0.01  # metres that count as moved
_FAR = {"under 1 mm": 0.0, "1 to 10 mm": 0.001, "1 to 3 cm": MOVES, "over 3 cm": 0.03}  # metres, at least
_PAIRS = 40_000  # of moments of play, and of strokes, that the judge is fitted to
_ASIDE = 0.09  # metres from the object's centre at which passes go at most


class Pass(NamedTuple):
    """context: before it; actions (STEPS, A); latent (1, D): of what was seen after it; moved: the object, metres."""

    context: Context
    actions: np.ndarray
    latent: Tensor
    moved: float


@torch.no_grad()
def contact(lab: Lab) -> Section:
    """Drive past and into the object from the same states; what was predicted is judged as what is seen would be."""
    judge = _judge(lab)
    passes = [made for index in range(lab.size.contacts) for made in _passes(lab, index)]
    begin = torch.cat([made.context.latents[:, -1] for made in passes])
    predicted = torch.cat(
        [lab.model.rollout(made.context, torch.from_numpy(made.actions[None]))[0][:, -1] for made in passes]
    )
    guess = judge(_between(begin, predicted)).numpy()
    seen = judge(_between(begin, torch.cat([made.latent for made in passes]))).numpy()
    moved = np.array([made.moved for made in passes])
    truth = moved > MOVES
    group = np.digitize(moved, [*_FAR.values()]) - 1
    shares = {
        f"{name}, {kind}": float(says[group == k].mean())
        for k, name in enumerate(_FAR)
        if (group == k).any()
        for kind, says in (("predicted", guess), ("seen", seen))
    }
    caption = "Passes judged to have moved the object, from what was predicted and what was seen, by how far it went."
    return Section(
        "contact",
        f"{len(truth)} straight passes of {STEPS} steps, three from each state, aimed at and beside the object; moved "
        f"means more than {100 * MOVES:g} cm. Accuracy is the mean over those that moved it and those that did not. "
        f"Judged from what was really seen afterwards it is {balanced(seen, truth):.3f}.",
        [Verdict("balanced accuracy of contact", balanced(guess, truth), 0.95, ">=")],
        {
            "recall": {
                "moved": round(float(guess[truth].mean()), 4),
                "stayed": round(float((~guess[~truth]).mean()), 4),
            },
            "judged from what was seen": round(balanced(seen, truth), 4),
            "moved": int(truth.sum()),
            "stayed": int((~truth).sum()),
            "judged moved": {name: round(share, 4) for name, share in shares.items()},
        },
        [bars(shares, {}, "share judged to have moved", caption)],
    )


def balanced(guess: np.ndarray, truth: np.ndarray) -> float:
    """Accuracy over the positives and over the negatives, averaged."""
    return float(guess[truth].mean() + (~guess[~truth]).mean()) / 2


def _judge(lab: Lab) -> Classifier:
    """Says of two latents whether the object moved in between; fitted to encodings of what was really seen."""
    features, moved = zip(*(_moments(playback) for playback in (lab.fit, lab.strokes)))
    return Classifier(torch.cat(features), torch.cat(moved))


def _moments(playback: Playback) -> tuple[Tensor, Tensor]:
    """Any two moments of an episode, (N, 2 D), and whether the object moved in between, (N,) bool."""
    z, episodes = playback.latents.latents, playback.episodes
    place = torch.from_numpy(episodes.state[..., positions(episodes)["cube"]])
    n, length = place.shape[:2]
    rng = np.random.default_rng(0)
    episode, (begin, end) = rng.integers(n, size=_PAIRS), np.sort(rng.integers(length, size=(2, _PAIRS)), axis=0)
    moved = (place[episode, end] - place[episode, begin]).norm(dim=-1) > MOVES
    return _between(z[episode, begin], z[episode, end]), moved


def _between(begin: Tensor, end: Tensor) -> Tensor:
    """(..., D) x2 -> (..., 2 D)."""
    return torch.cat([begin, end - begin], -1)


def _passes(lab: Lab, index: int) -> list[Pass]:
    """From one state, on several lines."""
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
            env.move(step)
        after = env.observe()
        moved = float(np.linalg.norm(env.world.truth()["object"][:2] - cube))
        out.append(Pass(context, actions, lab.encode(after.frame[None]), moved))
    env.forget(begin)
    return out
