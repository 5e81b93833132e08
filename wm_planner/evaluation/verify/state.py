"""State inside: what a linear probe reads from the latents.

By least squares, without a penalty: that what is true is linear in the latents (LeJEPA, 2025) says nothing of how much
they vary with it, and a penalty hides what they vary with little.
"""

from __future__ import annotations

import numpy as np
import torch

from wm_planner.evaluation.verify.figures import bars
from wm_planner.evaluation.verify.lab import Lab, Playback
from wm_planner.evaluation.verify.section import Section, Verdict
from wm_planner.training.probe import linear_probe, positions

TARGET = 0.98
_STILL = 0.005  # standard deviation, metres, below which a coordinate says nothing


def state(lab: Lab) -> Section:
    """R2 on held-out fresh play: positions and orientation from one latent, velocities from two."""
    truth, where = lab.held_out.episodes.state, positions(lab.held_out.episodes)
    place, _ = linear_probe(*_placed(lab.fit), *_placed(lab.held_out))
    speed, _ = linear_probe(*_moving(lab.fit), *_moving(lab.held_out))
    located = {i for columns in where.values() for i in range(*columns.indices(truth.shape[-1]))}
    values: dict[str, dict[str, float]] = {"position": {}, "velocity": {}, "orientation": {}}
    for thing, columns in where.items():
        for axis, column in zip("xyz", range(*columns.indices(truth.shape[-1]))):
            if truth[..., column].std() > _STILL:
                values["position"][f"{thing} {axis}"] = round(float(place[column]), 4)
                values["velocity"][f"{thing} {axis}"] = round(float(speed[column]), 4)
    for name, column in zip(("cosine", "sine"), sorted(set(range(truth.shape[-1])) - located)):
        values["orientation"][name] = round(float(place[column]), 4)
    worst = {kind: min(of.values()) for kind, of in values.items() if of}
    section = Section(
        "state",
        "R2 of linear probes (least squares) on held-out fresh play; the worst coordinate counts. The cube's "
        "orientation is that of its four equal sides.",
        [
            Verdict(f"R2 of {kind}", value, TARGET if kind == "position" else None, ">=")
            for kind, value in worst.items()
        ],
        {"r2": values},
    )
    flat = {f"{kind}: {name}": value for kind, of in values.items() for name, value in of.items()}
    targets = {name: TARGET for name in flat if name.startswith("position")}
    section.figures.append(bars(flat, targets, "R2", "What a linear probe reads from the latents."))
    return section


def _placed(play: Playback) -> tuple[np.ndarray, np.ndarray]:
    """Latents (N, D) and true states (N, K)."""
    state = play.episodes.state
    return play.latents.latents.flatten(0, 1).cpu().numpy(), state.reshape(-1, state.shape[-1])


def _moving(play: Playback) -> tuple[np.ndarray, np.ndarray]:
    """Two latents in a row (N, 2 D) and the rate at which the true state changed between them (N, K)."""
    z, state = play.latents.latents, play.episodes.state
    rate = np.diff(state, axis=1) / play.episodes.contract.dt
    return torch.cat([z[:, :-1], z[:, 1:]], -1).flatten(0, 1).cpu().numpy(), rate.reshape(-1, state.shape[-1])
