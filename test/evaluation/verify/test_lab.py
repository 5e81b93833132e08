"""What sections are measured on."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from wm_planner.configurator.contract import Contract
from wm_planner.configurator.paths import checkpoint_path
from wm_planner.data.dataset import Episodes, write_episodes
from wm_planner.evaluation.verify.lab import QUICK, Lab
from wm_planner.sim.tasks import get_task


def test_probes_are_fitted_to_all_datasets_given(
    tmp_path: Path, push_contract: Contract, rng: np.random.Generator
) -> None:
    size, (n, t) = push_contract.image_size, (2, 3)
    files, states = [], []
    for name in ("play", "strokes"):
        episodes = Episodes(
            frames=rng.integers(0, 256, (n, t + 1, size, size, 3), np.uint8),
            joints=rng.normal(size=(n, t + 1, 7)).astype(np.float32),
            actions=rng.uniform(-1, 1, (n, t, 2)).astype(np.float32),
            state=rng.normal(size=(n, t + 1, 7)).astype(np.float32),
            attempts=np.zeros((n, t), np.int32),
            contract=push_contract,
        )
        files.append(tmp_path / f"{name}.h5")
        states.append(episodes.state)
        write_episodes(files[-1], episodes, {})
    lab = Lab(get_task("panda_push"), checkpoint_path("panda_push"), QUICK, data=files)
    try:
        np.testing.assert_array_equal(lab.fit.episodes.state, np.concatenate(states))
        assert lab.fit.latents.latents.shape[:2] == (2 * n, t + 1)
    finally:
        lab.close()
