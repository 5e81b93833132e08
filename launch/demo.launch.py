"""Start the simulated robot and the planner, as `wm_planner up` does: wm_planner/configurator/stack.py says how."""

from launch import LaunchDescription

from wm_planner.ros.launching import describe


def generate_launch_description() -> LaunchDescription:
    return describe("sim", "planner")
