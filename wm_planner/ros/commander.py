"""The way out: limits every command, publishes it, and remembers what left.

What left is not what was planned: near the workspace's walls and while gathering speed it is less, and a model that is
told of more expects more motion than there is.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

import numpy as np

from wm_planner.actor.limiter import Limiter
from wm_planner.configurator.contract import Contract, Interface
from wm_planner.ros.commands import Command, command_message, limited
from wm_planner.ros.messages import seconds


class Commander:
    """Safe to call from any thread. Times in seconds of the node's clock."""

    def __init__(self, contract: Contract, publish: Callable[[Command], None]) -> None:
        self._contract, self._publish = contract, publish
        self._limiter = Limiter(contract)
        self._lock = threading.Lock()
        self._rest = np.zeros((1, contract.action_dim))
        self._sent: tuple[float, np.ndarray] | None = None  # when the last message left, and its commands (H, A)
        self._done: deque[tuple[float, np.ndarray]] = deque(maxlen=1024)
        self._path: tuple[np.ndarray, np.ndarray] | None = None
        self._message: Command | None = None

    @property
    def time(self) -> float | None:
        """When the last command left."""
        sent = self._sent  # another thread may forget it
        return sent[0] if sent else None

    def send(self, actions: np.ndarray, q: np.ndarray, now: float, dt: float | None = None) -> None:
        """Publish normalised actions, (H, A), the first one acting from `now`.

        Args:
            q: (J,) joint positions, radians.
            dt: seconds this command will act; None: as long as the one before did.

        Raises:
            UnsafeCommand: not finite; nothing is published.
        """
        with self._lock:
            self._notice_another_run(now)
            if dt is None:
                dt = min(max(now - self._sent[0] if self._sent else 0.0, 1e-3), self._contract.dt)
            commands = limited(self._limiter, self._contract, actions, q, self._acting(now), dt)
            self._out(commands, q, now)

    def send_again(self) -> None:
        """Publish the last message once more, as it was."""
        with self._lock:
            if self._message is not None:
                self._publish(self._message)

    def go_on(self, now: float) -> None:
        """Remember what the trajectory that was sent last does from `now` on."""
        with self._lock:
            if self._sent is not None:
                self._done.append((now, self._contract.normalised(self._acting(now))))

    def zero(self, q: np.ndarray | None, now: float) -> None:
        """Stop: no velocity, or the trajectory's own point at `now`, from which no controller jumps."""
        with self._lock:
            self._notice_another_run(now)
            if self._contract.action.interface is Interface.JOINT_TRAJECTORY:
                q = self._held(q, now)
                if q is None:
                    return  # nothing was ever sent, and where the robot is, it is not known
            self._out(self._rest, np.zeros(len(self._contract.joints.names)) if q is None else q, now)

    def drain(self) -> list[tuple[float, np.ndarray]]:
        """(time, normalised action) of everything that acted since the last call."""
        with self._lock:
            done = list(self._done)
            self._done.clear()
            return done

    def is_over(self, now: float) -> bool:
        """Whether the trajectory that was sent last has come to its end."""
        sent = self._sent  # another thread may forget it
        return sent is None or now >= sent[0] + len(sent[1]) * self._contract.dt - 1e-6

    def _acting(self, now: float) -> np.ndarray:
        """The command (A,) in effect: of a trajectory its step at `now`, of others what was sent last."""
        if self._sent is None:
            return self._rest[0]
        began, commands = self._sent
        if self._contract.action.interface is not Interface.JOINT_TRAJECTORY:
            return commands[0]
        step = max(int((now - began) / self._contract.dt + 1e-6), 0)
        return commands[step] if step < len(commands) else self._rest[0]

    def _notice_another_run(self, now: float) -> None:
        """Where time has gone back, nothing has been sent yet and the robot stands still."""
        if self._sent and now < self._sent[0] - self._contract.dt / 2:
            self._sent = self._path = None
            self._done.clear()

    def _out(self, commands: np.ndarray, q: np.ndarray, now: float) -> None:
        message = command_message(self._contract, commands, q, now)
        self._publish(message)
        self._message, self._sent = message, (now, commands)
        self._done.append((now, self._contract.normalised(commands[0])))
        if self._contract.action.interface is Interface.JOINT_TRAJECTORY:
            index = [self._contract.joints.names.index(name) for name in self._contract.action.names]
            times = [now, *(now + seconds(p.time_from_start) for p in message.points)]
            points = [np.asarray(q)[index], *(np.asarray(p.positions) for p in message.points)]
            self._path = np.array(times), np.stack(points)

    def _held(self, q: np.ndarray | None, now: float) -> np.ndarray | None:
        if self._path is None:
            return q
        times, points = self._path
        index = [self._contract.joints.names.index(name) for name in self._contract.action.names]
        held = np.zeros(len(self._contract.joints.names)) if q is None else np.array(q, np.float64)
        held[index] = [np.interp(now, times, points[:, j]) for j in range(len(index))]
        return held
