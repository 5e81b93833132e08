"""What is started, and that it all ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import psutil
import pytest
import yaml

from wm_planner.configurator import processes
from wm_planner.configurator.paths import config_directory
from wm_planner.configurator.stack import NodeSpec, launch_arguments, stack, stack_from_launch

SLEEPER = [sys.executable, "-S", "-c", "import time; print('up', flush=True); time.sleep(600)"]
STUBBORN = [
    sys.executable,
    "-S",
    "-c",
    "import signal, time; signal.signal(signal.SIGINT, signal.SIG_IGN); print('up', flush=True); time.sleep(600)",
]


def eventually(condition: Callable[[], bool], seconds: float = 20.0) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def gone(pid: int) -> bool:
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def parameter_after(command: list[str], name: str) -> object:
    values = [v for flag, v in pairwise(command) if flag == "-p" and v.startswith(f"{name}:=")]
    return yaml.safe_load(values[-1].partition(":=")[2])


def test_demo_is_the_simulator_and_a_planner_on_its_clock() -> None:
    sim, planner = stack(["sim", "planner"])
    assert (sim.executable, sim.name) == ("sim", "sim")
    assert (planner.executable, planner.name) == ("planner", "planner")
    assert sim.parameters["publish_clock"] is True
    assert planner.parameters["use_sim_time"] is True
    assert planner.parameters["autostart"] is True


def test_a_planner_alone_runs_on_the_clock_of_the_robot() -> None:
    assert stack(["planner"])[0].parameters["use_sim_time"] is False
    assert launch_arguments(["planner"])["use_sim_time"].default == "false"
    assert launch_arguments(["sim", "planner"])["use_sim_time"].default == "true"


def test_launch_arguments_are_those_that_concern_the_nodes() -> None:
    everywhere = {"params_file", "namespace", "use_sim_time", "log_level", "task"}
    assert set(launch_arguments(["sim"])) == everywhere
    assert set(launch_arguments(["planner"])) == everywhere | {"autostart", "checkpoint"}


def test_defaults_of_the_launch_arguments_change_no_tuning() -> None:
    defaults = {name: argument.default for name, argument in launch_arguments(["sim", "planner"]).items()}
    assert stack_from_launch(["sim", "planner"], defaults) == stack(["sim", "planner"])
    assert "contract" not in stack(["planner"])[0].parameters


def test_launch_arguments_reach_the_nodes(tmp_path: Path) -> None:
    mine = tmp_path / "mine.yaml"
    mine.write_text("/**:\n  ros__parameters:\n    horizon: 4\n")
    values = {
        "params_file": str(mine),
        "namespace": "left",
        "use_sim_time": "False",
        "log_level": "debug",
        "autostart": "false",
        "checkpoint": "/models/one.safetensors",
        "task": "panda_reach",
    }
    sim, planner = stack_from_launch(["sim", "planner"], values)
    assert sim.parameters == {"publish_clock": False, "task": "panda_reach"}
    assert planner.parameters == {
        "use_sim_time": False,
        "autostart": False,
        "contract": "panda_reach",
        "checkpoint": "/models/one.safetensors",
    }
    for spec in (sim, planner):
        assert spec.parameters_files == (config_directory() / f"{spec.name}_params.yaml", mine)
        assert spec.namespace == "left"
        assert spec.log_level == "debug"


def test_overrides_win() -> None:
    spec = stack(["planner"], task="panda_reach", overrides={"planner": {"contract": "own.yaml", "lockstep": True}})[0]
    assert spec.parameters["contract"] == "own.yaml"
    assert spec.parameters["lockstep"] is True


def test_missing_params_file_is_named() -> None:
    with pytest.raises(FileNotFoundError, match=r"params_file /nowhere\.yaml does not exist"):
        stack(["sim"], params_file="/nowhere.yaml")


def test_command_line_holds_everything() -> None:
    spec = NodeSpec(
        executable="planner",
        name="planner",
        parameters_files=(Path("/a.yaml"), Path("/b.yaml")),
        parameters={"contract": "on", "checkpoint": "", "threads": 2, "lockstep": True, "camera.eye": [1.0, 0.5, 2.0]},
        namespace="/left/",
        remappings=(("/joint_states", "/left/joint_states"),),
        log_level="warn",
    )
    command = spec.command
    assert command[:4] == [sys.executable, "-m", "wm_planner.ros.planner_node", "--ros-args"]
    assert [v for f, v in pairwise(command) if f == "-r"] == [
        "__node:=planner",
        "/joint_states:=/left/joint_states",
        "__ns:=/left",
    ]
    assert command.index("/a.yaml") < command.index("/b.yaml")
    assert {name: parameter_after(command, name) for name in spec.parameters} == spec.parameters
    assert command[-2:] == ["--log-level", "warn"]


@pytest.mark.parametrize("node", ["sim", "planner"])
def test_parameter_files_match_what_the_nodes_declare(node: str) -> None:
    pytest.importorskip("rclpy", reason="the nodes' declarations need ROS")
    data = yaml.safe_load((config_directory() / f"{node}_params.yaml").read_text())
    given = _flat(data["/**"]["ros__parameters"])
    declared: dict[str, object] = {}

    class Recorder:
        """Stands in for a node where only the declarations matter."""

        def declare_parameter(self, name: str, default: object, descriptor: object) -> Recorder:
            declared[name] = self.value = default
            return self

    if node == "planner":
        from wm_planner.ros.parameters import declare
    else:
        from wm_planner.ros.sim_parameters import declare
    declare(Recorder())  # type: ignore[arg-type]
    # A value that is no tuning of the file's own must be the node's default, or one of the two is out of date.
    differs = {name: value for name, value in given.items() if declared.get(name) != value}
    assert differs == {"contract" if node == "planner" else "task": "panda_push"}
    assert {name: type(value) for name, value in given.items()} == {name: type(declared[name]) for name in given}


def _flat(parameters: dict) -> dict:
    """Nested parameters by their full names, as ROS reads them."""
    flat = {}
    for name, value in parameters.items():
        nested = _flat(value) if isinstance(value, dict) else {"": value}
        flat |= {f"{name}.{inner}".rstrip("."): v for inner, v in nested.items()}
    return flat


def test_leaving_ends_every_process_and_what_it_started(tmp_path: Path) -> None:
    grandchild = f"import subprocess, sys; p = subprocess.Popen({STUBBORN!r}); print(p.pid, flush=True); p.wait()"
    commands = {"parent": [sys.executable, "-S", "-c", grandchild], "sleeper": SLEEPER}
    log = tmp_path / "parent.log"
    with processes.running(commands, log_directory=tmp_path) as running:
        assert eventually(lambda: b"up" in log.read_bytes())
        assert list(running) == ["parent", "sleeper"]
    assert all(process.returncode is not None for process in running.values())
    assert eventually(lambda: gone(int(log.read_bytes().split()[0])))


def test_process_deaf_to_sigint_is_killed_after_the_grace(tmp_path: Path) -> None:
    with processes.running({"deaf": STUBBORN}, log_directory=tmp_path, grace=0.2) as running:
        assert eventually(lambda: b"up" in (tmp_path / "deaf.log").read_bytes())
    assert running["deaf"].returncode == -signal.SIGKILL


def test_children_inherit_the_environment_and_what_is_added(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROS_DOMAIN_ID", "43")
    show = "import json, os; print(json.dumps(dict(os.environ)), flush=True)"
    command = [sys.executable, "-S", "-c", show]
    with processes.running({"show": command}, {"ADDED": "yes"}, tmp_path) as running:
        running["show"].wait(20)
    environment = json.loads((tmp_path / "show.log").read_text())
    assert environment["ROS_DOMAIN_ID"] == "43"
    assert environment["ADDED"] == "yes"


def test_a_command_that_cannot_start_leaves_nothing_running(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[subprocess.Popen[bytes]] = []
    start = processes._start

    def failing(name: str, *rest: object) -> subprocess.Popen[bytes]:
        if name == "second":
            raise OSError("out of processes")
        started.append(start(name, *rest))  # type: ignore[arg-type]
        return started[-1]

    monkeypatch.setattr(processes, "_start", failing)
    both = {"first": SLEEPER, "second": SLEEPER}
    with pytest.raises(OSError, match="out of processes"), processes.running(both, log_directory=tmp_path):
        pytest.fail("nothing may run when not everything could be started")
    assert started[0].returncode is not None


@pytest.mark.parametrize(
    ("number", "code"),
    [
        (signal.SIGINT, -signal.SIGINT),
        (signal.SIGTERM, 128 + signal.SIGTERM),
        (signal.SIGHUP, 128 + signal.SIGHUP),
        (signal.SIGKILL, -signal.SIGKILL),
    ],
)
def test_nothing_outlives_a_starter_that_is_signalled(tmp_path: Path, number: signal.Signals, code: int) -> None:
    script = textwrap.dedent(
        f"""
        import signal, time
        from pathlib import Path
        from wm_planner.configurator.processes import running
        signal.signal(signal.SIGHUP, signal.SIG_DFL)  # which nohup, if these tests run under it, would have ignored
        with running({{"one": {SLEEPER!r}, "two": {SLEEPER!r}}}, log_directory=Path({str(tmp_path)!r})) as started:
            print(*(p.pid for p in started.values()), flush=True)
            time.sleep(600)
        """
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    starter = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, env=environment)
    assert starter.stdout is not None
    pids = [int(pid) for pid in starter.stdout.readline().split()]
    assert len(pids) == 2
    assert eventually(lambda: all((tmp_path / f"{n}.log").read_bytes() for n in ("one", "two")))
    starter.send_signal(number)
    starter.stdout.close()
    assert starter.wait(20) == code
    assert eventually(lambda: all(gone(pid) for pid in pids))


def test_a_second_ctrl_c_does_not_cut_the_clean_up_short(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), processes.running({"deaf": STUBBORN}, None, tmp_path, 1.0) as running:
        assert eventually(lambda: b"up" in (tmp_path / "deaf.log").read_bytes())
        again = "import os, sys, time; time.sleep(0.4); os.kill(int(sys.argv[1]), 2)"
        subprocess.Popen([sys.executable, "-S", "-c", again, str(os.getpid())])
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(10)
    assert running["deaf"].returncode == -signal.SIGKILL
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
