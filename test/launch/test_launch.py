"""The launch files, where launch_ros is installed (it comes with ROS 2 from apt, not with the wheels from PyPI)."""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import subprocess
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


def after(flag: str, words: list[str]) -> list[str]:
    return [value for word, value in pairwise(words) if word == flag]


@needs_installation
@pytest.mark.skipif(shutil.which("ros2") is None, reason="the ros2 command is not installed")
def test_ros2_launch_starts_the_demo_and_leaves_nothing_running(tmp_path: Path) -> None:
    mine = tmp_path / "mine.yaml"
    mine.write_text("/**:\n  ros__parameters:\n    horizon: 4\n")
    arguments = ["autostart:=False", "task:=panda_reach", "namespace:=left", f"params_file:={mine}"]
    log = tmp_path / "launch.log"
    with log.open("wb") as output:
        launch = subprocess.Popen(
            ["ros2", "launch", "wm_planner", "demo.launch.py", *arguments],
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST"},
            start_new_session=True,
        )
    children: list[psutil.Process] = []
    try:
        deadline = time.monotonic() + 60
        # The simulator greets with its task once everything about it works.
        while b"task panda_reach" not in log.read_bytes():
            assert launch.poll() is None and time.monotonic() < deadline, log.read_text()
            time.sleep(0.2)
        children = psutil.Process(launch.pid).children(recursive=True)
        lines = {rule: child.cmdline() for child in children for rule in after("-r", child.cmdline())}
        assert {"__node:=sim", "__node:=planner", "__ns:=/left"} <= set(lines), log.read_text()
        ours, theirs, facts = map(Path, after("--params-file", lines["__node:=planner"]))
        assert (ours.name, theirs) == ("planner_params.yaml", mine)
        (parameters,) = [value["ros__parameters"] for value in yaml.safe_load(facts.read_text()).values()]
        assert parameters == {"use_sim_time": True, "autostart": False, "contract": "panda_reach"}
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
