"""The simulated robot behind the topics a real one has.

One thread does everything: PyBullet must not be shared, so a wall timer steps the physics between the
executor's other callbacks. In lockstep there is no such timer: a command on the newest observation advances
the simulation by one control step. The observation goes out again every half second until that command
arrives, so a planner that joins late finds it; answer a repeated stamp with the same command.
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from geometry_msgs.msg import PointStamped, PoseStamped, TwistStamped
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rosgraph_msgs.msg import Clock as ClockMessage
from sensor_msgs.msg import CameraInfo, Image, JointState
from std_msgs.msg import Float64MultiArray
from std_srvs.srv import SetBool, Trigger
from trajectory_msgs.msg import JointTrajectory

from wm_planner.configurator.contract import Interface
from wm_planner.ros import qos
from wm_planner.ros.commands import MESSAGE
from wm_planner.ros.messages import image_message, seconds, stamp
from wm_planner.ros.sim_commands import CommandError, trajectory_points, twist_command, velocity_command
from wm_planner.ros.sim_parameters import declare
from wm_planner.ros.spin import run
from wm_planner.sim.pacer import Pacer
from wm_planner.sim.panda import Panda
from wm_planner.sim.world import PHYSICS_DT, World

CAMERA_FRAME = "camera_optical_frame"
TRAJECTORY_TOPIC = "/joint_trajectory_controller/joint_trajectory"
_CLOCK_STEPS = 2  # physics steps per /clock message: 120 Hz of simulated time
_TICK = 1.0 / 120.0  # wall seconds
_MAX_LAG = 0.1  # wall seconds made up for after a hiccup
_REPEAT = 0.5  # wall seconds until an unanswered observation goes out again
_SAME_STAMP = 1e-6
_TRUTH: dict[int, type[PointStamped] | type[PoseStamped]] = {3: PointStamped, 4: PoseStamped}  # by its length


class SimNode(Node):
    """Node `sim`; the README lists its topics, services and parameters."""

    def __init__(self) -> None:
        super().__init__("sim")
        self._settings = p = declare(self)
        self._contract = contract = p.contract
        self._world = World(contract, p.camera, p.task.with_cube, p.gui, p.command_timeout)
        self._control_steps = round(contract.dt / PHYSICS_DT)
        self._image_steps = self._control_steps if p.lockstep else max(1, round(1.0 / p.camera_rate / PHYSICS_DT))
        self._joint_steps = max(1, round(1.0 / p.joint_rate / PHYSICS_DT))
        self._pacer = Pacer(_MAX_LAG)
        self._paused = False
        self._observation: list[tuple] = []  # (publisher, message) pairs, newest observation

        camera = contract.cameras[0].topic
        self._clock_publisher = self.create_publisher(ClockMessage, "/clock", qos.CLOCK) if p.publish_clock else None
        self._joints = self.create_publisher(JointState, contract.joints.topic, qos.STATE)
        self._image = self.create_publisher(Image, camera, qos.SENSOR)
        self._camera_info = self.create_publisher(CameraInfo, f"{camera.rpartition('/')[0]}/camera_info", qos.SENSOR)
        self._truth = {
            name: self.create_publisher(_TRUTH[len(value)], f"~/ground_truth/{name}", qos.STATE)
            for name, value in self._world.truth().items()
        }

        self._subscribe(contract.action.topic, contract.action.interface, answers=True)
        if isinstance(self._world.robot, Panda) and contract.action.topic != TRAJECTORY_TOPIC:
            self._subscribe(TRAJECTORY_TOPIC, Interface.JOINT_TRAJECTORY, answers=False)
        if self._world.cube is not None:
            self._place("~/place_object", self._world.place_cube)
        self._place("~/place_obstacle", self._world.place_obstacle)
        self.create_service(Trigger, "~/reset", self._on_reset)
        self.create_service(SetBool, "~/pause", self._on_pause)
        self.create_service(Trigger, "~/step", self._on_step)

        # Timers run on the wall clock even when use_sim_time is set: this node makes the simulated one.
        wall = Clock(clock_type=ClockType.STEADY_TIME)
        if p.lockstep:
            self._timer = self.create_timer(_REPEAT, self._publish_again, clock=wall)
        else:
            self._timer = self.create_timer(_TICK, self._tick, clock=wall)
        self._reset()
        self.get_logger().info(
            f"task {p.task.name}, contract {contract.name}, {'lockstep' if p.lockstep else 'real time'}, "
            f"images at {1.0 / (self._image_steps * PHYSICS_DT):g} Hz, commands on {contract.action.topic}"
        )

    # Time

    def _tick(self) -> None:
        """Take the physics steps that are due, for at most one tick."""
        if self._paused:
            return
        began = time.monotonic()
        rate = self.get_parameter("real_time_factor").value / PHYSICS_DT
        due, dropped = self._pacer.due(began, rate)
        if dropped:
            self.get_logger().warn(
                f"this machine cannot keep real_time_factor {rate * PHYSICS_DT:g}: simulated time runs slower; "
                "lower the factor or the load",
                throttle_duration_sec=5.0,
            )
        taken = 0
        # Commands and services wait meanwhile, so a fast simulation must not keep them longer than a tick.
        while taken < due and time.monotonic() - began < _TICK:
            self._advance()
            taken += 1
        self._pacer.done(taken)

    def _advance(self) -> None:
        """One physics step, and what is due for publication after it."""
        self._world.step(1)
        steps = self._world.steps
        if steps % self._image_steps == 0:
            self._observe()
            return
        if steps % _CLOCK_STEPS == 0:
            self._publish_clock()
        if steps % self._joint_steps == 0:
            self._joints.publish(self._joint_message())

    def _control_step(self) -> None:
        for _ in range(self._control_steps):
            self._advance()

    def _reset(self) -> str:
        seed = self.get_parameter("seed").value
        self._world.reset(self._settings.task.start_and_goal(seed)[0])
        self._pacer.restart()
        self._observe()
        return f"scene of task {self._settings.task.name}, seed {seed}"

    # Observations

    def _observe(self) -> None:
        p, world = self._settings, self._world
        image = image_message(world.render(p.width, p.height), world.time, CAMERA_FRAME)
        # The image goes last: who waits for it then has everything of its instant.
        self._observation = [
            (self._joints, self._joint_message()),
            *((self._truth[name], self._truth_message(value)) for name, value in world.truth().items()),
            (self._camera_info, self._camera_info_message()),
            (self._image, image),
        ]
        self._publish_observation()
        if self._settings.lockstep:
            self._timer.reset()  # an observation that is answered in time goes out once

    def _publish_observation(self) -> None:
        self._publish_clock()
        for publisher, message in self._observation:
            publisher.publish(message)

    def _publish_again(self) -> None:
        if not self._paused:
            self._publish_observation()

    def _publish_clock(self) -> None:
        if self._clock_publisher is not None:
            self._clock_publisher.publish(ClockMessage(clock=stamp(self._world.time)))

    def _joint_message(self) -> JointState:
        robot = self._world.robot
        positions, velocities = (values.tolist() for values in robot.joint_states())
        message = JointState(name=list(robot.joint_names), position=positions, velocity=velocities)
        message.header.stamp = stamp(self._world.time)
        return message

    def _truth_message(self, value: np.ndarray) -> PointStamped | PoseStamped:
        """A point (x, y, z) or a pose (x, y, z, yaw)."""
        message = _TRUTH[len(value)]()
        message.header.stamp, message.header.frame_id = stamp(self._world.time), self._world.robot.world_frame
        point = message.point if isinstance(message, PointStamped) else message.pose.position
        point.x, point.y, point.z = value[:3].tolist()
        if isinstance(message, PoseStamped):
            message.pose.orientation.z, message.pose.orientation.w = math.sin(value[3] / 2), math.cos(value[3] / 2)
        return message

    def _camera_info_message(self) -> CameraInfo:
        p = self._settings
        # Square pixels, the field of view is vertical, pixel centres lie at whole numbers.
        focal = 0.5 * p.height / math.tan(0.5 * math.radians(p.camera.fov))
        cx, cy = 0.5 * (p.width - 1), 0.5 * (p.height - 1)
        message = CameraInfo(width=p.width, height=p.height, distortion_model="plumb_bob", d=[0.0] * 5)
        message.header.stamp, message.header.frame_id = stamp(self._world.time), CAMERA_FRAME
        message.k = [focal, 0.0, cx, 0.0, focal, cy, 0.0, 0.0, 1.0]
        message.r = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0]
        message.p = [focal, 0.0, cx, 0.0, 0.0, focal, cy, 0.0, 0.0, 0.0, 1.0, 0.0]
        return message

    # Commands

    def _subscribe(self, topic: str, interface: Interface, answers: bool) -> None:
        """Obey commands on a topic; those that answer an observation advance the lockstep simulation."""
        apply: Callable[[Any], None] = {
            Interface.TWIST: self._twist,
            Interface.JOINT_TRAJECTORY: self._trajectory,
            Interface.JOINT_VELOCITY: self._velocity,
        }[interface]
        stamped = interface is not Interface.JOINT_VELOCITY
        steps = answers and self._settings.lockstep

        def on_command(message: Any) -> None:
            if steps and stamped and abs(seconds(message.header.stamp) - self._world.time) > _SAME_STAMP:
                return  # an answer to an observation that has passed
            try:
                apply(message)
            except CommandError as error:
                self._command(np.zeros(self._contract.action_dim))
                self.get_logger().error(
                    f"{topic}: command refused, the robot holds: {error}", throttle_duration_sec=1.0
                )
                return
            if steps and not self._paused:
                self._control_step()

        self.create_subscription(MESSAGE[interface], topic, on_command, qos.COMMAND)

    def _twist(self, message: TwistStamped) -> None:
        self._command(twist_command(message, self._contract.action))

    def _velocity(self, message: Float64MultiArray) -> None:
        self._command(velocity_command(message, self._contract.action))

    def _trajectory(self, message: JointTrajectory) -> None:
        now = self._world.time
        self._world.panda.follow(trajectory_points(message, self._contract.joints, now), now)

    def _command(self, value: np.ndarray) -> None:
        self._world.robot.command(value, self._world.time)

    def _place(self, topic: str, put: Callable[[float, float, float], None]) -> None:
        """Something is elsewhere at once where a pose arrives: to set a scene by hand, or to see who notices."""
        frame = self._world.robot.world_frame

        def on_place(message: PoseStamped) -> None:
            p, q = message.pose.position, message.pose.orientation
            place = np.array([p.x, p.y, 2.0 * math.atan2(q.z, q.w)])
            if message.header.frame_id == frame and np.isfinite(place).all():
                return put(*place.tolist())
            self.get_logger().error(
                f"{topic}: ({p.x}, {p.y}) in frame {message.header.frame_id!r}, expected numbers in {frame!r}"
            )

        self.create_subscription(PoseStamped, topic, on_place, qos.COMMAND)

    # Services

    def _on_reset(self, _request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        response.success, response.message = True, self._reset()
        self.get_logger().info(f"reset: {response.message}")
        return response

    def _on_pause(self, request: SetBool.Request, response: SetBool.Response) -> SetBool.Response:
        self._paused = request.data
        self._pacer.restart()
        response.success, response.message = True, "paused" if request.data else "running"
        return response

    def _on_step(self, _request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        response.success = self._paused
        if self._paused:
            self._control_step()
            response.message = f"now at {self._world.time:.6f} s"
        else:
            response.message = "the simulation is running, expected it paused: call ~/pause with data: true first"
        return response

    def close(self) -> None:
        self._world.close()
        self.destroy_node()


def main(args: list[str] | None = None) -> int:
    return run("sim", lambda _: SimNode(), args)


if __name__ == "__main__":
    sys.exit(main())
