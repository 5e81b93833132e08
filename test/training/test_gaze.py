"""Where a closer look is taken: at what the robot does not explain, whatever it is."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from wm_planner.configurator.contract import Contract
from wm_planner.data.dataset import Episodes
from wm_planner.training.gaze import gaze_loss, gazes_of, unexplained
from wm_planner.world_model.config import ModelConfig
from wm_planner.world_model.model import WorldModel

PLACES = [(8, 20), (20, 8), (16, 16)]


def _model(contract: Contract, small_config: ModelConfig, fovea: int = 8) -> WorldModel:
    changes = {"conv_fovea": fovea, "fovea_dim": 4, "body_channels": 4}
    return WorldModel(contract, small_config.model_copy(update=changes)).eval()


@pytest.fixture
def model(contract: Contract, small_config: ModelConfig) -> WorldModel:
    return _model(contract, small_config)


def _expected(model: WorldModel, count: int) -> np.ndarray:
    return model.expect(model.normalise_joints(torch.zeros(count, 7))).numpy()


def _episodes(contract: Contract, frames: np.ndarray) -> Episodes:
    """One, of frames (T+1, S, S, 3), in which nothing moves."""
    count = len(frames)
    joints, state = np.zeros((1, count, 7), np.float32), np.zeros((1, count, 7), np.float32)
    actions, attempts = np.zeros((1, count - 1, 2), np.float32), np.zeros((1, count - 1), np.int32)
    return Episodes(frames[None], joints, actions, state, attempts, contract)


@pytest.mark.parametrize("colour", [(255, 0, 0), (0, 255, 0), (0, 0, 0)])
def test_it_is_where_a_thing_is_that_is_not_the_robot(
    contract: Contract, model: WorldModel, colour: tuple[int, int, int]
) -> None:
    frames = _expected(model, len(PLACES))
    for frame, (x, y) in zip(frames, PLACES):
        frame[y - 3 : y + 3, x - 3 : x + 3] = colour
        frame[1, 1] = 255  # a speck
    places = unexplained(model, _episodes(contract, frames))
    assert places.shape == (1, 3, 2)
    torch.testing.assert_close(places[0], torch.tensor(PLACES) / 16 - 1, atol=0.02, rtol=0)


def test_there_may_be_nothing_to_look_at(contract: Contract, model: WorldModel) -> None:
    assert unexplained(model, _episodes(contract, _expected(model, 2))).isnan().all()


def test_nothing_to_look_at_is_not_learned_from() -> None:
    nowhere = torch.full((2, 2), torch.nan)
    assert gaze_loss(torch.zeros(2, 2), nowhere) == 0
    gaze = torch.zeros(4, 2, requires_grad=True)
    gaze_loss(gaze, torch.cat([nowhere, torch.ones(2, 2)])).backward()
    assert gaze.grad is not None
    assert (gaze.grad[:2] == 0).all() and (gaze.grad[2:] < 0).all()


def test_a_model_tells_where_it_looks(contract: Contract, model: WorldModel, small_config: ModelConfig) -> None:
    frames = np.random.default_rng(0).integers(256, size=(3, 32, 32, 3), dtype=np.uint8)
    with torch.no_grad():
        seen = model.look(torch.from_numpy(frames))[1]
    assert seen is not None
    found = gazes_of(model, _episodes(contract, frames))
    assert found is not None
    torch.testing.assert_close(found, seen[None])
    assert gazes_of(_model(contract, small_config, fovea=0), _episodes(contract, frames)) is None
