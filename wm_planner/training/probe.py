"""What the latents know, how far the predictor sees and how well the policy imitates, on held-out episodes."""

from __future__ import annotations

import numpy as np
import torch

from wm_planner.data.dataset import Episodes
from wm_planner.training.hindsight import Attempts
from wm_planner.training.imitation import imitation
from wm_planner.training.jepa import context_at_start
from wm_planner.training.predictor import Latents
from wm_planner.world_model.model import WorldModel

HORIZONS = (1, 4, 8, 16)
_MOMENTS = 20_000  # that imitation is measured on


def linear_probe(
    train_x: np.ndarray, train_y: np.ndarray, x: np.ndarray, y: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Least squares from latents (N, D) to state (N, K).

    Returns:
        R2 of each state component (K,), and the held-out residuals (N, K).
    """
    ones = np.ones((len(train_x), 1), train_x.dtype)
    weights = np.linalg.lstsq(np.concatenate([train_x, ones], 1), train_y, rcond=None)[0]
    residual = np.concatenate([x, np.ones((len(x), 1), x.dtype)], 1) @ weights - y
    return 1.0 - np.square(residual).mean(0) / (y.var(0) + 1e-12), residual


def positions(episodes: Episodes) -> dict[str, slice]:
    """The columns of the true state that are positions, by what they are the position of; none on a real robot."""
    if not episodes.state.shape[-1]:
        return {}
    if episodes.contract.robot == "rover":
        return {"base": slice(0, 2)}
    cube = {"cube": slice(3, 5)} if episodes.state.shape[-1] > 3 else {}
    return {"tool": slice(0, 3), **cube}


def _pairs(latents: Latents, episodes: Episodes) -> tuple[np.ndarray, np.ndarray]:
    """Every third latent (N, D) with its true state (N, K)."""
    n, t, k = episodes.state.shape
    state = episodes.state.reshape(n * t, k)
    return latents.latents.flatten(0, 1).cpu().numpy()[::3], state[::3]


def _imitation(model: WorldModel, latents: Latents, episodes: Episodes) -> float | None:
    """What the policy loses at moments drawn as in training; None where no action was made to any end."""
    if (episodes.attempts < 0).all():
        return None
    episode, now, goal = Attempts(episodes.attempts).draw(np.random.default_rng(0), _MOMENTS)
    z = latents.latents
    lost = imitation(
        model, z[episode, now], z[episode, goal], latents.joints[episode, now], latents.actions[episode, now]
    )
    return round(float(lost), 4)


@torch.no_grad()
def probe(model: WorldModel, train_z: Latents, train: Episodes, val_z: Latents, val: Episodes) -> dict:
    """Linear-probe errors in centimetres, open-loop error against copying the last latent, the policy's imitation."""
    model.eval()
    r2, residual = linear_probe(*_pairs(train_z, train), *_pairs(val_z, val))
    report: dict = {"r2": [round(float(v), 4) for v in r2]}
    for name, columns in positions(val).items():
        report[f"{name}_cm"] = round(100 * float(np.median(np.linalg.norm(residual[:, columns], axis=1))), 2)
    c, longest = model.contract.context_length, max(HORIZONS)
    starts = range(0, val.actions.shape[1] + 1 - c - longest, 5)
    errors = []
    for start in starts:
        window = slice(start, start + c + longest)
        z, q, a = val_z.latents[:, window], val_z.joints[:, window], val_z.actions[:, start : start + c + longest - 1]
        predicted, _ = model.rollout(context_at_start(z, q, a, c), a[:, c - 1 :])
        error = (predicted - z[:, c:]).square().mean(-1)
        copy = (z[:, c - 1 : c] - z[:, c:]).square().mean(-1)
        errors.append(torch.stack([error, copy]).mean(1))
    model_error, copy_error = torch.stack(errors).mean(0)
    report["open_loop"] = {str(h): round(float(model_error[h - 1]), 4) for h in HORIZONS}
    report["copy_last"] = {str(h): round(float(copy_error[h - 1]), 4) for h in HORIZONS}
    report["imitation"] = {"train": _imitation(model, train_z, train), "held_out": _imitation(model, val_z, val)}
    return report
