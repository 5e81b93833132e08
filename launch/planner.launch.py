"""Start the planner on a robot, or on a simulator started elsewhere: wm_planner/configurator/stack.py says how."""

from launch import LaunchDescription

from wm_planner.ros.launching import describe


def generate_launch_description() -> LaunchDescription:
    return describe("planner")
