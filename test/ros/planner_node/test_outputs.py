"""What the planner publishes beside its commands."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path as FilePath

import numpy as np
import pytest
import torch

pytest.importorskip("rclpy", reason="no ROS 2: rclpy is not installed")

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from nav_msgs.msg import Path
from sensor_msgs.msg import Image
from std_msgs.msg import Float64

from wm_planner.actor.agent import AgentConfig
from wm_planner.configurator.contract import Contract
from wm_planner.configurator.kinematics import forward
from wm_planner.ros.messages import seconds
from wm_planner.world_model.checkpoint import save_checkpoint
from wm_planner.world_model.config import ModelConfig
from wm_planner.world_model.model import WorldModel

from ..conftest import Peer, wait_for
from .conftest import Q, Scene


def test_a_moving_robot_is_described(moving: Callable[..., Scene], peer: Peer) -> None:
    scene = moving(reached_distance=0.0)
    distances = peer.record("/planner/goal_distance", Float64)
    paths = peer.record("/planner/predicted_trajectory", Path)
    imagined = peer.record("/planner/imagined", Image)
    diagnostics = peer.record("/diagnostics", DiagnosticArray)
    status = scene.wait_for_status("planning", "joints goal: ")
    assert status.level == DiagnosticStatus.OK and status.name == "/planner"
    assert scene.value("goal") == "joints"
    for key in ("plan_ms", "command_age_ms", "image_to_command_ms", "distance"):
        assert np.isfinite(float(scene.value(key))), key
    wait_for(lambda: distances and paths and imagined and diagnostics, "every output")
    path, image = paths[-1], imagined[-1]
    assert path.header.frame_id == "panda_link0"
    assert len(path.poses) >= AgentConfig().horizon
    times = [seconds(p.header.stamp) for p in path.poses]
    np.testing.assert_allclose(np.diff(times), 0.1, atol=1e-6)
    assert (image.height, image.encoding) == (64, "rgb8") and image.width % 64 == 0
    assert diagnostics[-1].status[0].name == "/planner"


def test_the_predicted_path_is_the_tool_at_the_predicted_joints(
    start: Callable[..., Scene], peer: Peer, push_contract: Contract, small_config: ModelConfig, tmp_path: FilePath
) -> None:
    step, deviation = 0.25, 0.2  # of the first joint, per control step, in training deviations; rad
    model = WorldModel(push_contract, small_config)
    model.joint_mean[:], model.joint_std[:] = 0.1, deviation
    with torch.no_grad():
        model.predictor.leave[1].bias[small_config.latent_dim] = step  # whatever is done, the first joint turns
    save_checkpoint(tmp_path / "turning.safetensors", model, {})
    scene = start(checkpoint=str(tmp_path / "turning.safetensors"))
    paths = peer.record("/planner/predicted_trajectory", Path)
    scene.set_goal()
    wait_for(lambda: paths, "a path")
    assert push_contract.kinematics is not None
    for k, pose in enumerate(paths[-1].poses, start=1):
        tool = forward(push_contract.kinematics, np.array([Q[0] + k * step * deviation, *Q[1:]]))[0][:3, 3]
        position = pose.pose.position
        np.testing.assert_allclose([position.x, position.y, position.z], tool, atol=1e-4)
