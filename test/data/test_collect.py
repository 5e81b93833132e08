"""Collection: the same seed gives the same data, whoever collects it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from wm_planner.data.collect import Look, collect, collect_episode, ground_truth
from wm_planner.data.dataset import read_episodes
from wm_planner.data.output import Interrupted
from wm_planner.sim.environment import Environment
from wm_planner.sim.tasks import COLLECTION, CUBE_HIGH, CUBE_LOW, get_task
from wm_planner.sim.world import SceneState

Environments = Callable[[str], Environment]


def test_same_data_with_one_and_two_workers(tmp_path: Path) -> None:
    task, done = get_task("panda_push"), []
    for workers in (1, 2):
        collect(task, tmp_path / f"{workers}.h5", episodes=3, steps=6, seed=1, workers=workers, progress=done.append)
    one, two = (read_episodes(tmp_path / f"{w}.h5") for w in (1, 2))
    for ours, theirs in zip(one[:5], two[:5]):
        np.testing.assert_array_equal(ours, theirs)
    assert one.frames.shape == (3, 7, 64, 64, 3) and one.frames.dtype == np.uint8
    assert one.joints.shape == (3, 7, 7)
    assert one.actions.shape == (3, 6, 2) and np.abs(one.actions).max() <= 1
    assert one.state.shape == (3, 7, 7)
    assert done == [1, 2, 3] * 2


_COLLECTS = """
import sys
from pathlib import Path
from wm_planner.data.collect import collect
from wm_planner.sim.tasks import get_task
if __name__ == "__main__":
    collect(get_task("panda_reach"), Path(sys.argv[1]), 2000, 6, 1, 1, lambda done: print(done, flush=True))
"""


def _same(one: Path, other: Path) -> bool:
    """Arrays and provenance."""
    with h5py.File(one) as ours, h5py.File(other) as theirs:
        said = [json.loads(file.attrs["provenance"]) for file in (ours, theirs)]
        return said[0] == said[1] and all(np.array_equal(ours[name], theirs[name]) for name in ours)


def test_episodes_finished_before_an_error_are_kept_as_fewer_of_them(tmp_path: Path) -> None:
    task, path = get_task("panda_reach"), tmp_path / "play.h5"
    path.write_text("an older one")

    def fail(done: int) -> None:
        if done == 3:
            raise OSError("no power")

    with pytest.raises(Interrupted, match=r"^ended after 3 of 50 episodes, now in .*_first_3\.h5: OSError: no power$"):
        collect(task, path, episodes=50, steps=4, seed=1, workers=1, progress=fail)
    collect(task, tmp_path / "fewer.h5", episodes=3, steps=4, seed=1, workers=1)
    assert _same(tmp_path / "play_first_3.h5", tmp_path / "fewer.h5")
    assert path.read_text() == "an older one", "only what is complete has this name"


def test_ctrl_c_keeps_the_episodes_that_are_finished(tmp_path: Path) -> None:
    script, path = tmp_path / "collects.py", tmp_path / "play.h5"
    script.write_text(_COLLECTS)
    command, pipe = [sys.executable, str(script), str(path)], subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, start_new_session=True) as process:
        assert process.stdout is not None
        while process.stdout.readline() not in ("3\n", ""):  # the simulation says something, too
            pass
        os.killpg(process.pid, signal.SIGINT)
        _, errors = process.communicate()
    assert process.returncode != 0
    told = re.search(r"ended after (\d+) of 2000 episodes, now in (.*): KeyboardInterrupt", errors)
    assert told, errors
    kept = int(told[1])
    assert 3 <= kept < 2000 and not path.exists()
    collect(get_task("panda_reach"), tmp_path / "fewer.h5", episodes=kept, steps=6, seed=1, workers=1)
    assert _same(Path(told[2]), tmp_path / "fewer.h5")


def test_a_path_that_cannot_be_written_is_named_before_anything_is_played(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"is a folder, expected a file"):
        collect(get_task("panda_reach"), tmp_path, episodes=10**9, steps=6, seed=1, workers=1)


@pytest.mark.parametrize("name", ["panda_push", "rover_rooms"])
@pytest.mark.parametrize("look", ["randomised", "harmless"])
def test_play_of_another_look_is_the_same_play(name: str, look: Look, tmp_path: Path) -> None:
    looks: list[tuple[str, int, Look]] = [("one", 1, look), ("two", 2, look), ("plain", 1, "nominal")]
    for file, workers, shown in looks:
        collect(get_task(name), tmp_path / f"{file}.h5", 3, 12, seed=1, workers=workers, look=shown)
    one, two, plain = (read_episodes(tmp_path / f"{file}.h5") for file in ("one", "two", "plain"))
    np.testing.assert_array_equal(one.frames, two.frames)
    for ours, theirs in zip(one[1:5], plain[1:5]):
        np.testing.assert_array_equal(ours, theirs)
    changes = np.abs(one.frames.astype(int) - plain.frames).mean((2, 3, 4))
    assert (changes > 1).mean() > 0.75


@pytest.mark.parametrize("name", ["panda_push", "panda_reach", "rover_rooms"])
def test_episodes_depend_on_seed_and_index_only(name: str, environment: Environments) -> None:
    env = environment(name)
    first = collect_episode(env, 0, 0, 5)
    others = [collect_episode(env, 0, 1, 5), collect_episode(env, 1, 0, 5)]
    for ours, theirs in zip(first, collect_episode(env, 0, 0, 5)):
        np.testing.assert_array_equal(ours, theirs)
    for other in others:
        assert not np.array_equal(first[2], other[2])


def test_wide_episodes_begin_further_out_than_at_work(environment: Environments) -> None:
    """Where the task has such scenes."""
    push, reach = environment("panda_push"), environment("panda_reach")
    starts = {wide: [collect_episode(push, 0, k, 0, wide=wide)[3][0, 3:5] for k in range(40)] for wide in (False, True)}
    outside = {
        wide: np.mean([((at < CUBE_LOW - 1e-3) | (at > CUBE_HIGH + 1e-3)).any() for at in places])
        for wide, places in starts.items()
    }
    assert outside[False] == 0.0 and outside[True] > 0.4
    usual, wide = (collect_episode(reach, 0, 0, 3, wide=wide) for wide in (False, True))
    for ours, theirs in zip(usual, wide):
        np.testing.assert_array_equal(ours, theirs)


def test_a_quarter_of_collected_play_begins_further_out(tmp_path: Path) -> None:
    collect(get_task("panda_push"), tmp_path / "play.h5", episodes=8, steps=1, seed=2, workers=1)
    task, episodes = get_task("panda_push"), read_episodes(tmp_path / "play.h5")
    for index, at in enumerate(episodes.state[:, 0, 3:5]):
        sample = task.wide if index % 4 == 3 else task.sample
        assert sample is not None
        scene = sample(np.random.default_rng([2, COLLECTION, index]))
        np.testing.assert_allclose(at, task.place(scene), atol=2e-3)


def test_observations_and_actions_are_aligned(environment: Environments) -> None:
    """Replaying the recorded actions from the recorded start reproduces the recorded states."""
    env = environment("panda_push")
    frames, joints, actions, state, _ = collect_episode(env, 3, 0, 8)
    rng = np.random.default_rng([3, 0xDA7A, 0])
    np.testing.assert_array_equal(env.reset(env.task.sample(rng)).frame, frames[0])
    for k, action in enumerate(actions):
        observation = env.step(action)
        np.testing.assert_allclose(observation.joints, joints[k + 1], atol=1e-4)
        np.testing.assert_allclose(ground_truth(env), state[k + 1], atol=1e-3)


def test_ground_truth_hides_the_cubes_symmetry(environment: Environments) -> None:
    env = environment("panda_push")
    scene = env.task.sample(np.random.default_rng(0))
    states = []
    for turn in (0.0, np.pi / 2):
        env.reset(type(scene)(scene.robot, (*scene.cube[:2], 0.3 + turn)))
        states.append(ground_truth(env))
    np.testing.assert_allclose(states[0], states[1], atol=1e-5)
    np.testing.assert_allclose(states[0][:5], [*scene.robot, *scene.cube[:2]], atol=2e-3)
    np.testing.assert_allclose(states[0][5:], [np.cos(1.2), np.sin(1.2)], atol=1e-4)
    assert ground_truth(environment("panda_reach")).shape == (3,)


def test_ground_truth_of_the_rover_is_its_pose(environment: Environments) -> None:
    env = environment("rover_rooms")
    env.reset(SceneState((0.4, -0.6, 2.5)))
    np.testing.assert_allclose(ground_truth(env), [0.4, -0.6, np.cos(2.5), np.sin(2.5)], atol=1e-3)
