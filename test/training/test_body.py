"""What the robot looks like in a pose is learned from play, and nothing else of a model changes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from wm_planner.configurator.contract import Contract
from wm_planner.data.dataset import Episodes
from wm_planner.training.body import BodyConfig, learn_body
from wm_planner.training.split import VALIDATION_EPISODES
from wm_planner.world_model.checkpoint import Checkpoint, load_checkpoint
from wm_planner.world_model.config import ModelConfig
from wm_planner.world_model.model import WorldModel

CONFIG = BodyConfig(channels=16, steps=600, batch=32, lr=5e-3)


def _play(contract: Contract) -> Episodes:
    """A bright square where the first joint says, and a red one anywhere."""
    rng = np.random.default_rng(0)
    n, t = VALIDATION_EPISODES + 12, 20
    joints = rng.uniform(-1, 1, (n, t + 1, 7)).astype(np.float32)
    frames = np.full((n, t + 1, 32, 32, 3), 40, np.uint8)
    for i, j in np.ndindex(n, t + 1):
        x, y = int(16 + 10 * joints[i, j, 0]), int(rng.integers(20, 30))
        frames[i, j, 4:12, x - 4 : x + 4] = 220
        frames[i, j, y - 2 : y + 2, 4:8] = (220, 20, 20)
    actions = np.zeros((n, t, 2), np.float32)
    return Episodes(frames, joints, actions, np.zeros((n, t + 1, 7), np.float32), np.zeros((n, t), np.int32), contract)


def test_it_learns_how_the_robot_looks_and_nothing_else_changes(
    contract: Contract, small_config: ModelConfig, tmp_path: Path
) -> None:
    play, output = _play(contract), tmp_path / "m.safetensors"
    before = WorldModel(contract, small_config).eval().requires_grad_(False)
    facts = learn_body(Checkpoint(before, {"task": "panda_push"}), play, CONFIG, tmp_path / "run", output)
    model, stored = load_checkpoint(output, "cpu")
    assert stored == facts and stored["task"] == "panda_push" and stored["body"]["episodes"] == [12, 20]
    after = model.state_dict()
    assert all(torch.allclose(value, after[name], atol=1e-2) for name, value in before.state_dict().items())
    assert {name.split(".")[0] for name in after.keys() - before.state_dict().keys()} == {"body"}

    joints = torch.zeros(2, 7)
    joints[:, 0] = torch.tensor([-0.7, 0.7])
    left, right = model.expect(joints).float()
    assert left.shape == (32, 32, 3)
    for image, here, there in ((left, 9, 23), (right, 23, 9)):
        assert image[8, here].mean() > 130 > 90 > image[8, there].mean()
    picture = play.frames[:12].astype(float).mean((0, 1)) / 255
    guessed = np.abs(play.frames[12:] / 255 - picture).mean()  # by one picture for all poses
    assert stored["body"]["error"] < 0.6 * guessed


def test_learning_it_anew_replaces_it(contract: Contract, small_config: ModelConfig, tmp_path: Path) -> None:
    play, config = _play(contract), CONFIG.model_copy(update={"steps": 2})
    known = WorldModel(contract, small_config.model_copy(update={"body_channels": 4})).eval().requires_grad_(False)
    learn_body(Checkpoint(known, {}), play, config, tmp_path / "run", tmp_path / "m.safetensors")
    assert load_checkpoint(tmp_path / "m.safetensors", "cpu").model.config.body_channels == 16
