"""Trials through the real nodes, in processes of their own."""

from __future__ import annotations

from pathlib import Path

import psutil
import pytest

pytest.importorskip("rclpy", reason="no ROS 2: rclpy is not installed")

from wm_planner.data.output import Interrupted
from wm_planner.evaluation.realtime import alarms, evaluate, node_parameters
from wm_planner.evaluation.report import Trial
from wm_planner.sim.tasks import get_task


def test_agent_settings_become_node_parameters() -> None:
    settings = ["horizon=12", "solver.name=cem", "solver.samples=32", "mode=policy"]
    assert node_parameters(settings) == {"horizon": 12, "solver": "cem", "samples": 32, "mode": "policy"}


@pytest.mark.parametrize("rate", [10, 30])
def test_alarms_are_counted_when_they_begin_and_by_the_robots_time(rate: int) -> None:
    speeds = [1, 1, 0.3, 0.3, 1, 0, 0, 0.3, 0, 0.3, 1, *[1] * 89]  # in ten seconds
    statuses = [{"speed": str(speed), "surprise": "1.0"} for speed in speeds for _ in range(rate // 10)]
    assert alarms(statuses, 10.0) == {"slowed": 120.0, "stopped": 120.0}  # two of each
    assert alarms(statuses[: 2 * rate // 10], 0.2) == {"slowed": 0.0, "stopped": 0.0}
    assert alarms([{"state": "planning"}], 0.1) is None


def test_reaches_goals_over_ros_and_leaves_nothing_running(tmp_path: Path) -> None:
    before = {p.pid for p in psutil.Process().children(recursive=True)}
    result = evaluate(get_task("panda_reach"), 3, 12, logs=tmp_path, camera_rate=12.0)
    assert result["n"] == 3 and result["successes"] >= 2, result
    assert "images at 12 Hz" in (tmp_path / "sim.log").read_text(errors="replace")
    assert result["rate_hz"] > 0 and result["image_to_command_ms"]["p50"] > 0
    assert {p.pid for p in psutil.Process().children(recursive=True)} <= before


def test_trials_finished_before_an_early_end_are_reported(tmp_path: Path) -> None:
    def end(_: Trial) -> None:
        raise TimeoutError("no ground truth for 20 s")

    with pytest.raises(Interrupted, match=r"^ended after 1 of 3 trials: TimeoutError: no ground truth") as error:
        evaluate(get_task("panda_reach"), 3, 12, logs=tmp_path, progress=end)
    assert error.value.finished["n"] == 1 and "rate_hz" in error.value.finished


def test_a_camera_that_has_turned_is_made_up_for_over_ros(tmp_path: Path) -> None:
    result = evaluate(get_task("panda_reach"), 3, 12, logs=tmp_path, factor="camera 5 degrees")
    assert result["n"] == 3 and result["successes"] >= 2, result
    assert result["camera_moved"] > 0.02
