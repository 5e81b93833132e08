"""The way out: limits every command, publishes it, and remembers what was commanded."""

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
        self._previous = np.zeros(contract.action_dim)
        self._time: float | None = None
        self._done: deque[tuple[float, np.ndarray]] = deque(maxlen=1024)
        self._path: tuple[np.ndarray, np.ndarray] | None = None
        self._message: Command | None = None

    @property
    def time(self) -> float | None:
        """When the last command left."""
        return self._time

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
                elapsed = now - self._time if self._time is not None else 0.0
                dt = min(max(elapsed, 1e-3), self._contract.dt)
            commands = limited(self._limiter, self._contract, actions, q, self._previous, dt)
            self._out(commands, q, now)
            self._done.append((now, np.clip(actions[0], -1.0, 1.0)))

    def send_again(self) -> None:
        """Publish the last message once more, as it was."""
        with self._lock:
            if self._message is not None:
                self._publish(self._message)

    def note(self, action: np.ndarray, now: float) -> None:
        """`action` acts from `now` as part of a trajectory already sent."""
        with self._lock:
            self._done.append((now, np.clip(action, -1.0, 1.0)))

    def zero(self, q: np.ndarray | None, now: float) -> None:
        """Stop: no velocity, or the trajectory's own point at `now`, from which no controller jumps."""
        with self._lock:
            self._notice_another_run(now)
            rest = np.zeros((1, self._contract.action_dim))
            if self._contract.action.interface is Interface.JOINT_TRAJECTORY:
                q = self._held(q, now)
                if q is None:
                    return  # nothing was ever sent, and where the robot is, it is not known
            self._out(rest, np.zeros(len(self._contract.joints.names)) if q is None else q, now)
            self._done.append((now, rest[0]))

    def drain(self) -> list[tuple[float, np.ndarray]]:
        """(time, normalised action) of every command since the last call."""
        with self._lock:
            done = list(self._done)
            self._done.clear()
            return done

    def _notice_another_run(self, now: float) -> None:
        """Where time has gone back, nothing has been sent yet and the robot stands still."""
        if self._time is not None and now < self._time - self._contract.dt / 2:
            self._previous, self._time, self._path = np.zeros(self._contract.action_dim), None, None
            self._done.clear()

    def _out(self, commands: np.ndarray, q: np.ndarray, now: float) -> None:
        message = command_message(self._contract, commands, q, now)
        self._publish(message)
        self._message, self._previous, self._time = message, commands[0], now
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
