"""Launch descriptions made from the package's own definition of what is started."""

from __future__ import annotations

from launch import LaunchContext, LaunchDescription
from launch.actions import DeclareLaunchArgument, OpaqueFunction, Shutdown
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue

from wm_planner.configurator import stack
from wm_planner.configurator.paths import PACKAGE


def describe(*nodes: stack.Node) -> LaunchDescription:
    """Arguments and nodes; the whole launch ends when one of its nodes does."""
    arguments = stack.launch_arguments(nodes)
    return LaunchDescription(
        [
            *(
                DeclareLaunchArgument(
                    name,
                    default_value=argument.default,
                    description=argument.description,
                    choices=list(argument.choices) if argument.choices else None,
                )
                for name, argument in arguments.items()
            ),
            OpaqueFunction(function=_start, args=[nodes]),
        ]
    )


def _start(context: LaunchContext, nodes: tuple[stack.Node, ...]) -> list[Node]:
    values = {name: LaunchConfiguration(name).perform(context) for name in stack.launch_arguments(nodes)}
    return [_node(spec) for spec in stack.stack_from_launch(nodes, values)]


def _node(spec: stack.NodeSpec) -> Node:
    # Without an explicit type launch_ros reads strings as YAML, and a task named `on` would become true.
    typed = {
        name: ParameterValue(value, value_type=str) if isinstance(value, str) else value
        for name, value in spec.parameters.items()
    }
    return Node(
        package=PACKAGE,
        executable=spec.executable,
        name=spec.name,
        namespace=spec.namespace or None,
        parameters=[*map(str, spec.parameters_files), typed],
        remappings=list(spec.remappings),
        arguments=["--ros-args", "--log-level", spec.log_level],
        output="screen",
        emulate_tty=True,
        on_exit=Shutdown(reason=f"{spec.name} ended"),
    )
