"""The launch files, where launch_ros is installed (it comes with ROS 2 from apt, not with the wheels from PyPI)."""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

import psutil
import pytest
import yaml

from wm_planner.configurator.paths import share_directory
from wm_planner.configurator.stack import launch_arguments

pytest.importorskip("launch_ros", reason="launch_ros is not installed: the launch files are tested with ROS 2 from apt")

from launch import LaunchContext, LaunchDescription
from launch.actions import DeclareLaunchArgument
from launch_ros.actions import Node

FILES = {"sim": ["sim"], "planner": ["planner"], "demo": ["sim", "planner"]}


def description(name: str) -> LaunchDescription:
    path = share_directory() / "launch" / f"{name}.launch.py"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.generate_launch_description()


def nodes(name: str, **arguments: str) -> list[Node]:
    """The node actions that a launch file comes down to."""
    context = LaunchContext(argv=[])
    context.launch_configurations.update(arguments)
    found = []
    for entity in description(name).entities:
        found += entity.visit(context) or []
    return [entity for entity in found if isinstance(entity, Node)]


def command(node: Node) -> list[str]:
    """The arguments that launch_ros would give the node."""
    context = LaunchContext(argv=[])
    node._perform_substitutions(context)
    return ["".join(part.perform(context) for part in word) for word in node.cmd[1:]]


@pytest.mark.parametrize("name", FILES)
def test_arguments_are_those_of_the_package(name: str) -> None:
    declared = {e.name: e for e in description(name).entities if isinstance(e, DeclareLaunchArgument)}
    expected = launch_arguments(FILES[name])
    assert list(declared) == list(expected)
    for argument, spec in expected.items():
        assert "".join(part.text for part in declared[argument].default_value) == spec.default
        assert declared[argument].choices == (list(spec.choices) if spec.choices else None)


@pytest.mark.parametrize("name", FILES)
def test_nodes_are_those_of_the_package(name: str) -> None:
    assert [node.node_package for node in nodes(name)] == ["wm_planner"] * len(FILES[name])
    assert [node.node_executable for node in nodes(name)] == FILES[name]


def installed() -> bool:
    """Whether `colcon build` (or apt) put the executables where launch_ros looks for them."""
    from ament_index_python.packages import PackageNotFoundError, get_package_prefix

    try:
        return (Path(get_package_prefix("wm_planner")) / "lib" / "wm_planner" / "planner").is_file()
    except PackageNotFoundError:
        return False


needs_installation = pytest.mark.skipif(not installed(), reason="no executables to launch: run `colcon build` first")


@needs_installation
def test_parameters_reach_the_node(tmp_path: Path) -> None:
    mine = tmp_path / "mine.yaml"
    mine.write_text("/**:\n  ros__parameters:\n    horizon: 4\n")
    (planner,) = nodes("planner", params_file=str(mine), task="on", namespace="left", autostart="False")
    words = command(planner)
    files = [Path(after) for word, after in pairwise(words) if word == "--params-file"]
    ours, theirs, facts = files
    assert ours.name == "planner_params.yaml"
    assert theirs == mine
    (parameters,) = [value["ros__parameters"] for value in yaml.safe_load(facts.read_text()).values()]
    assert parameters == {"use_sim_time": False, "autostart": False, "contract": "on"}
    assert "__node:=planner" in words
    assert "__ns:=/left" in words


@needs_installation
@pytest.mark.skipif(shutil.which("ros2") is None, reason="the ros2 command is not installed")
def test_ros2_launch_starts_the_demo_and_leaves_nothing_running(tmp_path: Path) -> None:
    log = tmp_path / "launch.log"
    with log.open("wb") as output:
        launch = subprocess.Popen(
            ["ros2", "launch", "wm_planner", "demo.launch.py", "autostart:=false"],
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST"},
            start_new_session=True,
        )
    children: list[psutil.Process] = []
    try:
        deadline = time.monotonic() + 60
        # The simulator greets with its task once everything about it works.
        while b"task panda_push" not in log.read_bytes():
            assert launch.poll() is None and time.monotonic() < deadline, log.read_text()
            time.sleep(0.2)
        children = psutil.Process(launch.pid).children(recursive=True)
        names = {word for child in children for word in child.cmdline() if word.startswith("__node:=")}
        assert names == {"__node:=sim", "__node:=planner"}, log.read_text()
        launch.send_signal(signal.SIGINT)
        launch.wait(30)
        assert psutil.wait_procs(children, timeout=5)[1] == [], log.read_text()
    finally:
        for process in [*children, launch]:
            with suppress(psutil.NoSuchProcess, ProcessLookupError):
                process.kill()


def test_launch_files_import_nothing_but_the_package() -> None:
    """They stay thin: what is started is defined once, in the package."""
    for name in FILES:
        text = (share_directory() / "launch" / f"{name}.launch.py").read_text()
        assert "Node(" not in text
        assert len(text.splitlines()) < 15
    assert "launch_ros" in sys.modules
