"""Stage 3b: the critic between moments that no attempt joins, by shortest paths over what it knows of near ones.

Play goes from few places straight to few others; between the rest a critic guesses, and takes the far side of a wall
for near. Near pairs there are plenty of. Landmarks, joined where the critic puts them a few steps apart, are a map
(Eysenbach et al., 2019, "Search on the Replay Buffer"); the critic is taught its distances, so planning needs no map.
"""

from __future__ import annotations

import numpy as np
import torch
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import dijkstra
from torch import Tensor

from wm_planner.training.config import HeadsConfig
from wm_planner.training.critic import hindsight_pairs, pinball
from wm_planner.training.loop import Progress, silent
from wm_planner.training.predictor import Latents
from wm_planner.world_model.heads import Critic
from wm_planner.world_model.model import WorldModel
from wm_planner.world_model.precision import half_precision

LANDMARKS = 3000
_WEIGHT = 0.3  # of the map's distances beside near pairs


@torch.no_grad()
def shortest_paths(critic: Critic, landmarks: Tensor, longest_edge: float, progress: Progress = silent) -> Tensor:
    """Steps between landmarks (M, D) by way of each other, (M, M); infinite where there is no way.

    From row to column; edges are the critic's distances up to `longest_edge`.
    """
    rows = []
    for done, landmark in enumerate(landmarks, 1):
        with torch.autocast(landmarks.device.type, torch.bfloat16, enabled=half_precision(landmarks.device)):
            rows.append(critic(landmark.expand_as(landmarks), landmarks).float().cpu())
        progress("landmarks", done, len(landmarks), {})
    steps = torch.stack(rows).clamp(min=1e-3).numpy()  # to the sparse matrix a zero would be no edge
    steps[steps > longest_edge] = 0.0
    np.fill_diagonal(steps, 0.0)
    return torch.from_numpy(dijkstra(csr_matrix(steps)).astype(np.float32)).to(landmarks.device)


class StitchLoss:
    """Loss terms of one optimiser step over a critic that has been trained; ends: see `attempt_ends`."""

    def __init__(
        self, model: WorldModel, data: Latents, ends: np.ndarray, config: HeadsConfig, progress: Progress = silent
    ) -> None:
        self._model, self._data, self._ends, self._config = model, data, ends, config
        rng = np.random.default_rng([config.seed, 6])
        n, t = data.actions.shape[:2]
        self._landmarks = data.latents[rng.integers(n, size=LANDMARKS), rng.integers(t, size=LANDMARKS)]
        self._steps = shortest_paths(model.critic.eval(), self._landmarks, config.stitch_edge, progress)
        model.critic.train()

    def __call__(self, step: int) -> dict[str, Tensor]:
        cfg, z = self._config, self._data.latents
        rng = np.random.default_rng([cfg.seed, 6, step])
        episode, now, goal = hindsight_pairs(rng, self._ends, cfg.heads_batch)
        near = goal - now <= cfg.stitch_edge
        episode, now, goal = episode[near], now[near], goal[near]
        start, end = rng.integers(LANDMARKS, size=(2, cfg.heads_batch))
        here = torch.cat([z[episode, now], self._landmarks[start]])
        there = torch.cat([z[episode, goal], self._landmarks[end]])
        torch.manual_seed(int(rng.integers(2**31)))  # of dropout
        with torch.autocast(z.device.type, torch.bfloat16, enabled=half_precision(z.device)):
            close, far = self._model.critic(here, there).split([len(now), cfg.heads_batch])
        steps, way = torch.from_numpy(goal - now).to(close), self._steps[start, end]
        return {
            "critic": pinball(steps - close, cfg.critic_quantile).sum() / cfg.heads_batch,
            "map": _WEIGHT * torch.where(way.isinf(), torch.zeros_like(way), (way - far).abs()).mean(),
        }
