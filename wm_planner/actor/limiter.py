"""The last gate before a command leaves: finite, within limits, inside the workspace."""

from __future__ import annotations

import numpy as np

from wm_planner.configurator.contract import Contract, Interface
from wm_planner.configurator.kinematics import forward


class UnsafeCommand(ValueError):
    """A command that must not be published; the text says why."""


def _checked(name: str, value: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    value = np.asarray(value, np.float64)
    if value.shape != shape:
        raise UnsafeCommand(f"{name}: shape {value.shape}, expected {shape}")
    if not np.isfinite(value).all():
        raise UnsafeCommand(f"{name}: not finite: {value.tolist()}")
    return value


class Limiter:
    """Turns normalised actions into commands that respect the contract.

    The same limiter runs while playing, evaluating and on the robot, so the model has felt every wall
    it will meet.
    """

    def __init__(self, contract: Contract) -> None:
        self._contract = contract
        self._limit = np.asarray(contract.action.limit)
        self._acceleration = np.asarray(contract.action.acceleration)
        if contract.action.interface is Interface.TWIST:
            axes = ["linear.x", "linear.y", "linear.z"]
            self._linear = [(i, axes.index(n)) for i, n in enumerate(contract.action.names) if n in axes]
        else:
            self._joint_index = [contract.joints.names.index(n) for n in contract.action.names]

    def __call__(self, action: np.ndarray, q: np.ndarray, previous: np.ndarray, dt: float) -> np.ndarray:
        """Limit one action.

        Args:
            action: normalised, shape (A,); values beyond [-1, 1] are clipped.
            q: joint positions now, shape (J,), radians.
            previous: the command before this one, shape (A,), contract units.
            dt: seconds this command will act.

        Returns:
            Command in contract units, shape (A,).

        Raises:
            UnsafeCommand: NaN or infinite inputs, or a wrong shape.
        """
        action = _checked("action", action, self._limit.shape)
        q = _checked("joint positions", q, (len(self._contract.joints.names),))
        previous = np.clip(_checked("previous command", previous, self._limit.shape), -self._limit, self._limit)
        command = np.clip(action, -1.0, 1.0) * self._limit
        step = self._acceleration * dt
        command = np.clip(command, previous - step, previous + step)
        # Positions come last: stopping at a wall may brake harder than the acceleration limit.
        if self._contract.action.interface is Interface.TWIST:
            return self._inside_workspace(command, q)
        lower, upper = np.asarray(self._contract.joints.lower), np.asarray(self._contract.joints.upper)
        i = self._joint_index
        return np.clip(command, np.minimum((lower - q)[i] / dt, 0.0), np.maximum((upper - q)[i] / dt, 0.0))

    def _inside_workspace(self, command: np.ndarray, q: np.ndarray) -> np.ndarray:
        box, chain = self._contract.workspace, self._contract.kinematics
        if box is None or chain is None:
            return command
        tool = forward(chain, q)[0][:3, 3]
        reach = self._contract.dt
        for i, axis in self._linear:
            # Outside the box only motion back towards it is allowed.
            low = min((box.lower[axis] - tool[axis]) / reach, self._limit[i])
            high = max((box.upper[axis] - tool[axis]) / reach, -self._limit[i])
            command[i] = np.clip(command[i], low, high) if low <= high else 0.0
        return command
