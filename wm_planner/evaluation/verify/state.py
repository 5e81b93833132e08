"""State inside: what a linear probe reads from the latents."""

from __future__ import annotations

import numpy as np

from wm_planner.evaluation.verify.figures import bars
from wm_planner.evaluation.verify.lab import Lab
from wm_planner.evaluation.verify.section import Section, Verdict
from wm_planner.training.probe import linear_probe, positions

TARGET = 0.98
_STILL = 0.005  # standard deviation, metres, below which a coordinate says nothing


def state(lab: Lab) -> Section:
    """R2 on held-out fresh play: positions and orientation from one latent, velocities from two."""
    z = lab.latents.latents.numpy()
    truth, dt = lab.episodes.state, lab.env.contract.dt
    rate = np.diff(truth, axis=1) / dt
    one, two = z[:, 1:], np.concatenate([z[:, :-1], z[:, 1:]], -1)
    place, speed = _r2(lab, one, truth[:, 1:]), _r2(lab, two, rate)
    where = positions(lab.episodes)
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


def _r2(lab: Lab, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Of every column of y (N, T, K), fitted from x (N, T, D) on the first episodes, on those held out."""
    cut = lab.held_out
    parts = (x[:cut], y[:cut], x[cut:], y[cut:])
    return linear_probe(*(part.reshape(-1, part.shape[-1]) for part in parts))[0]
