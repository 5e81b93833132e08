"""Forward kinematics against PyBullet's, and the Jacobian against finite differences."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from wm_planner.configurator.contract import Contract, load_contract
from wm_planner.configurator.kinematics import forward
from wm_planner.sim.environment import Environment
from wm_planner.sim.panda import ARM

CONTRACTS = ["panda_reach", "panda_push"]
# (link of PyBullet's model, distance of the tool along that link's z axis)
TOOL_LINK = {"panda_reach": (b"panda_grasptarget", 0.0), "panda_push": (b"rod", 0.16)}


def _random_joints(contract: Contract, rng: np.random.Generator) -> np.ndarray:
    return rng.uniform(contract.joints.lower, contract.joints.upper)


@pytest.mark.parametrize("name", CONTRACTS)
def test_agrees_with_pybullet(name: str, environment: Callable[[str], Environment], rng: np.random.Generator) -> None:
    env = environment(name)
    client, body = env.world.client, env.world.panda.body
    link, offset = TOOL_LINK[name]
    index = next(i for i in range(client.getNumJoints(body)) if client.getJointInfo(body, i)[12] == link)
    for _ in range(20):
        q = _random_joints(env.contract, rng)
        for joint in ARM:
            client.resetJointState(body, joint, q[joint])
        state = client.getLinkState(body, index, computeForwardKinematics=True)
        rotation = np.reshape(client.getMatrixFromQuaternion(state[5]), (3, 3))
        pose, _ = forward(env.contract.kinematics, q)
        np.testing.assert_allclose(pose[:3, 3], np.array(state[4]) + offset * rotation[:, 2], atol=1e-4)
        np.testing.assert_allclose(pose[:3, :3], rotation, atol=1e-4)


@pytest.mark.parametrize("name", CONTRACTS)
def test_jacobian_is_the_derivative(name: str, rng: np.random.Generator) -> None:
    contract = load_contract(name)
    step = 1e-6
    for _ in range(20):
        q = _random_joints(contract, rng)
        pose, jacobian = forward(contract.kinematics, q)
        for j, unit in enumerate(np.eye(len(q))):
            plus, minus = (
                forward(contract.kinematics, q + step * unit)[0],
                forward(contract.kinematics, q - step * unit)[0],
            )
            linear = (plus - minus)[:3, 3] / (2 * step)
            spin = (plus - minus)[:3, :3] / (2 * step) @ pose[:3, :3].T  # skew-symmetric
            angular = [spin[2, 1], spin[0, 2], spin[1, 0]]
            np.testing.assert_allclose(jacobian[:, j], [*linear, *angular], atol=1e-7)


def test_pose_is_rigid(push_contract: Contract, rng: np.random.Generator) -> None:
    pose, jacobian = forward(push_contract.kinematics, _random_joints(push_contract, rng))
    np.testing.assert_allclose(pose[:3, :3] @ pose[:3, :3].T, np.eye(3), atol=1e-12)
    assert np.linalg.det(pose[:3, :3]) == pytest.approx(1.0)
    np.testing.assert_array_equal(pose[3], [0, 0, 0, 1])
    assert jacobian.shape == (6, 7)


def test_wrong_number_of_joints(push_contract: Contract) -> None:
    with pytest.raises(ValueError, match="zip"):
        forward(push_contract.kinematics, np.zeros(6))
