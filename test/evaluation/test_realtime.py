"""Trials through the real nodes, in processes of their own."""

from __future__ import annotations

from pathlib import Path

import psutil
import pytest

pytest.importorskip("rclpy", reason="no ROS 2: rclpy is not installed")

from wm_planner.evaluation.realtime import evaluate, node_parameters
from wm_planner.sim.tasks import get_task


def test_agent_settings_become_node_parameters() -> None:
    settings = ["horizon=12", "solver.name=cem", "solver.samples=32", "mode=policy"]
    assert node_parameters(settings) == {"horizon": 12, "solver": "cem", "samples": 32, "mode": "policy"}


def test_reaches_goals_over_ros_and_leaves_nothing_running(tmp_path: Path) -> None:
    before = {p.pid for p in psutil.Process().children(recursive=True)}
    result = evaluate(get_task("panda_reach"), 3, 12, logs=tmp_path)
    assert result["n"] == 3 and result["successes"] >= 2, result
    assert result["rate_hz"] > 0 and result["image_to_command_ms"]["p50"] > 0
    assert {p.pid for p in psutil.Process().children(recursive=True)} <= before
