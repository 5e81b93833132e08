"""Fixtures shared by the suite: one thread, small models, one simulation per task."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch
from hypothesis import settings

from wm_planner.configurator.contract import Contract, load_contract, parse_contract
from wm_planner.sim.environment import Environment
from wm_planner.sim.tasks import get_task
from wm_planner.world_model.config import ModelConfig
from wm_planner.world_model.model import WorldModel

# The same examples in every run, however slow the machine.
settings.register_profile("suite", deadline=None, derandomize=True, max_examples=60)
settings.load_profile("suite")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--scene", type=int, default=0, help="seed of what robot and planner start with over ROS 2")


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)


@pytest.fixture(scope="session")
def push_contract() -> Contract:
    return load_contract("panda_push")


@pytest.fixture(scope="session")
def reach_contract() -> Contract:
    return load_contract("panda_reach")


@pytest.fixture(scope="session")
def rover_contract() -> Contract:
    return load_contract("rover_rooms")


@pytest.fixture(scope="session")
def joint_contract(push_contract: Contract) -> Contract:
    """Panda driven by joint velocities, all joints but the last, anywhere; its trajectories would have eight steps."""
    data = push_contract.model_dump(mode="json") | {"workspace": None, "action_chunk": 8}
    names = data["joints"]["names"][:6]
    data["action"] |= {
        "interface": "joint_velocity",
        "topic": "/velocity_controller/commands",
        "names": names,
        "unit": ["rad/s"] * 6,
        "limit": [1.0] * 6,
        "acceleration": [10.0] * 6,
    }
    return parse_contract(data)


@pytest.fixture(scope="session")
def small_config() -> ModelConfig:
    return ModelConfig(
        conv_channels=(8, 8, 8, 8),
        conv_hidden=32,
        latent_dim=16,
        predictor_width=32,
        predictor_blocks=1,
        head_width=32,
        decoder_channels=16,
    )


@pytest.fixture
def small_model(push_contract: Contract, small_config: ModelConfig) -> WorldModel:
    """An untrained model of panda_push that predicts some change, in evaluation mode."""
    torch.manual_seed(3)
    model = WorldModel(push_contract, small_config)
    torch.nn.init.normal_(model.predictor.leave[1].weight, std=0.1)
    return model.eval().requires_grad_(False)


@pytest.fixture(scope="session")
def environment() -> Iterator[Callable[[str], Environment]]:
    """The simulation of a task, started once for the whole suite."""
    made: dict[str, Environment] = {}

    def get(name: str) -> Environment:
        if name not in made:
            made[name] = Environment(get_task(name))
        return made[name]

    yield get
    for env in made.values():
        env.close()


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(7)
