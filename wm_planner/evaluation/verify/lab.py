"""What the sections share: the model under test, its simulation, and fresh play to measure it on."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from wm_planner.actor.agent import AgentConfig
from wm_planner.data.collect import collect_episode
from wm_planner.data.dataset import Episodes, joined, read_episodes
from wm_planner.sim.environment import Environment
from wm_planner.sim.play import PLAY, Play
from wm_planner.sim.tasks import Task
from wm_planner.training.calibrate import calibrate, harmless_changes
from wm_planner.training.predictor import Latents
from wm_planner.training.train import encode_all
from wm_planner.world_model.checkpoint import load_checkpoint, save_checkpoint
from wm_planner.world_model.model import Context
from wm_planner.world_model.surprise import Calibration

_SCENES = 0xF2E5  # stream of random numbers: neither collection's nor evaluation's
PLAY_SEED = 77_001  # of the fresh play; training and its data use small seeds


class Playback(NamedTuple):
    """Episodes of play and their latents."""

    episodes: Episodes
    latents: Latents


class Size(NamedTuple):
    """How much is measured."""

    episodes: int  # of fresh play; many short ones, as what is fitted needs many scenes
    steps: int  # of each episode
    scenes: int  # of intervention
    contacts: int  # counterfactual scenes
    events: int  # scenes of expectation
    trials: int  # per factor


FULL = Size(episodes=300, steps=40, scenes=100, contacts=200, events=100, trials=50)
QUICK = Size(episodes=90, steps=24, scenes=20, contacts=40, events=30, trials=6)
_FITTED = 300  # episodes of each given dataset that probes are fitted to


class Lab:
    """One checkpoint, one task. Fresh play is collected when a section first asks for it.

    data: datasets that probes are fitted to; two thirds of the fresh play when there are none.
    """

    def __init__(
        self,
        task: Task,
        checkpoint: Path,
        size: Size,
        agent: AgentConfig | None = None,
        workers: int = 1,
        data: Sequence[Path] = (),
    ) -> None:
        torch.set_num_threads(1)
        self.task, self.checkpoint, self.size = task, checkpoint, size
        self.agent, self.workers, self._data = agent, workers, data
        self.env = Environment(task)
        # On the CPU even where there is a GPU: sections feed it tensors of the CPU, few at a time.
        self.model, self.facts = load_checkpoint(checkpoint, "cpu", expected=self.env.contract)

    def scene(self, index: int, warm_up: int) -> Play:
        """Put a fresh scene in place and play some steps of it; `context_now` is then what the model sees."""
        rng = np.random.default_rng([index, _SCENES])
        seen = [self.env.reset(self.task.sample(rng))]
        play, actions = PLAY[self.task.name](self.env, rng), []
        for left in reversed(range(warm_up)):
            actions.append(play.act())
            self.env.move(actions[-1])
            if left < self.env.contract.context_length:
                seen.append(self.env.observe())
        self._last = seen, actions
        return play

    def context_now(self) -> Context:
        """The end of the scene that was played last."""
        seen, actions = self._last
        c = self.env.contract.context_length
        return Context(
            self.encode(np.stack([o.frame for o in seen[-c:]]))[None],
            self.normalise(np.stack([o.joints for o in seen[-c:]]))[None],
            torch.from_numpy(np.array(actions[len(actions) - c + 1 :], np.float32).reshape(1, c - 1, -1)),
        )

    @cached_property
    def fresh(self) -> Playback:
        """Play that nothing was trained on."""
        return self._played(None)

    @cached_property
    def strokes(self) -> Playback:
        """Play broken off by strokes past the object that nothing was trained on."""
        return self._played("strokes")

    @cached_property
    def fit(self) -> Playback:
        """What probes are fitted to."""
        if self._data:
            return self._encoded(joined([read_episodes(path, first=_FITTED) for path in self._data]))
        return _part(self.fresh, slice(2 * self.size.episodes // 3))

    @cached_property
    def held_out(self) -> Playback:
        """Fresh play that nothing is fitted to."""
        return self.fresh if self._data else _part(self.fresh, slice(2 * self.size.episodes // 3, None))

    def _played(self, explore: str | None) -> Playback:
        size, env = self.size, self.env
        played = [collect_episode(env, PLAY_SEED, i, size.steps, explore=explore) for i in range(size.episodes)]
        return self._encoded(Episodes.of((np.stack(arrays) for arrays in zip(*played)), env.contract))

    def _encoded(self, episodes: Episodes) -> Playback:
        return Playback(episodes, encode_all(self.model, episodes))

    @cached_property
    def calibration(self) -> Calibration:
        """The checkpoint's, or one measured now on fresh play."""
        if stored := self.facts.get("surprise"):
            return Calibration.model_validate(stored)
        harmless = harmless_changes(self.model, self.fresh.episodes.frames)
        source = f"{self.size.episodes} episodes of play collected by `wm_planner verify`"
        return calibrate(self.model, [self.fresh.latents], harmless, source)

    def recalibrate(self) -> None:
        """Calibrate surprise on fresh play and store it in the checkpoint."""
        self.facts.pop("surprise", None)
        self.facts["surprise"] = self.calibration.model_dump(mode="json")
        save_checkpoint(self.checkpoint, self.model, self.facts)

    @torch.no_grad()
    def encode(self, frames: np.ndarray) -> Tensor:
        """Frames (..., S, S, C) to latents (..., D)."""
        flat = torch.from_numpy(np.ascontiguousarray(frames)).flatten(0, -4)
        return torch.cat([self.model.encode(part).float() for part in flat.split(512)]).unflatten(0, frames.shape[:-3])

    def normalise(self, joints: np.ndarray) -> Tensor:
        return self.model.normalise_joints(torch.from_numpy(np.asarray(joints, np.float32)))

    def close(self) -> None:
        self.env.close()


def _part(play: Playback, part: slice) -> Playback:
    return Playback(play.episodes.part(part), Latents(*(array[part] for array in play.latents)))
