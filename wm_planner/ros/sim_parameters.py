"""The simulator's parameters, declared with their descriptions and ranges."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor
from rclpy.node import Node

from wm_planner.configurator.contract import Contract, load_contract
from wm_planner.sim.tasks import Task, get_task
from wm_planner.sim.world import PHYSICS_DT, CameraPose

_RATE = 1.0 / PHYSICS_DT


@dataclass(frozen=True)
class SimParameters:
    """What cannot change while the simulator runs. `seed` and `real_time_factor` stay on the node."""

    task: Task
    contract: Contract
    lockstep: bool
    gui: bool
    width: int
    height: int
    camera: CameraPose
    camera_rate: float
    command_timeout: float
    publish_clock: bool
    joint_rate: float


def declare(node: Node) -> SimParameters:
    """Declare every parameter of the simulator, and read those that stay as they are.

    Raises:
        KeyError: no such task.
        ContractError: no such contract, or an invalid one.
        ValueError: a camera vector without three values.
    """

    def parameter(name: str, default: Any, description: str, low: Any = None, high: Any = None, fixed: bool = True):
        descriptor = ParameterDescriptor(description=description, read_only=fixed)
        if isinstance(default, int) and low is not None:
            descriptor.integer_range = [IntegerRange(from_value=low, to_value=high, step=0)]
        elif low is not None:
            descriptor.floating_point_range = [FloatingPointRange(from_value=low, to_value=high, step=0.0)]
        return node.declare_parameter(name, default, descriptor).value

    parameter("seed", 0, "Scene placed by the next ~/reset (and at start-up)", 0, 2**63 - 1, fixed=False)
    parameter("real_time_factor", 1.0, "Simulated seconds per wall-clock second", 0.001, 1000.0, fixed=False)
    task = get_task(parameter("task", "panda_reach", "Task: what is in the scene and where the camera stands"))
    path = parameter("contract", "", "Contract name or path; empty: the task's")
    contract = load_contract(path or task.contract)
    camera = contract.cameras[0]

    def vector(name: str, default: tuple[float, float, float], description: str) -> tuple[float, float, float]:
        value = parameter(name, list(default), description)
        if len(value) != 3:
            raise ValueError(f"parameter {name} has {len(value)} values, expected 3: x, y, z in metres")
        return value[0], value[1], value[2]

    return SimParameters(
        task=task,
        contract=contract,
        lockstep=parameter("lockstep", False, "Wait for a command on each observation, then advance one control step"),
        gui=parameter("gui", False, "Open PyBullet's window"),
        width=parameter("camera.width", camera.width, "Image width in pixels", 1, 4096),
        height=parameter("camera.height", camera.height, "Image height in pixels", 1, 4096),
        camera=CameraPose(
            eye=vector("camera.eye", task.camera.eye, "Camera position in the robot's base frame, metres"),
            target=vector("camera.target", task.camera.target, "Point the camera looks at, base frame, metres"),
            up=vector("camera.up", task.camera.up, "Direction that is up in the image; not along the view"),
            fov=parameter("camera.fov", task.camera.fov, "Vertical field of view, degrees", 1.0, 179.0),
            samples=parameter("camera.samples", task.camera.samples, "Samples per pixel, each way, averaged", 1.0, 8.0),
        ),
        camera_rate=parameter(
            "camera.rate",
            contract.control_rate,
            "Images per simulated second; in lockstep, the control rate",
            1.0,
            _RATE,
        ),
        command_timeout=parameter("command_timeout", 0.3, "Age at which a velocity command ends, s", 0.01, 10.0),
        publish_clock=parameter("publish_clock", True, "Publish /clock"),
        joint_rate=parameter("joint_rate", 60.0, "Joint states per simulated second", 1.0, _RATE),
    )
