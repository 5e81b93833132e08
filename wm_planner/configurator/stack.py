"""What is started: nodes, parameters, remappings. The launch files and the command line both read this.

Imports neither ROS nor launch.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from wm_planner.configurator import processes
from wm_planner.configurator.paths import PACKAGE, config_directory

Node = Literal["sim", "planner"]
Scalar = bool | int | float | str
Parameters = dict[str, Scalar | list[Scalar]]


@dataclass(frozen=True)
class NodeSpec:
    """One node. Parameter files apply in their order, then `parameters`."""

    executable: Node
    name: str
    parameters_files: tuple[Path, ...] = ()
    parameters: Parameters = field(default_factory=dict)
    namespace: str = ""
    remappings: tuple[tuple[str, str], ...] = ()
    log_level: str = "info"

    @property
    def command(self) -> list[str]:
        """Argument vector that starts the node with this interpreter."""
        rules = [f"__node:={self.name}", *(f"{source}:={target}" for source, target in self.remappings)]
        if self.namespace:
            rules.append(f"__ns:=/{self.namespace.strip('/')}")
        argv = [sys.executable, "-m", f"{PACKAGE}.ros.{self.executable}_node", "--ros-args"]
        for rule in rules:
            argv += ["-r", rule]
        for path in self.parameters_files:
            argv += ["--params-file", str(path)]
        for name, value in self.parameters.items():
            argv += ["-p", f"{name}:={json.dumps(value)}"]  # JSON is YAML, and quotes strings that look like numbers
        return [*argv, "--log-level", self.log_level]


@dataclass(frozen=True)
class Argument:
    """A launch argument: a fact of the deployment. What is tuned lives in parameter files."""

    default: str
    description: str
    choices: tuple[str, ...] | None = None


_BOOLEAN = ("true", "false", "True", "False")
_LEVELS = ("debug", "info", "warn", "error", "fatal")


def launch_arguments(nodes: Sequence[Node]) -> dict[str, Argument]:
    """The launch arguments that starting these nodes understands."""
    files = " and ".join(f"config/{node}_params.yaml" for node in nodes)
    arguments = {
        "params_file": Argument("", f"ROS parameter file (YAML) read after the package's {files}"),
        "namespace": Argument("", "namespace of the nodes, for their own ~/ topics and services"),
        "use_sim_time": Argument("true" if "sim" in nodes else "false", "run on /clock, published by sim", _BOOLEAN),
        "log_level": Argument("info", "least severity that is logged", _LEVELS),
        "task": Argument("", "task of the simulator and contract of the planner; empty: as in the parameter files"),
    }
    if "planner" in nodes:
        arguments["autostart"] = Argument("true", "the planner configures and activates itself", _BOOLEAN)
        arguments["checkpoint"] = Argument("", "path of the model; empty: as in the parameter files")
    return arguments


def stack(
    nodes: Sequence[Node],
    *,
    params_file: str | Path = "",
    namespace: str = "",
    use_sim_time: bool | None = None,
    log_level: str = "info",
    autostart: bool = True,
    checkpoint: str | Path = "",
    task: str = "",
    overrides: Mapping[Node, Parameters] | None = None,
) -> list[NodeSpec]:
    """Describe the nodes to start. See `launch_arguments` for what each argument means.

    Args:
        use_sim_time: None means true where the simulator is among the nodes.
        overrides: node to parameters that win over everything else.

    Raises:
        FileNotFoundError: `params_file` does not exist.
    """
    if params_file and not Path(params_file).is_file():
        raise FileNotFoundError(f"params_file {params_file} does not exist; give a ROS parameter file (YAML)")
    sim_time = "sim" in nodes if use_sim_time is None else use_sim_time
    facts: dict[Node, Parameters] = {
        "sim": {"publish_clock": sim_time},
        "planner": {"use_sim_time": sim_time, "autostart": autostart},
    }
    if task:
        facts["sim"]["task"] = facts["planner"]["contract"] = task
    if checkpoint:
        facts["planner"]["checkpoint"] = str(Path(checkpoint).absolute())
    return [
        NodeSpec(
            executable=node,
            name=node,
            parameters_files=_parameter_files(node, params_file),
            parameters={**facts[node], **(overrides or {}).get(node, {})},
            namespace=namespace,
            log_level=log_level,
        )
        for node in nodes
    ]


def stack_from_launch(nodes: Sequence[Node], values: Mapping[str, str]) -> list[NodeSpec]:
    """`stack` from launch arguments, which are strings."""
    booleans = {name for name, argument in launch_arguments(nodes).items() if argument.choices == _BOOLEAN}
    arguments: dict[str, Any] = {n: value.lower() == "true" if n in booleans else value for n, value in values.items()}
    return stack(nodes, **arguments)


def _parameter_files(node: Node, params_file: str | Path) -> tuple[Path, ...]:
    ours = config_directory() / f"{node}_params.yaml"
    return (ours, Path(params_file).absolute()) if params_file else (ours,)


@contextmanager
def running(
    specs: Sequence[NodeSpec],
    env: Mapping[str, str] | None = None,
    log_directory: Path | None = None,
    grace: float = 10.0,
) -> Iterator[dict[str, subprocess.Popen[bytes]]]:
    """Run nodes as processes, by name, and leave none behind; see `processes.running`."""
    commands = {spec.name: spec.command for spec in specs}
    with processes.running(commands, env, log_directory, grace) as started:
        yield started
