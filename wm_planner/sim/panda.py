"""The simulated Franka Panda and the three controllers it listens to."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pybullet_data

from wm_planner.configurator.contract import Contract, Interface
from wm_planner.configurator.kinematics import forward
from wm_planner.sim.urdf import load_urdf

HOME = np.array([0.0, -0.3, 0.0, -2.2, 0.0, 1.9, 0.7854])
ARM = range(7)
FINGERS = (9, 10)
FINGER_NAMES = ("panda_finger_joint1", "panda_finger_joint2")
_DOWN = np.diag([1.0, -1.0, -1.0])  # tool orientation
_TORQUE = [87.0, 87.0, 87.0, 87.0, 12.0, 12.0, 12.0]


_FINGERTIP = 0.212  # joint 7 to the point between the fingertips, metres
_GRIPPED = 0.03  # length of the rod between the fingers
_ROD = """
  <link name="rod">
    <inertial><mass value="0.05"/><inertia ixx="1e-4" ixy="0" ixz="0" iyy="1e-4" iyz="0" izz="1e-4"/></inertial>
    <visual><origin xyz="0 0 {centre}"/><geometry><cylinder radius="0.012" length="{length}"/></geometry></visual>
    <collision><origin xyz="0 0 {centre}"/><geometry><cylinder radius="0.012" length="{length}"/></geometry></collision>
  </link>
  <joint name="rod_joint" type="fixed">
    <parent link="panda_hand"/><child link="rod"/><origin xyz="0 0 0.105"/>
  </joint>
"""


def _urdf(rod: float) -> str:
    """PyBullet's Panda holding a rod that reaches `rod` metres beyond its fingertips (0: none).

    Its low-polygon meshes are drawn: 0.7 ms a frame instead of 17 on a CPU.
    """
    source = Path(pybullet_data.getDataPath()) / "franka_panda" / "panda.urdf"
    text = source.read_text().replace("meshes/visual", "meshes/collision")
    text = text.replace("package://meshes", str(source.parent / "meshes"))
    if rod > 0:
        part = _ROD.format(length=rod + _GRIPPED, centre=(rod - _GRIPPED) / 2)
        text = text.replace("</robot>", part + "</robot>")
    return text


class Panda:
    """Seven position-controlled joints driven by a Cartesian or joint servo.

    The servo integrates commands into a joint target; the physics' position controllers track it. A
    command older than the timeout stops the servo where it stands, as a real controller would.
    """

    world_frame = "panda_link0"
    markers: tuple[int, ...] = ()

    def __init__(self, client, contract: Contract, command_timeout: float) -> None:
        self._client = client
        if contract.kinematics is None:
            raise ValueError(f"contract {contract.name} has no kinematics, expected the Panda's DH chain")
        turns = [n for n in contract.action.names if n.startswith("angular.")]
        if turns:
            raise ValueError(f"action.names has {turns}; the simulated tool keeps pointing down, expected linear axes")
        self._chain = contract.kinematics
        self._contract = contract
        self._timeout = command_timeout
        self.joint_names = (*contract.joints.names, *FINGER_NAMES)
        rod = self._chain.tool[1] - _FINGERTIP
        self.body = load_urdf(client, _urdf(rod), useFixedBase=True)
        for finger in FINGERS:
            client.changeDynamics(self.body, finger, lateralFriction=0.4)
        white, grey = (0.93, 0.93, 0.95, 1.0), (0.6, 0.62, 0.66, 1.0)
        for link in range(-1, client.getNumJoints(self.body)):
            client.changeVisualShape(self.body, link, rgbaColor=grey if link in (4, 6, *FINGERS) else white)
        if rod > 0:
            client.changeVisualShape(self.body, client.getNumJoints(self.body) - 1, rgbaColor=(0.95, 0.7, 0.1, 1.0))
        self.reset(HOME)

    def place(self, where: np.ndarray) -> None:
        """Put the arm at rest with its tool at `where`, (3,)."""
        self.reset(self.solve(where))

    def reset(self, q: np.ndarray) -> None:
        """Put the arm at rest at joint positions q, shape (7,)."""
        self._target = np.array(q, np.float64)
        self._tool_target = forward(self._chain, self._target)[0][:3, 3]
        self._velocity = np.zeros(len(self._contract.action.names))
        self._trajectory: list[tuple[float, np.ndarray]] = []
        self._expires = -np.inf
        for joint in ARM:
            self._client.resetJointState(self.body, joint, q[joint], 0.0)
        for finger in FINGERS:
            self._client.resetJointState(self.body, finger, 0.0, 0.0)
            self._client.setJointMotorControl2(
                self.body, finger, self._client.POSITION_CONTROL, targetPosition=0.0, force=20
            )
        self._drive(np.zeros(7))

    def solve(self, tool: np.ndarray) -> np.ndarray:
        """Joint positions, shape (7,), with the tool at `tool` (3,) pointing down, nearest to HOME."""
        q = HOME.copy()
        for _ in range(200):
            q = q + 0.1 * self._resolved_rate(q, np.zeros(3), tool, gain=4.0)
        return q

    def command(self, value: np.ndarray, now: float) -> None:
        """Velocity command in the contract's units and order, shape (A,), acting from `now` (s)."""
        self._velocity = np.asarray(value, np.float64)
        self._trajectory = []
        self._expires = now + self._timeout

    def follow(self, points: list[tuple[float, np.ndarray]], now: float) -> None:
        """Joint trajectory: (time [s], positions (7,)) with increasing times, joined from `now` (s).

        It starts from the target so far, not from the measured joints: a stream of trajectories would
        otherwise creep by the tracking error at each of them.
        """
        ahead = [(time, q) for time, q in points if time > now]
        past = points[: len(points) - len(ahead)]
        bridge = (now, self._target.copy()) if not past else past[-1]
        self._trajectory = [bridge, *ahead]
        self._expires = -np.inf

    def servo(self, now: float, dt: float) -> None:
        """Advance the joint target by dt seconds and hand it to the motors."""
        if self._trajectory:
            times = np.array([t for t, _ in self._trajectory])
            path = np.stack([q for _, q in self._trajectory])
            goal = np.array([np.interp(now + dt, times, path[:, j]) for j in ARM])
            limit = np.asarray(self._contract.joints.velocity)
            rate = np.clip((goal - self._target) / dt, -limit, limit)
            self._tool_target = forward(self._chain, self._target)[0][:3, 3]
        elif self._contract.action.interface is Interface.TWIST:
            linear = np.zeros(3)
            if now < self._expires:
                for name, value in zip(self._contract.action.names, self._velocity):
                    linear["xyz".index(name[-1])] = value
            self._tool_target = self._tool_target + linear * dt
            rate = self._resolved_rate(self._target, linear, self._tool_target, gain=4.0)
        else:
            rate = np.zeros(7)
            if now < self._expires:
                for name, value in zip(self._contract.action.names, self._velocity):
                    rate[self._contract.joints.names.index(name)] = value
        lower, upper = self._contract.joints.lower, self._contract.joints.upper
        self._target = np.clip(self._target + rate * dt, lower, upper)
        self._drive(rate)

    def joint_positions(self) -> np.ndarray:
        return np.array([s[0] for s in self._client.getJointStates(self.body, list(ARM))])

    def joint_velocities(self) -> np.ndarray:
        return np.array([s[1] for s in self._client.getJointStates(self.body, list(ARM))])

    def joints(self) -> np.ndarray:
        """Positions of the arm's joints, shape (7,), rad."""
        return self.joint_positions()

    def joint_states(self) -> tuple[np.ndarray, np.ndarray]:
        """Positions and velocities of arm and fingers, shape (9,) each; rad and rad/s, m and m/s."""
        states = self._client.getJointStates(self.body, [*ARM, *FINGERS])
        return np.array([s[0] for s in states]), np.array([s[1] for s in states])

    def tool_position(self) -> np.ndarray:
        """Ground truth, shape (3,), metres, base frame."""
        return forward(self._chain, self.joint_positions())[0][:3, 3]

    def truth(self) -> dict[str, np.ndarray]:
        return {"tool": self.tool_position()}

    def servo_state(self) -> tuple:
        return (self._target.copy(), self._tool_target.copy(), self._velocity, self._trajectory, self._expires)

    def restore_servo(self, state: tuple) -> None:
        self._target, self._tool_target, self._velocity, self._trajectory, self._expires = state

    def _resolved_rate(self, q: np.ndarray, linear: np.ndarray, tool: np.ndarray, gain: float) -> np.ndarray:
        """Joint rates for a tool velocity, tool kept pointing down, posture drawn towards HOME."""
        pose, jacobian = forward(self._chain, q)
        rotation = pose[:3, :3]
        tilt = 0.5 * sum(np.cross(rotation[:, i], _DOWN[:, i]) for i in range(3))
        twist = np.concatenate([linear + gain * (tool - pose[:3, 3]), gain * tilt])
        inverse = jacobian.T @ np.linalg.inv(jacobian @ jacobian.T + 1e-5 * np.eye(6))
        posture = np.eye(7) - inverse @ jacobian
        limit = np.asarray(self._contract.joints.velocity)
        return np.clip(inverse @ twist + posture @ (2.0 * (HOME - q)), -limit, limit)

    def _drive(self, rate: np.ndarray) -> None:
        self._client.setJointMotorControlArray(
            self.body,
            list(ARM),
            self._client.POSITION_CONTROL,
            targetPositions=self._target.tolist(),
            targetVelocities=rate.tolist(),
            forces=_TORQUE,
            positionGains=[0.3] * 7,
            velocityGains=[1.0] * 7,
        )
