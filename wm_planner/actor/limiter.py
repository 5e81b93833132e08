"""The last gate before a command leaves: finite, within limits, inside the workspace."""

from __future__ import annotations

import numpy as np

from wm_planner.configurator.contract import Contract, Interface
from wm_planner.configurator.kinematics import forward

_SHARES = 0.5 ** np.arange(6)  # of a command, the largest first, that are tried before a wall
_ROUNDING = 1e-9  # m


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
            return self._inside_workspace(command, q, previous, step)
        lower, upper = np.asarray(self._contract.joints.lower), np.asarray(self._contract.joints.upper)
        i, reach = self._joint_index, max(dt, self._contract.dt)
        command = np.clip(command, np.minimum((lower - q)[i] / reach, 0.0), np.maximum((upper - q)[i] / reach, 0.0))
        return self._tool_inside_workspace(command, q)

    def _inside_workspace(
        self, command: np.ndarray, q: np.ndarray, previous: np.ndarray, step: np.ndarray
    ) -> np.ndarray:
        """Of a twist, axis by axis: the tool slides along the walls."""
        box, chain = self._contract.workspace, self._contract.kinematics
        if box is None or chain is None:
            return command
        tool = forward(chain, q)[0][:3, 3]
        reach = self._contract.dt
        for i, axis in self._linear:
            # Outside the box the tool is led back, and gathers speed no faster than elsewhere.
            low = min((box.lower[axis] - tool[axis]) / reach, max(previous[i] + step[i], 0.0), self._limit[i])
            high = max((box.upper[axis] - tool[axis]) / reach, min(previous[i] - step[i], 0.0), -self._limit[i])
            command[i] = np.clip(command[i], low, high)
        return command

    def _tool_inside_workspace(self, command: np.ndarray, q: np.ndarray) -> np.ndarray:
        """Of joint velocities: slowed, all alike, until a control step of them does not take the tool (further) out."""
        box, chain = self._contract.workspace, self._contract.kinematics
        if box is None or chain is None:
            return command

        def outside(share: float) -> np.ndarray:
            ahead = q.copy()
            ahead[self._joint_index] += share * command * self._contract.dt
            tool = forward(chain, ahead)[0][:3, 3]
            return np.maximum(np.maximum(np.subtract(box.lower, tool), np.subtract(tool, box.upper)), 0.0)

        now = outside(0.0)
        return command * next((s for s in _SHARES if (outside(s) <= now + _ROUNDING).all()), 0.0)
