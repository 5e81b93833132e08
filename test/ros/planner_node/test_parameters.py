"""Parameters: checked when set, in effect at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import yaml

pytest.importorskip("rclpy", reason="no ROS 2: rclpy is not installed")

from nav_msgs.msg import Path

from wm_planner.actor.agent import AgentConfig
from wm_planner.configurator.paths import config_directory
from wm_planner.ros.messages import image_message
from wm_planner.ros.parameters import PARAMETERS

from ..conftest import Peer, Process, wait_for
from .conftest import Scene


def test_parameters_are_validated_and_changed_while_running(moving: Callable[..., Scene], peer: Peer) -> None:
    scene = moving(lockstep=True)
    paths = peer.record("/planner/predicted_trajectory", Path)
    wait_for(lambda: paths and len(paths[-1].poses) == AgentConfig().horizon, "paths of the default horizon")
    assert peer.set_parameter("planner", "costs.latent_l2", 0.0).successful
    for name, value, text in (
        ("horizon", 0, ""),
        ("sensor_timeout", -1.0, ""),
        ("elites", 17, "elites: found 17, expected at most samples (16)"),
        ("solver", "annealing", "solver: Input should be 'cem', 'icem', 'mppi' or 'gradient'; found 'annealing'"),
        ("mode", "dream", "mode: Input should be 'plan' or 'policy'; found 'dream'"),
        ("lockstep", False, ""),
        ("costs.temporal_distance", -1.0, ""),
        ("costs.temporal_distance", 0.0, "costs: Value error, costs are {}, expected at least one with a weight"),
    ):
        result = peer.set_parameter("planner", name, value)
        assert not result.successful, name
        assert text in result.reason and result.reason
    assert peer.set_parameter("planner", "horizon", 5).successful
    wait_for(lambda: len(paths[-1].poses) == 5, "paths of the new horizon")
    for solver in ("cem", "mppi", "gradient"):
        assert peer.set_parameter("planner", "solver", solver).successful
        scene.wait_for_motion()
    assert peer.set_parameter("planner", "mode", "policy").successful
    scene.wait_for_motion()
    assert scene.value("goal") == "joints"


def test_costs_decide_what_an_image_goal_is_worth(start: Callable[..., Scene], peer: Peer) -> None:
    scene = start()
    peer.publish_matched("/planner/goal_image", image_message(scene.sensors.image[::-1], 0.0, "goal"))
    scene.wait_for_motion()
    assert peer.set_parameter("planner", "costs.action_effort", 1.0).successful
    assert peer.set_parameter("planner", "costs.temporal_distance", 0.0).successful
    assert peer.set_parameter("planner", "costs.latent_l2", 0.0).successful
    scene.assert_zero_commands_flow()  # where moving is all that costs, nothing moves
    assert peer.set_parameter("planner", "costs.latent_l2", 1e6).successful
    scene.wait_for_motion()


def test_the_installed_parameter_file_holds_every_parameter() -> None:
    def flat(values: dict, prefix: str = "") -> Iterator[str]:
        for name, value in values.items():
            yield from flat(value, f"{prefix}{name}.") if isinstance(value, dict) else (prefix + name,)

    file = yaml.safe_load((config_directory() / "planner_params.yaml").read_text())
    assert sorted(flat(file["/**"]["ros__parameters"])) == sorted(PARAMETERS)


def test_a_parameter_out_of_range_ends_the_process_with_its_name(start_process: Callable[..., Process]) -> None:
    process = start_process("wm_planner.ros.planner_node", "--ros-args", "-p", "horizon:=0")
    assert process.popen.wait(60) == 1
    assert "horizon" in process.output
