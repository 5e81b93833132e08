"""Short-term memory: what was seen and done, resampled to the model's step."""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from wm_planner.world_model.model import Context


class Moment(NamedTuple):
    """time: s; latent: (1, D); joints: (1, J) normalised."""

    time: float
    latent: Tensor
    joints: Tensor


class Memory:
    """Ring buffers of moments and commands; `context` picks those the predictor expects, `dt` apart.

    Times are the sensors' stamps in seconds. Time running backwards (a simulation reset) empties it.
    """

    def __init__(self, length: int, dt: float, action_dim: int) -> None:
        self._length, self._dt, self._action_dim = length, dt, action_dim
        self._moments: deque[Moment] = deque(maxlen=8 * length)
        self._commands: deque[tuple[float, np.ndarray]] = deque(maxlen=256)

    def clear(self) -> None:
        self._moments.clear()
        self._commands.clear()

    def remember(self, moment: Moment) -> None:
        if self._moments and moment.time < self._moments[-1].time:
            self.clear()
        self._moments.append(moment)

    def acted(self, time: float, action: np.ndarray) -> None:
        """A normalised action, shape (A,), took effect at `time` and lasts until the next one."""
        if self._commands and time < self._commands[-1][0]:
            self._commands.clear()
        self._commands.append((time, np.array(action, np.float64)))

    def mean_action(self, start: float, end: float) -> np.ndarray:
        """Time average, shape (A,), of the actions in effect between two times; rest counts as zero."""
        total = np.zeros(self._action_dim)
        commands = list(self._commands)
        for (begin, action), (until, _) in zip(commands, [*commands[1:], (np.inf, None)]):
            total += max(min(until, end) - max(begin, start), 0.0) * action
        return total / (end - start)

    def context(self) -> Context:
        """The context that ends at the newest moment; a short history repeats its oldest moment."""
        if not self._moments:
            raise LookupError("memory is empty: nothing has been observed yet")
        now = self._moments[-1].time
        times = np.array([m.time for m in self._moments])
        picked, actions = [], []
        for k in range(self._length - 1, -1, -1):
            wanted = now - k * self._dt
            picked.append(self._moments[int(np.abs(times - wanted).argmin())])
            if k:
                actions.append(self.mean_action(wanted, wanted + self._dt))
        latents = torch.stack([m.latent for m in picked], 1)
        shape = (1, self._length - 1, self._action_dim)
        past = torch.from_numpy(np.reshape(actions, shape)).to(latents)
        return Context(latents, torch.stack([m.joints for m in picked], 1), past)
