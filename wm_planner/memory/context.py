"""Short-term memory: what was seen and done, resampled to the model's step."""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from wm_planner.world_model.model import Context

_SAME_TIME = 1e-6  # s
_COMMANDS = 8192  # eight seconds at the highest command rate, 1000 Hz
_LARGEST_GAP = 2.5  # steps between two moments that may still be interpolated


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
        self._moments: deque[Moment] = deque(maxlen=32 * length)
        self._commands: deque[tuple[float, np.ndarray]] = deque(maxlen=_COMMANDS)

    def clear(self) -> None:
        self._moments.clear()
        self._commands.clear()

    def forget_seen(self) -> None:
        """What was observed; what was done stays."""
        self._moments.clear()

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
        total, until = np.zeros(self._action_dim), np.inf
        for begin, action in reversed(self._commands):
            total += max(min(until, end) - max(begin, start), 0.0) * action
            if begin <= start:
                break
            until = begin
        return total / (end - start)

    @property
    def newest(self) -> Moment | None:
        return self._moments[-1] if self._moments else None

    def at(self, time: float) -> Moment | None:
        """What was observed at a time, interpolated between its neighbours; None where they are too far apart."""
        times = np.array([m.time for m in self._moments])
        after = int(np.searchsorted(times, time - _SAME_TIME))
        if after == len(times):
            return None
        late = self._moments[after]
        if abs(late.time - time) <= _SAME_TIME:
            return late
        if after == 0 or late.time - self._moments[after - 1].time > _LARGEST_GAP * self._dt:
            return None
        early = self._moments[after - 1]
        part = (time - early.time) / (late.time - early.time)
        return Moment(time, early.latent.lerp(late.latent, part), early.joints.lerp(late.joints, part))

    def context_at(self, time: float) -> Context | None:
        """The context that ended at an earlier time; None where observations do not reach back or are missing."""
        times = [time - k * self._dt for k in range(self._length - 1, -1, -1)]
        moments = [m for m in map(self.at, times) if m is not None]
        if len(moments) < self._length:
            return None
        latents = torch.stack([m.latent for m in moments], 1)
        return Context(
            latents, torch.stack([m.joints for m in moments], 1), self.actions_from(times[0], self._length - 1, latents)
        )

    def actions_from(self, start: float, steps: int, like: Tensor) -> Tensor:
        """The mean action of each of the steps, `dt` apart, from a time on: (1, steps, A) of `like`'s kind."""
        means = [self.mean_action(start + k * self._dt, start + (k + 1) * self._dt) for k in range(steps)]
        return torch.from_numpy(np.reshape(means, (1, steps, self._action_dim))).to(like)

    def context(self) -> Context:
        """The context that ends at the newest moment; a short history repeats its oldest moment."""
        if not self._moments:
            raise LookupError("memory is empty: nothing has been observed yet")
        now = self._moments[-1].time
        times = np.array([m.time for m in self._moments])
        picked = []
        for k in range(self._length - 1, -1, -1):
            wanted = now - k * self._dt
            picked.append(self._moments[int(np.abs(times - wanted).argmin())])
        latents = torch.stack([m.latent for m in picked], 1)
        past = self.actions_from(now - (self._length - 1) * self._dt, self._length - 1, latents)
        return Context(latents, torch.stack([m.joints for m in picked], 1), past)
