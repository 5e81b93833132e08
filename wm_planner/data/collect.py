"""Collect play in parallel processes. Same seed, same data, whatever the number of processes."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from wm_planner.configurator.contract import load_contract
from wm_planner.data.dataset import ARRAYS, Episodes, write_episodes
from wm_planner.sim.environment import Environment
from wm_planner.sim.play import make_play
from wm_planner.sim.tasks import COLLECTION, Task, get_task

_environment: Environment | None = None


def ground_truth(env: Environment) -> np.ndarray:
    """The Panda's tool (3,) and, where there is one, the cube's (x, y, cos 4 yaw, sin 4 yaw); the rover's
    (x, y, cos yaw, sin yaw)."""
    truth, state = env.world.truth(), []
    if "tool" in truth:
        state += [*truth["tool"]]
    if "base" in truth:
        x, y, _, yaw = truth["base"]
        state += [x, y, np.cos(yaw), np.sin(yaw)]
    if "object" in truth:
        x, y, _, yaw = truth["object"]
        state += [x, y, np.cos(4 * yaw), np.sin(4 * yaw)]
    return np.array(state, np.float32)


def collect_episode(env: Environment, seed: int, index: int, steps: int) -> tuple[np.ndarray, ...]:
    """One episode of play: frames, joints, actions, state, attempts; see `Episodes`."""
    rng = np.random.default_rng([seed, COLLECTION, index])
    observation = env.reset(env.task.sample(rng))
    play = make_play(env, rng, index)
    frames, joints = [observation.frame], [observation.joints]
    actions, state, attempts = [], [ground_truth(env)], []
    for _ in range(steps):
        action = play.act()
        attempts.append(play.attempt)
        observation = env.step(action)
        frames.append(observation.frame)
        joints.append(observation.joints)
        actions.append(action)
        state.append(ground_truth(env))
    return np.stack(frames), np.array(joints, np.float32), np.array(actions, np.float32), np.stack(state), np.array(attempts, np.int32)


def _start(task: str, lamp: float | None) -> None:
    global _environment
    _environment = Environment(get_task(task), lamp=lamp)


def _episode(seed: int, index: int, steps: int) -> tuple[int, tuple[np.ndarray, ...]]:
    assert _environment is not None
    return index, collect_episode(_environment, seed, index, steps)


def collect(
    task: Task,
    path: Path,
    episodes: int,
    steps: int,
    seed: int,
    workers: int,
    progress: Callable[[int], None] = lambda done: None,
    lamp: float | None = None,
) -> None:
    """Play `episodes` episodes of `steps` control steps and write them to `path`; lamp: see `Environment`."""
    done: dict[int, tuple[np.ndarray, ...]] = {}
    context = get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context, initializer=_start, initargs=(task.name, lamp)) as pool:
        futures = [pool.submit(_episode, seed, index, steps) for index in range(episodes)]
        for future in as_completed(futures):
            index, arrays = future.result()
            done[index] = arrays
            progress(len(done))
    stacked = (np.stack([done[i][k] for i in range(episodes)]) for k in range(len(ARRAYS)))
    provenance = {
        "task": task.name,
        "seed": seed,
        "episodes": episodes,
        "steps": steps,
        "lamp": lamp,
    }
    write_episodes(path, Episodes.of(stacked, load_contract(task.contract)), provenance)
