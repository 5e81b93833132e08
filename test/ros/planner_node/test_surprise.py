"""A planner whose model expects that nothing changes, and what it does when the picture is another at once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

pytest.importorskip("rclpy", reason="no ROS 2: rclpy is not installed")

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from std_msgs.msg import Float64MultiArray

from wm_planner.configurator.contract import Contract
from wm_planner.perception.image import to_frame
from wm_planner.ros.messages import image_message
from wm_planner.ros.parameters import PARAMETERS
from wm_planner.world_model.checkpoint import load_checkpoint, save_checkpoint
from wm_planner.world_model.config import ModelConfig
from wm_planner.world_model.model import WorldModel
from wm_planner.world_model.surprise import HORIZONS, SLOW, STOP, Calibration, packed

from ..conftest import Peer, wait_for
from .conftest import Scene, speed

SLOWED = PARAMETERS["surprise.slow_speed"].default


def _picture(contract: Contract, seed: int) -> np.ndarray:
    camera = contract.cameras[0]
    return np.random.default_rng(seed).integers(0, 256, (camera.height, camera.width, 3), np.uint8)


def _calibration(contract: Contract, size: int, scale: float) -> Calibration:
    whitening = packed(torch.eye(size) / scale)
    return Calibration(
        dt=contract.dt,
        whitening=dict.fromkeys(HORIZONS, whitening),
        level=1.0,
        share=0.02,
        excess=1.0,
        moments=1000,
        source="this test",
    )


class Lab:
    """Starts planners that move the robot at a constant speed, and are as surprised by another picture as told."""

    def __init__(self, start: Callable[..., Scene], contract: Contract, config: ModelConfig, directory: Path) -> None:
        self._start, self._contract, self._path = start, contract, directory / "still.safetensors"
        self.first, self.other = _picture(contract, 0), _picture(contract, 1)
        self._model = WorldModel(contract, config)
        last = self._model.policy.body.leave[1]
        with torch.no_grad():
            last.weight.zero_()
            last.bias.fill_(1.0)
        self._size = config.latent_dim + len(contract.joints.names)
        self.limits = [_calibration(contract, self._size, 1.0).threshold(alarms) for alarms in (SLOW, STOP)]

    def __call__(self, surprise: float, calibrated: bool = True, goal: bool = True, **parameters: object) -> Scene:
        save_checkpoint(self._path, self._model, {})
        model = load_checkpoint(self._path, "cpu").model
        camera = self._contract.cameras[0]
        frames = [torch.from_numpy(to_frame(picture, camera))[None] for picture in (self.first, self.other)]
        change = (model.encode(frames[1]) - model.encode(frames[0])).square().sum() / self._size
        calibration = _calibration(self._contract, self._size, float(change.sqrt()) / surprise)
        facts = {"surprise": calibration.model_dump(mode="json")} if calibrated else {}
        save_checkpoint(self._path, self._model, facts)
        scene = self._start(checkpoint=str(self._path), mode="policy", reached_distance=0.0, **parameters)
        scene.sensors.image = self.first
        if goal:
            scene.peer.publish_matched("/planner/goal_image", image_message(self.other, 0.0, "goal"))
            scene.wait_for_motion()
        return scene


@pytest.fixture
def lab(start: Callable[..., Scene], push_contract: Contract, small_config: ModelConfig, tmp_path: Path) -> Lab:
    return Lab(start, push_contract, small_config, tmp_path)


def _wait_for_speed(scene: Scene, share: float, since: int = 0) -> int:
    """Wait for five commands in a row at this share of the fastest so far; counts from and returns a command's number.

    Of all that were recorded: a phase may be over before a busy machine looks.
    """

    def found() -> int:
        speeds = np.array([speed(m) for m in scene.commands])
        there = np.isclose(speeds, share * speeds.max(initial=0.0), atol=1e-3)
        return next((k + 5 for k in range(since, len(there) - 4) if there[k : k + 5].all()), 0)

    return wait_for(found, lambda: f"{share} of full speed; last: {[speed(m) for m in scene.commands[-20:]]}")


def test_surprise_is_published_beside_its_thresholds(lab: Lab, peer: Peer) -> None:
    surprises = peer.record("/planner/surprise", Float64MultiArray)
    scene = lab(20.0)
    wait_for(lambda: len(surprises) >= 5, "surprise")
    assert surprises[-1].layout.dim[0].label == "surprise,slow,stop"
    np.testing.assert_allclose(surprises[-1].data, [0.0, *lab.limits], atol=1e-6)
    scene.sensors.image = lab.other
    wait_for(lambda: surprises[-1].data[0] > 1.0, "surprise at another picture")
    scene.settle()
    assert 10.0 < max(m.data[0] for m in surprises) < 20.2  # the picture before, if late, is interpolated
    assert scene.peer.set_parameter("planner", "surprise.stop_alarms", 0.001).successful
    wait_for(lambda: surprises[-1].data[2] > lab.limits[1] + 1.0, "a higher threshold for rarer alarms")


def test_above_the_first_threshold_the_robot_slows_and_then_goes_on(lab: Lab, peer: Peer) -> None:
    scene = lab(float(np.mean(lab.limits)))
    fast = _wait_for_speed(scene, 1.0)
    scene.sensors.image = lab.other
    status = scene.wait_for_status("", f"slowed to {SLOWED:.0%}: surprise is ")
    assert status.level == DiagnosticStatus.WARN
    _wait_for_speed(scene, 1.0, _wait_for_speed(scene, SLOWED, fast))
    wait_for(lambda: scene.statuses[-1].level == DiagnosticStatus.OK, lambda: f"no warning: {scene.statuses[-1]}")


def test_above_the_second_it_stops_says_why_and_recovers_slowly(lab: Lab, peer: Peer) -> None:
    scene = lab(20.0)
    diagnostics = peer.record("/diagnostics", DiagnosticArray)
    fast = _wait_for_speed(scene, 1.0)
    scene.sensors.image = lab.other
    text = f"expected below {lab.limits[1]:.3g}: what is seen is not what was predicted"
    assert scene.wait_for_status("stopped", text).level == DiagnosticStatus.ERROR
    scene.wait_for_log("stopped: surprise is ")
    still = _wait_for_speed(scene, 0.0, fast)
    scene.wait_for_log("the world makes sense again: going on slowly")
    _wait_for_speed(scene, 1.0, _wait_for_speed(scene, SLOWED, still))
    assert scene.value("goal") == "image"
    # Pictures that go on changing: the robot stands, and the diagnostics say so in red.
    for k in range(200):
        scene.sensors.image = (lab.first, lab.other)[k % 2]
        scene.settle()
        if diagnostics and diagnostics[-1].status[0].level == DiagnosticStatus.ERROR:
            break
    assert text in diagnostics[-1].status[0].message


def test_without_a_goal_others_may_change_the_world(lab: Lab) -> None:
    scene = lab(20.0, goal=False)
    scene.wait_for_status("idle")
    wait_for(lambda: float(scene.value("surprise")) == 0.0, "surprise")
    scene.sensors.image = lab.other
    wait_for(lambda: float(scene.value("surprise")) > 1.0, "surprise at another picture")
    assert scene.wait_for_status("idle").level == DiagnosticStatus.OK
    scene.peer.publish_matched("/planner/goal_image", image_message(lab.first, 0.0, "goal"))
    scene.wait_for_motion()


def test_reaction_can_be_switched_off(lab: Lab) -> None:
    scene = lab(20.0, **{"surprise.react": False})
    _wait_for_speed(scene, 1.0)
    count = len(scene.commands)
    scene.sensors.image = lab.other
    wait_for(lambda: float(scene.value("surprise")) > lab.limits[1], "surprise")
    scene.settle()
    assert all(speed(m) > 0.9 * speed(scene.commands[count]) for m in scene.commands[count:])


def test_a_checkpoint_without_calibration_is_warned_of_and_runs(lab: Lab, peer: Peer) -> None:
    surprises = peer.record("/planner/surprise", Float64MultiArray)
    scene = lab(20.0, calibrated=False)
    scene.wait_for_log("the checkpoint has no surprise calibration")
    scene.sensors.image = lab.other
    scene.settle()
    scene.wait_for_motion()
    assert not surprises and "surprise" not in {pair.key for pair in scene.statuses[-1].values}


def test_rarer_stops_than_slowing_are_demanded(lab: Lab) -> None:
    scene = lab(20.0)
    result = scene.peer.set_parameter("planner", "surprise.stop_alarms", 2.0)
    assert not result.successful and "expected at most surprise.slow_alarms (0.5)" in result.reason
