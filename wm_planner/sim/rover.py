"""The simulated rover: differential drive, round, so that it can turn wherever it fits."""

from __future__ import annotations

from typing import Any

import numpy as np

from wm_planner.configurator.contract import Contract, Interface
from wm_planner.sim.scenery import ASIDE
from wm_planner.sim.urdf import load_urdf

WHEELS = ("left_wheel_joint", "right_wheel_joint")
RADIUS = 0.13  # of the body, metres
_WHEEL = 0.05  # wheel radius
_TRACK = 0.15  # between the wheels
_BEHIND = 0.02  # the centre of mass lies this far behind the axle, so the body rests on its rear caster
_TORQUE = 0.25  # N m per wheel: the motors stall before the wheels slip, so a blocked wheel stands still
_FORGET = 30  # Bullet drops at least one pair of bodies no longer near each time it looks; there are never as many
_AXES = ("linear.x", "angular.z")


def _urdf() -> str:
    """Body, two driven wheels, a caster behind and a skid in front. base_link is the centre of mass, _WHEEL high.

    What shows where its front is has no mass and is a link of its own, as PyBullet paints a whole link.

    Wheels collide as spheres, which touch the floor at one point; they are hidden under the body.
    """
    return f"""
<robot name="rover">
  <link name="base_link">
    <contact><lateral_friction value="0.1"/></contact>
    <inertial><mass value="2.5"/><inertia ixx="0.012" ixy="0" ixz="0" iyy="0.012" iyz="0" izz="0.02"/></inertial>
    <visual>
      <origin xyz="{_BEHIND} 0 0.01"/><geometry><cylinder radius="{RADIUS}" length="0.08"/></geometry>
      <material name="body"><color rgba="0.80 0.22 0.10 1"/></material>
    </visual>
    <collision>
      <origin xyz="{_BEHIND} 0 0.01"/><geometry><cylinder radius="{RADIUS}" length="0.08"/></geometry>
    </collision>
    <collision><origin xyz="{_BEHIND - 0.10} 0 -0.03"/><geometry><sphere radius="0.02"/></geometry></collision>
    <collision><origin xyz="{_BEHIND + 0.10} 0 -0.027"/><geometry><sphere radius="0.02"/></geometry></collision>
  </link>
  {_wheel(WHEELS[0], _TRACK / 2)}
  {_wheel(WHEELS[1], -_TRACK / 2)}
  <link name="front">
    <inertial><mass value="0"/><inertia ixx="0" ixy="0" ixz="0" iyy="0" iyz="0" izz="0"/></inertial>
    <visual>
      <geometry><box size="0.09 0.16 0.01"/></geometry>
      <material name="front"><color rgba="0.98 0.95 0.70 1"/></material>
    </visual>
  </link>
  <joint name="front_joint" type="fixed">
    <parent link="base_link"/><child link="front"/><origin xyz="{_BEHIND + 0.055} 0 0.055"/>
  </joint>
</robot>
"""


def _wheel(joint: str, y: float) -> str:
    link = joint.replace("_joint", "")
    return f"""
  <link name="{link}">
    <contact><lateral_friction value="1.0"/></contact>
    <inertial><mass value="0.25"/><inertia ixx="3e-4" ixy="0" ixz="0" iyy="3e-4" iyz="0" izz="3e-4"/></inertial>
    <collision><geometry><sphere radius="{_WHEEL}"/></geometry></collision>
  </link>
  <joint name="{joint}" type="continuous">
    <parent link="base_link"/><child link="{link}"/><origin xyz="{_BEHIND} {y} 0"/><axis xyz="0 1 0"/>
  </joint>
"""


class Rover:
    """Two velocity-controlled wheels that turn as a twist of the base asks."""

    world_frame = "map"
    joint_names: tuple[str, ...] = WHEELS
    markers: tuple[int, ...] = (2,)  # the front

    def __init__(self, client: Any, contract: Contract, command_timeout: float) -> None:
        action = contract.action
        if action.interface is not Interface.TWIST or (extra := [n for n in action.names if n not in _AXES]):
            found = action.interface.value if action.interface is not Interface.TWIST else extra
            raise ValueError(f"contract {contract.name}: found action {found}, expected a twist of {list(_AXES)}")
        if unknown := [n for n in contract.joints.names if n not in WHEELS]:
            raise ValueError(f"contract {contract.name}: the rover has no joints {unknown}, expected {list(WHEELS)}")
        self._client, self._contract, self._timeout = client, contract, command_timeout
        self.body = load_urdf(client, _urdf())
        self._wheels = [0, 1]  # PyBullet's numbers of WHEELS, which come before the front's
        client.changeDynamics(self.body, -1, linearDamping=0.0, angularDamping=0.0)
        self.place(np.zeros(3))

    def place(self, where: np.ndarray) -> None:
        """Put the rover at rest with the middle of its axle at (x, y), heading yaw: where (3,)."""
        x, y, yaw = where
        self._twist, self._expires = np.zeros(2), -np.inf
        # Aside first: contacts cached near the old place would leak into the new run. But never off the floor: when
        # its pairs with the wheels are made anew, their order, and with it the solver's, depends on the past.
        self._put(*ASIDE, 0.0)
        for _ in range(_FORGET):
            self._client.performCollisionDetection()
        self._put(x, y, yaw)
        self._drive(self._twist)

    def command(self, value: np.ndarray, now: float) -> None:
        """Twist in the contract's order, shape (A,), m/s and rad/s, acting from `now` (s)."""
        given = dict(zip(self._contract.action.names, value))
        self._twist = np.array([given.get(axis, 0.0) for axis in _AXES])
        self._expires = now + self._timeout

    def servo(self, now: float, dt: float) -> None:
        self._drive(self._twist if now < self._expires else np.zeros(2))

    def joints(self) -> np.ndarray:
        values = self.joint_states()[0 if self._contract.joints.field == "position" else 1]
        return values[[WHEELS.index(name) for name in self._contract.joints.names]]

    def joint_states(self) -> tuple[np.ndarray, np.ndarray]:
        states = self._client.getJointStates(self.body, self._wheels)
        return np.array([s[0] for s in states]), np.array([s[1] for s in states])

    def pose(self) -> np.ndarray:
        """Ground truth (x, y, z, yaw) of the middle of the axle; metres, radians."""
        position, orientation = self._client.getBasePositionAndOrientation(self.body)
        rotation = np.reshape(self._client.getMatrixFromQuaternion(orientation), (3, 3))
        axle = np.array(position) + _BEHIND * rotation[:, 0]
        return np.array([*axle, np.arctan2(rotation[1, 0], rotation[0, 0])])

    def truth(self) -> dict[str, np.ndarray]:
        return {"base": self.pose()}

    def servo_state(self) -> tuple[np.ndarray, float]:
        return self._twist, self._expires

    def restore_servo(self, state: tuple[np.ndarray, float]) -> None:
        self._twist, self._expires = state

    def _put(self, x: float, y: float, yaw: float) -> None:
        """At rest, the middle of the axle at (x, y)."""
        for wheel in self._wheels:
            self._client.resetJointState(self.body, wheel, 0.0, 0.0)
        self._client.resetBasePositionAndOrientation(
            self.body,
            (x - _BEHIND * np.cos(yaw), y - _BEHIND * np.sin(yaw), _WHEEL),
            self._client.getQuaternionFromEuler((0.0, 0.0, yaw)),
        )
        self._client.resetBaseVelocity(self.body, (0, 0, 0), (0, 0, 0))

    def _drive(self, twist: np.ndarray) -> None:
        """Wheel speeds for a twist (linear m/s, angular rad/s)."""
        ahead, turn = twist
        speeds = [(ahead - turn * _TRACK / 2) / _WHEEL, (ahead + turn * _TRACK / 2) / _WHEEL]
        self._client.setJointMotorControlArray(
            self.body, self._wheels, self._client.VELOCITY_CONTROL, targetVelocities=speeds, forces=[_TORQUE] * 2
        )
