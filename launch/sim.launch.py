"""Start the simulated robot: wm_planner/configurator/stack.py says how."""

from launch import LaunchDescription

from wm_planner.ros.launching import describe


def generate_launch_description() -> LaunchDescription:
    return describe("sim")
