"""State inside: what a linear probe reads from the latents."""

from __future__ import annotations

import torch
from torch import Tensor

from wm_planner.evaluation.verify.figures import bars
from wm_planner.evaluation.verify.lab import Lab, Playback
from wm_planner.evaluation.verify.ridge import Ridge, r2
from wm_planner.evaluation.verify.section import Section, Verdict
from wm_planner.training.probe import positions

TARGET = 0.98
_STILL = 0.005  # standard deviation, metres, below which a coordinate says nothing


def state(lab: Lab) -> Section:
    """R2 on held-out fresh play: positions and orientation from one latent, velocities from two."""
    truth, where = lab.held_out.episodes.state, positions(lab.held_out.episodes)
    place = _r2(*_placed(lab.fit), *_placed(lab.held_out))
    speed = _r2(*_moving(lab.fit), *_moving(lab.held_out))
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
        "R2 of linear probes on held-out fresh play; the worst coordinate counts. The cube's orientation is that of "
        "its four equal sides.",
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


def _placed(play: Playback) -> tuple[Tensor, Tensor]:
    """Latents (N, D) and true states (N, K)."""
    return play.latents.latents.flatten(0, 1), torch.from_numpy(play.episodes.state).flatten(0, 1)


def _moving(play: Playback) -> tuple[Tensor, Tensor]:
    """Two latents in a row (N, 2 D) and the rate at which the true state changed between them (N, K)."""
    z, state = play.latents.latents, torch.from_numpy(play.episodes.state)
    rate = (state[:, 1:] - state[:, :-1]) / play.episodes.contract.dt
    return torch.cat([z[:, :-1], z[:, 1:]], -1).flatten(0, 1), rate.flatten(0, 1)


def _r2(x: Tensor, y: Tensor, held_x: Tensor, held_y: Tensor) -> Tensor:
    """Of every column (K,): fitted to the first pair, on the second."""
    return r2(Ridge(x, y)(held_x), held_y)
