"""Evaluation in real time: simulator and planner as ROS 2 processes, watched from a third."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from wm_planner.configurator.paths import checkpoint_path
from wm_planner.configurator.stack import running, stack
from wm_planner.data.output import Interrupted
from wm_planner.evaluation.evaluate import scene_seed, vary
from wm_planner.evaluation.goals import make_goal
from wm_planner.evaluation.report import Trial, percentiles, report
from wm_planner.sim.environment import Environment
from wm_planner.sim.tasks import Task


def private_domain() -> str:
    """A ROS domain of this process's own, kept on this machine, unless the user has chosen one."""
    os.environ.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    return os.environ.setdefault("ROS_DOMAIN_ID", str(1 + os.getpid() % 100))


def node_parameters(settings: list[str]) -> dict[str, Any]:
    """Agent settings (`horizon=12`, `solver.name=cem`) as parameters of the planner node."""
    parameters = {}
    for setting in settings:
        name, _, text = setting.partition("=")
        name = "solver" if name == "solver.name" else name.removeprefix("solver.")
        try:
            parameters[name] = json.loads(text)
        except json.JSONDecodeError:
            parameters[name] = text
    return parameters


@contextmanager
def driver(
    task: Task,
    checkpoint: Path | None,
    settings: list[str],
    logs: Path | None,
    pictures: bool = False,
    sim: dict[str, Any] | None = None,
) -> Iterator[Any]:
    """Start simulator, with parameters `sim`, and planner; yield a ready TrialDriver; leave nothing running."""
    private_domain()
    import rclpy
    from rclpy.signals import SignalHandlerOptions

    from wm_planner.ros.trial_driver import TrialDriver

    overrides = {"planner": node_parameters(settings), "sim": sim or {}}
    specs = stack(("sim", "planner"), task=task.name, checkpoint=checkpoint or "", overrides=overrides)  # type: ignore[arg-type]
    with running(specs, log_directory=logs):
        rclpy.init(signal_handler_options=SignalHandlerOptions.NO)  # `running` handles them
        node = TrialDriver(task, pictures)
        try:
            node.wait_until_ready()
            yield node
        finally:
            node.destroy_node()
            rclpy.try_shutdown()


def evaluate(
    task: Task,
    episodes: int,
    seed: int,
    checkpoint: Path | None = None,
    settings: list[str] | None = None,
    progress: Callable[[Trial], None] = lambda trial: None,
    logs: Path | None = None,
    camera_rate: float | None = None,
    factor: str | None = None,
) -> dict:
    """The lockstep report, with `rate_hz` (mean, by the sensors' clock) and `image_to_command_ms` besides.

    Args:
        camera_rate: of the simulated camera, Hz; None: the control rate.
        factor: one of the camera's place: it stands there for the whole run.

    Raises:
        Interrupted: it ended early; `finished` is the report of the trials before.
    """
    scenes = Environment(task)
    sim: dict[str, Any] = {} if camera_rate is None else {"camera.rate": camera_rate}
    if factor is not None:
        vary(scenes, factor, seed)
        camera = scenes.world.camera
        sim |= {"camera.eye": [*camera.eye], "camera.target": [*camera.target], "camera.up": [*camera.up]}
    trials: list[Trial] = []
    statuses: list[dict[str, str]] = []
    watched = 0.0
    try:
        with driver(task, checkpoint, settings or [], logs, sim=sim) as node:
            for episode in range(episodes):
                scene = scene_seed(seed, episode)
                goal = make_goal(scenes, scene)
                trial, seen, lasted = node.run(scene, goal.image, goal.position)
                trials.append(trial)
                statuses += seen
                watched += lasted
                progress(trial)
    except BaseException as reason:
        if not trials:
            raise
        early = summarise(task, trials, statuses, watched, seed, checkpoint)
        raise Interrupted(f"{len(trials)} of {episodes} trials", reason, early) from reason
    finally:
        scenes.close()
    return summarise(task, trials, statuses, watched, seed, checkpoint)


def summarise(
    task: Task,
    trials: list[Trial],
    statuses: list[dict[str, str]],
    watched: float,
    seed: int,
    checkpoint: Path | None,
) -> dict:
    """The report of trials, and of the planner's statuses during `watched` s of the robot's time."""
    busy = [s for s in statuses if s.get("state") == "planning"]
    result = report(task.name, trials, seed, (checkpoint or checkpoint_path(task.name)).name, "planner")
    rates = [float(s["rate_hz"]) for s in busy if float(s.get("rate_hz", 0)) > 0]
    latency = [float(s["image_to_command_ms"]) for s in busy if "image_to_command_ms" in s]
    return result | {
        "rate_hz": round(float(np.mean(rates)), 2) if rates else 0.0,
        "image_to_command_ms": percentiles(latency),
        "camera_moved": max((float(s["camera_moved"]) for s in statuses if "camera_moved" in s), default=0.0),
        "alarms_per_ten_minutes": alarms(statuses, watched),
    }


def alarms(statuses: list[dict[str, str]], watched: float) -> dict[str, float] | None:
    """How often surprise slowed and stopped the robot in `watched` s of its time; None where nothing was judged."""
    if not any("surprise" in s for s in statuses):
        return None
    speeds = [float(s.get("speed", 1.0)) for s in statuses]
    changes = list(zip([1.0, *speeds], speeds))
    per = 600.0 / watched
    return {
        "slowed": round(per * sum(now < 1.0 <= before for before, now in changes), 2),
        "stopped": round(per * sum(now <= 0.0 < before for before, now in changes), 2),
    }
