"""Collect play in parallel processes. Same seed, same data, whatever the number of processes; but contacts may remember
what was played before in their process: of 2,400 episodes collected twice, one went otherwise, by 0.002 rad."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Literal

import numpy as np
import torch

from wm_planner.actor.agent import Agent, AgentConfig
from wm_planner.configurator.contract import Contract, load_contract
from wm_planner.configurator.workers import as_done, worker_pool
from wm_planner.data.dataset import Episodes, write_episodes
from wm_planner.data.exploring_play import BURSTS, ExploringPlay
from wm_planner.data.output import Interrupted, require_writable
from wm_planner.data.planner_play import PlannerPlay
from wm_planner.sim.environment import Environment
from wm_planner.sim.play import Play, make_play
from wm_planner.sim.randomisation import Randomisation
from wm_planner.sim.tasks import COLLECTION, Task, get_task
from wm_planner.world_model.checkpoint import load_checkpoint
from wm_planner.world_model.model import WorldModel

_environment: Environment | None = None
_agent: Agent | None = None
_randomisation: Randomisation | None = None
_explore: str | None = None
_latency = 0
Look = Literal["nominal", "randomised", "harmless"]
_PLANNING, _VARYING = 0x91A2, 0x7A41  # streams of random numbers
_WIDE_EVERY = 4  # of this many episodes of play one begins with things further out


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


def collect_episode(
    env: Environment,
    seed: int,
    index: int,
    steps: int,
    agent: Agent | None = None,
    randomisation: Randomisation | None = None,
    explore: str | None = None,
    wide: bool = False,
    latency: int = 0,
) -> tuple[np.ndarray, ...]:
    """One episode of play, or of the agent's planning: frames, joints, actions, state, attempts; see `Episodes`.

    Args:
        randomisation: of `env`; None: every image shows the scene as the task has it. The play is the same.
        explore: play is an `ExploringPlay`, its bursts those of this name.
        wide: it begins with things further out than at work, if the task has such scenes.
        latency: the most control steps that the agent's plans take; see `PlannerPlay`.
    """
    look = np.random.default_rng([seed, COLLECTION, index, _VARYING])
    rng = np.random.default_rng([seed, COLLECTION, index] + ([_PLANNING] if agent else []))
    start = (env.task.wide if wide and env.task.wide else env.task.sample)(rng)
    if randomisation:
        randomisation.place_camera(look)
        randomisation.draw(look)
    env.reset(start)
    if randomisation:
        randomisation.look()
    play: Play
    if agent:
        play = PlannerPlay(env, rng, agent, start, latency)
    else:
        play = ExploringPlay(env, rng, BURSTS[explore]) if explore else make_play(env, rng, index)
    observation = env.seen
    seen = [observation]
    actions, state, attempts = [], [ground_truth(env)], []
    for _ in range(steps):
        action = play.act()
        attempts.append(play.attempt)
        if randomisation:
            randomisation.draw(look)
        observation = env.step(action)
        if randomisation:
            randomisation.look()
        seen.append(observation)
        actions.append(action)
        state.append(ground_truth(env))
    as_float = (np.array(values, np.float32) for values in ([o.joints for o in seen], actions, state))
    frames = [randomisation.made_up_for(o.wide) if randomisation else o.frame for o in seen]
    return np.stack(frames), *as_float, np.array(attempts, np.int32)


def _start(
    task: str,
    lamp: float | None,
    checkpoint: Path | None,
    look: Look,
    explore: str | None,
    align_by: Path | None,
    latency: int,
) -> None:
    global _environment, _agent, _randomisation, _explore, _latency
    _explore, _latency = explore, latency
    torch.set_num_threads(1)
    _environment = Environment(get_task(task), lamp=lamp)
    if look != "nominal":
        _randomisation = Randomisation(
            _environment, look == "harmless", _knowing_its_body(align_by, _environment.contract)
        )
    if checkpoint:
        model = load_checkpoint(checkpoint, expected=_environment.contract).model.for_planning()
        _agent = Agent(model, AgentConfig())


def _knowing_its_body(checkpoint: Path | None, contract: Contract) -> WorldModel | None:
    """A model that expects to see its robot somewhere."""
    if checkpoint is None:
        return None
    model = load_checkpoint(checkpoint, "cpu", expected=contract).model
    if not model.config.body_channels:
        raise ValueError(
            f"{checkpoint} is to tell where the camera is, but does not know how its robot looks; "
            "teach it by `wm_planner align`"
        )
    return model


def _episode(seed: int, index: int, steps: int) -> tuple[int, tuple[np.ndarray, ...]]:
    assert _environment is not None
    wide = not _agent and index % _WIDE_EVERY == _WIDE_EVERY - 1
    return index, collect_episode(_environment, seed, index, steps, _agent, _randomisation, _explore, wide, _latency)


def collect(
    task: Task,
    path: Path,
    episodes: int,
    steps: int,
    seed: int,
    workers: int,
    progress: Callable[[int], None] = lambda done: None,
    lamp: float | None = None,
    checkpoint: Path | None = None,
    look: Look = "nominal",
    explore: str | None = None,
    align_by: Path | None = None,
    latency: int = 0,
) -> None:
    """Record `episodes` episodes of `steps` control steps and write them to `path`.

    Every fourth of play begins with things further out than at work, where the task has such scenes.

    Args:
        lamp: see `Environment`.
        checkpoint: its model plans towards random goals; None: scripted play.
        look: "randomised": the same play, with the camera's pose drawn anew for every episode and light, colours and
            background for every image; "harmless": only light and the floor's colour; see `Randomisation`.
        explore: play is broken off by bursts of this name; see `BURSTS`.
        align_by: of randomised images, the checkpoint whose model tells where the camera is; None: pictures do.
        latency: the most control steps that plans of a checkpoint take; each goal draws its own; see `PlannerPlay`.

    Raises:
        ValueError: another look, or exploring, and a checkpoint: what it plans depends on what it sees, and on nothing
            else; or bursts of another name, or strokes where there is no object, or shoves where there is no door; or a
            camera is to be found that does not move, or by a model that does not know its robot; or latency where
            nothing plans; or `path` cannot be written.
        CheckpointError: a checkpoint cannot be loaded or was trained under another contract.
        Interrupted: it ended early. The first episodes, up to one that is missing, are in a file beside `path` that is
            named in the text: the same as fewer episodes of the same seed.
    """
    if checkpoint and look != "nominal":
        raise ValueError(f"{look} images are of scripted play, found a checkpoint that is to plan; leave one out")
    if checkpoint and explore:
        raise ValueError("exploring breaks scripted play off, found a checkpoint that is to plan; leave one out")
    if explore and explore not in BURSTS:
        raise ValueError(f"play is to be broken off by {explore!r}, expected one of {list(BURSTS)}")
    if explore == "strokes" and not task.with_cube:
        raise ValueError(f"strokes go past an object, but {task.name} has none; have it explore by noise")
    if explore == "shoves" and task.truth != "base":
        raise ValueError(f"shoves go at the walls beside a door, but {task.name} has none; have it explore by noise")
    if align_by and look != "randomised":
        raise ValueError(
            f"{align_by} is to tell where the camera is, but it moves in randomised images only; leave it out"
        )
    if latency and not checkpoint:
        raise ValueError(f"plans are to take up to {latency} steps, but play does not plan; give a checkpoint")
    require_writable(path)
    contract = load_contract(task.contract)
    _knowing_its_body(align_by, contract)  # before any process is started
    if checkpoint:
        load_checkpoint(checkpoint, expected=contract)
    provenance = {
        "task": task.name,
        "seed": seed,
        "episodes": episodes,
        "steps": steps,
        "lamp": lamp,
        "look": look,
        "explore": explore,
        "checkpoint": checkpoint.name if checkpoint else None,
        "align_by": align_by.name if align_by else None,
        "latency": latency,
    }
    stacked: list[np.ndarray] = []
    finished = np.zeros(episodes, bool)

    def write(file: Path, count: int) -> None:
        first = Episodes.of((array[:count] for array in stacked), contract)
        write_episodes(file, first, provenance | {"episodes": count})

    try:
        with worker_pool(workers, _start, task.name, lamp, checkpoint, look, explore, align_by, latency) as pool:
            calls = ((seed, index, steps) for index in range(episodes))
            for done, (index, arrays) in enumerate(as_done(pool, workers, _episode, calls), 1):
                # Into place at once: frames held twice may be more than there is memory for.
                stacked = stacked or [np.empty((episodes, *array.shape), array.dtype) for array in arrays]
                for whole, array in zip(stacked, arrays):
                    whole[index] = array
                finished[index] = True
                progress(done)
    except BaseException as reason:
        kept = int(finished.cumprod().sum())  # up to the first that is missing: what fewer episodes would have been
        if not kept:
            raise
        file = path.with_stem(f"{path.stem}_first_{kept}")  # another: what has its name is complete
        write(file, kept)
        raise Interrupted(f"{kept} of {episodes} episodes, now in {file}", reason) from reason
    write(path, episodes)
