"""The planner node's parameters: declared once, with description, range and default."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from pydantic import ValidationError
from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor
from rclpy.node import Node
from rclpy.parameter import Parameter

from wm_planner.actor.agent import AgentConfig
from wm_planner.cost.cost import COSTS
from wm_planner.world_model.surprise import SLOW, STOP

_AGENT, _DEFAULT = AgentConfig(), AgentConfig().solver
_COSTS = sorted(COSTS.keys() - {"joint_l2"})  # those of goal images; goal joints are always judged by joint_l2


class _Spec(NamedTuple):
    default: Any
    description: str
    low: float | None = None
    high: float | None = None
    read_only: bool = False


PARAMETERS: dict[str, _Spec] = {
    "contract": _Spec("panda_reach", "Contract: an installed name, or a path to a YAML file", read_only=True),
    "checkpoint": _Spec("", "Checkpoint file; empty: the one shipped for the contract", read_only=True),
    "device": _Spec("auto", "Where the model runs: auto, cpu, cuda, cuda:1, ...", read_only=True),
    "threads": _Spec(1, "Threads of the model on a CPU", 1, 256, read_only=True),
    "autostart": _Spec(False, "Configure and activate on start", read_only=True),
    "lockstep": _Spec(False, "One command per image, stamped with it: the simulation waits", read_only=True),
    "compressed": _Spec(False, "Subscribe to CompressedImage on <camera topic>/compressed", read_only=True),
    "command_rate": _Spec(50.0, "Commands per second, Hz", 1.0, 1000.0, read_only=True),
    "command_delay": _Spec(0.0, "From a command's stamp until the robot moves as it says, s", 0.0, 1.0),
    "sensor_timeout": _Spec(0.5, "Stop when a sensor has been silent for this long, s", 0.05, 60.0),
    "sync_tolerance": _Spec(0.05, "Largest difference between the stamps of image and joint state, s", 0.0, 10.0),
    "reached_distance": _Spec(2.0, "Goal image counts as reached below this distance, control steps", 0.0, 1000.0),
    "reached_joint_distance": _Spec(0.02, "Goal joints count as reached below this rms distance, rad", 0.0, 10.0),
    "surprise.react": _Spec(True, "Slow down and stop when surprised; false: only publish ~/surprise"),
    "surprise.slow_alarms": _Spec(SLOW, "False alarms per ten minutes that may slow the robot", 1e-6, 1e3),
    "surprise.stop_alarms": _Spec(STOP, "False alarms per ten minutes that may stop it", 1e-6, 1e3),
    "surprise.slow_speed": _Spec(0.3, "Share of the planned speed when slowed", 0.2, 1.0),
    "mode": _Spec(_AGENT.mode, "plan: search with the world model; policy: act by the learned policy alone"),
    "horizon": _Spec(_AGENT.horizon, "Control steps planned ahead", 1, 200),
    "solver": _Spec(_DEFAULT.name, "Search method: cem, icem, mppi or gradient"),
    "samples": _Spec(_DEFAULT.samples, "Candidate action sequences per iteration", 2, 100000),
    "iterations": _Spec(_DEFAULT.iterations, "Iterations of the search per plan", 1, 1000),
    "elites": _Spec(_DEFAULT.elites, "Best candidates kept per iteration", 1, 100000),
    "policy_proposals": _Spec(_AGENT.policy_proposals, "Rollouts of the policy among the candidates", 0, 100000),
    "align": _Spec(_AGENT.align, "Make up for cameras that have moved, where the model knows how its robot looks"),
    "offset_free": _Spec(_AGENT.offset_free, "Make up for what the predictor keeps missing (towards goal images)"),
    **{
        f"costs.{name}": _Spec(_AGENT.costs.get(name, 0.0), f"Weight of the cost {name}; 0 leaves it out", 0.0, 1e6)
        for name in _COSTS
    },
}


class Vigilance(NamedTuple):
    """What to do about surprise. Alarms are false ones per ten minutes, from which thresholds follow."""

    react: bool
    slow_alarms: float
    stop_alarms: float
    slow_speed: float


class Settings(NamedTuple):
    """What may change while the node runs. Times in seconds."""

    agent: AgentConfig
    command_delay: float
    sensor_timeout: float
    sync_tolerance: float
    reached_distance: float
    reached_joint_distance: float
    surprise: Vigilance


def _descriptor(spec: _Spec) -> ParameterDescriptor:
    descriptor = ParameterDescriptor(description=spec.description, read_only=spec.read_only)
    if spec.low is not None and spec.high is not None:
        if isinstance(spec.default, int):
            descriptor.integer_range = [IntegerRange(from_value=int(spec.low), to_value=int(spec.high), step=0)]
        else:
            descriptor.floating_point_range = [FloatingPointRange(from_value=spec.low, to_value=spec.high, step=0.0)]
    return descriptor


def declare(node: Node) -> None:
    """Declare every parameter; values given at start override the defaults."""
    for name, spec in PARAMETERS.items():
        node.declare_parameter(name, spec.default, _descriptor(spec))


def settings(node: Node, changes: Sequence[Parameter] = ()) -> Settings:
    """The settings under the node's parameters, with `changes` not made yet.

    Raises:
        ValueError: values that no planner can run with; names each one.
    """
    values = {name: node.get_parameter(name).value for name in PARAMETERS} | {p.name: p.value for p in changes}
    solver = {"name": values["solver"], **{key: values[key] for key in ("samples", "iterations", "elites")}}
    agent = {key: values[key] for key in ("mode", "horizon", "policy_proposals", "align", "offset_free")}
    costs = {name: weight for name in _COSTS if (weight := values[f"costs.{name}"])}
    try:
        config = AgentConfig.model_validate({**agent, "solver": solver, "costs": costs})
    except ValidationError as error:
        lines = [f"{_name(e['loc'])}: {e['msg']}; found {e['input']!r}" for e in error.errors()]
        raise ValueError("; ".join(lines)) from None
    if config.solver.elites > config.solver.samples:
        raise ValueError(f"elites: found {config.solver.elites}, expected at most samples ({config.solver.samples})")
    vigilance = Vigilance(*(values[f"surprise.{name}"] for name in Vigilance._fields))
    if vigilance.stop_alarms > vigilance.slow_alarms:
        raise ValueError(
            f"surprise.stop_alarms: found {vigilance.stop_alarms:g}, expected at most surprise.slow_alarms "
            f"({vigilance.slow_alarms:g}): what stops the robot must be rarer than what slows it"
        )
    return Settings(
        config,
        values["command_delay"],
        values["sensor_timeout"],
        values["sync_tolerance"],
        values["reached_distance"],
        values["reached_joint_distance"],
        vigilance,
    )


def _name(location: tuple[int | str, ...]) -> str:
    return "solver" if location == ("solver", "name") else str(location[-1])
