"""What the planner is, from its start to its end, and what it refuses to become."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

pytest.importorskip("rclpy", reason="no ROS 2: rclpy is not installed")

from diagnostic_msgs.msg import DiagnosticStatus
from std_srvs.srv import Trigger

from wm_planner.configurator.contract import Contract

from ..conftest import Peer, Process, wait_for
from .conftest import PATIENT, SEARCH, Scene, Sensors, speed


def test_lifecycle_through_services(start: Callable[..., Scene], peer: Peer) -> None:
    scene = start(active=False)
    assert peer.state("planner") == "unconfigured"
    scene.wait_for_status("unconfigured")
    for _ in range(2):
        assert peer.change_state("planner", "configure")
        assert peer.state("planner") == "inactive"
        scene.wait_for_status("inactive")
        assert peer.change_state("planner", "activate")
        assert peer.state("planner") == "active"
        scene.wait_for_status("idle", "no goal")
        scene.set_goal()
        scene.wait_for_motion()
        assert peer.change_state("planner", "deactivate")
        scene.assert_last_command_is_zero()
        assert peer.change_state("planner", "cleanup")
        assert peer.state("planner") == "unconfigured"
    scene.wait_for_status("unconfigured")


def test_deactivate_stops_and_forgets_the_goal(moving: Callable[..., Scene], peer: Peer) -> None:
    scene = moving()
    assert peer.change_state("planner", "deactivate")
    scene.assert_last_command_is_zero()
    count = len(scene.commands)
    answer = peer.call("/planner/set_goal_from_camera", Trigger)
    assert not answer.success and "not active" in answer.message
    assert not peer.call("/planner/cancel", Trigger).success
    assert peer.change_state("planner", "activate")
    scene.wait_for_status("idle")
    scene.settle()
    assert len(scene.commands) == count, "an activated robot stands until it is given a goal"


def _truncated(good: Path, path: Path) -> None:
    path.write_bytes(good.read_bytes()[:-1000])


def _pickle(good: Path, path: Path) -> None:
    torch.save({"weights": torch.zeros(3)}, path)


def _copy(good: Path, path: Path) -> None:
    path.write_bytes(good.read_bytes())


def _nothing(good: Path, path: Path) -> None:
    pass


CHECKPOINTS = {
    "truncated": (_truncated, "is truncated or no safetensors file"),
    "pickle": (_pickle, "is a Python pickle (torch.save), expected safetensors"),
    "missing": (_nothing, "no checkpoint at "),
    "other contract": (_copy, "control_rate: 20.0 != 10.0"),
}


@pytest.mark.parametrize("kind", CHECKPOINTS)
def test_a_checkpoint_that_does_not_fit_is_refused(
    start: Callable[..., Scene],
    peer: Peer,
    push_contract: Contract,
    write_checkpoint: Callable[[Contract], Path],
    tmp_path: Path,
    kind: str,
) -> None:
    write, text = CHECKPOINTS[kind]
    contract = push_contract.model_copy(update={"control_rate": 20.0}) if kind == "other contract" else push_contract
    path = tmp_path / "model.safetensors"
    write(write_checkpoint(push_contract), path)
    scene = start(contract, active=False, checkpoint=str(path))
    assert not peer.change_state("planner", "configure")
    assert peer.state("planner") == "unconfigured"
    status = scene.wait_for_status("unconfigured", text)
    assert "cannot configure: " in status.message and status.level == DiagnosticStatus.WARN
    scene.wait_for_log(text)
    assert not peer.change_state("planner", "activate")
    assert not scene.commands


def test_an_unknown_contract_is_refused(start: Callable[..., Scene], peer: Peer) -> None:
    scene = start(active=False, contract_file="panda_juggle")
    assert not peer.change_state("planner", "configure")
    scene.wait_for_status("unconfigured", "panda_juggle.yaml; give a path, or one of ['panda_push', ")
    assert not scene.commands


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_sends_a_zero_command_and_ends_the_process(
    peer: Peer,
    push_contract: Contract,
    write_checkpoint: Callable[[Contract], Path],
    start_process: Callable[..., Process],
    number: int,
) -> None:
    sensors = Sensors(peer, push_contract)
    try:
        values = {
            "contract": "panda_push",
            "checkpoint": write_checkpoint(push_contract),
            "device": "cpu",
            "autostart": "true",
            **SEARCH,
            **PATIENT,
        }
        arguments = [part for name, value in values.items() for part in ("-p", f"{name}:={value}")]
        process = start_process("wm_planner.ros.planner_node", "--ros-args", *arguments)
        scene = Scene(peer, push_contract, sensors, lambda: "")
        scene.wait_for_status("idle")
        scene.set_goal()
        scene.wait_for_motion()
        assert process.signal(number) == 0, process.output
        wait_for(lambda: speed(scene.commands[-1]) == 0, lambda: f"a zero command; log: {process.output}")
        assert "shut down: goal dropped, zero command sent" in process.output
    finally:
        sensors.close()
