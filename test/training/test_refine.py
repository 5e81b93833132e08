"""Refinement: a predictor learns on from play, critic and policy where asked, and nothing else changes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from wm_planner.configurator.contract import Contract
from wm_planner.data.dataset import Episodes
from wm_planner.training.refine import RefineConfig, refine
from wm_planner.training.split import VALIDATION_EPISODES
from wm_planner.world_model.checkpoint import CheckpointError, load_checkpoint, load_tensors, save_checkpoint
from wm_planner.world_model.config import ModelConfig
from wm_planner.world_model.model import WorldModel

CONFIG = {
    **{"predictor_steps": 120, "predictor_lr": 3e-3, "predictor_muon_lr": 0.02, "save_every": 50},
    **{"rollout_batch": 16, "rollout_length": 4},
}


class _Killed(BaseException):
    pass


@pytest.fixture(scope="module")
def play(contract: Contract) -> Episodes:
    """A bright square that moves to the right, faster and slower; the joints say where it is."""
    rng = np.random.default_rng(0)
    n, t = VALIDATION_EPISODES + 12, 20
    actions = rng.uniform(-1, 1, (n, t, 2)).astype(np.float32)
    place = 0.2 + 0.03 * np.concatenate([np.zeros((n, 1)), (1 + actions[..., 0]).cumsum(1)], 1).clip(0, 20)
    frames = np.full((n, t + 1, 32, 32, 3), 40, np.uint8)
    for i, j in np.ndindex(n, t + 1):
        x = int(32 * place[i, j])
        frames[i, j, 12:20, x : x + 6] = (220, 60, 30)
    joints = np.repeat(place[..., None], 7, -1).astype(np.float32)
    return Episodes(frames, joints, actions, np.zeros((n, t + 1, 7), np.float32), np.zeros((n, t), np.int32), contract)


@pytest.fixture
def checkpoint(contract: Contract, small_config: ModelConfig, play: Episodes, tmp_path: Path) -> Path:
    torch.manual_seed(0)
    path, model = tmp_path / "before.safetensors", WorldModel(contract, small_config)
    with torch.no_grad():
        for _ in range(100):  # brings latents to unit variance
            model.encode(torch.from_numpy(play.frames[:, 0]))
    save_checkpoint(path, model, {"task": "panda_push", "distilled": {"seconds": 1}})
    return path


def test_the_predictor_learns_and_nothing_else_changes(checkpoint: Path, play: Episodes, tmp_path: Path) -> None:
    output = tmp_path / "after.safetensors"
    facts = refine(load_checkpoint(checkpoint, "cpu"), [play], RefineConfig(**CONFIG), tmp_path / "run", output)
    errors = facts["validation"]
    assert errors["open_loop"]["4"] < 0.8 * errors["copy_last"]["4"]
    before, after = load_tensors(checkpoint)[0], load_tensors(output)[0]
    changed = {name.split(".")[0] for name in before if not torch.equal(before[name], after[name])}
    assert changed == {"predictor"}
    stored = load_checkpoint(output, "cpu").facts
    assert stored["task"] == "panda_push" and stored["distilled"] == {"seconds": 1}
    assert stored["refined"][0]["episodes"] == [12, 20] and "surprise" in stored
    again = refine(load_checkpoint(output, "cpu"), [play], RefineConfig(**CONFIG), tmp_path / "more", tmp_path / "m")
    assert len(again["refined"]) == 2


def test_critic_and_policy_learn_where_asked(checkpoint: Path, play: Episodes, tmp_path: Path) -> None:
    output = tmp_path / "after.safetensors"
    config = RefineConfig(**CONFIG | {"predictor_steps": 0}, critic_steps=40, policy_steps=40, heads_batch=32)
    facts = refine(load_checkpoint(checkpoint, "cpu"), [play], config, tmp_path / "run", output)
    before, after = load_tensors(checkpoint)[0], load_tensors(output)[0]
    changed = {name.split(".")[0] for name in before if not torch.equal(before[name], after[name])}
    assert changed == {"critic", "policy"}
    assert set(facts["refined"][0]["seconds"]) == {"predictor", "critic", "policy"}


def test_a_predictor_begins_to_be_modulated_from_what_it_was(checkpoint: Path, play: Episodes, tmp_path: Path) -> None:
    before, output = load_checkpoint(checkpoint, "cpu").model, tmp_path / "after.safetensors"
    untrained = RefineConfig(**CONFIG | {"predictor_steps": 0}, modulation=8)
    refine(load_checkpoint(checkpoint, "cpu"), [play], untrained, tmp_path / "none", tmp_path / "none.safetensors")
    same = load_checkpoint(tmp_path / "none.safetensors", "cpu").model
    x = torch.randn(5, before.predictor.enter.in_features)
    torch.testing.assert_close(same.predictor(x), before.predictor(x), atol=2e-3, rtol=1e-2)  # it was stored in fp16
    refine(load_checkpoint(checkpoint, "cpu"), [play], RefineConfig(**CONFIG, modulation=8), tmp_path / "run", output)
    after = load_checkpoint(output, "cpu")
    assert after.model.config.predictor_modulation == 8
    assert after.model.predictor.modulate.weight.abs().max() > 0
    again = refine(after, [play], untrained, tmp_path / "again", tmp_path / "again.safetensors")
    assert len(again["refined"]) == 2
    with pytest.raises(ValueError, match="modulation 16, but the predictor has 8 already"):
        other = RefineConfig(**CONFIG, modulation=16)
        refine(load_checkpoint(output, "cpu"), [play], other, tmp_path / "other", tmp_path / "other.safetensors")


@pytest.mark.parametrize("modulation", [0, 8])
def test_a_killed_run_resumes_to_the_same_weights(
    checkpoint: Path, play: Episodes, tmp_path: Path, modulation: int
) -> None:
    config = RefineConfig(**CONFIG, modulation=modulation)

    def kill(stage: str, done: int, total: int, losses: dict[str, float]) -> None:
        if done == 61:
            raise _Killed

    def run(name: str, **more) -> dict[str, torch.Tensor]:
        output = tmp_path / f"{name}.safetensors"
        refine(load_checkpoint(checkpoint, "cpu"), [play], config, tmp_path / name, output, **more)
        return load_tensors(output)[0]

    whole = run("whole")
    with pytest.raises(_Killed):
        run("killed", progress=kill)
    assert load_tensors(tmp_path / "killed" / "predictor.safetensors")[1]["step"] == "50"
    resumed = run("killed")
    assert [name for name in whole if not torch.equal(whole[name], resumed[name])] == []


def test_state_made_from_another_model_is_refused(checkpoint: Path, play: Episodes, tmp_path: Path) -> None:
    config, run, output = RefineConfig(**CONFIG), tmp_path / "run", tmp_path / "after.safetensors"
    refine(load_checkpoint(checkpoint, "cpu"), [play], config, run, output)
    model, facts = load_checkpoint(checkpoint, "cpu")
    save_checkpoint(checkpoint, model, facts | {"surprise": "calibrated anew"})  # of no consequence
    seen = []
    refine(load_checkpoint(checkpoint, "cpu"), [play], config, run, output, lambda *now: seen.append(now))
    assert seen == []
    torch.nn.init.normal_(model.encoder.project[0].weight)  # trained anew; its predictor is as it was
    save_checkpoint(checkpoint, model, facts)
    with pytest.raises(CheckpointError, match=r"predictor\.safetensors was made .* another model .* another --run"):
        refine(load_checkpoint(checkpoint, "cpu"), [play], config, run, output)


def test_several_datasets_are_learned_from_and_each_is_held_out_in_part(
    checkpoint: Path, play: Episodes, tmp_path: Path
) -> None:
    more = play.part(slice(VALIDATION_EPISODES + 4))
    model = load_checkpoint(checkpoint, "cpu")
    facts = refine(model, [play, more], RefineConfig(**CONFIG), tmp_path / "run", tmp_path / "after.safetensors")
    assert facts["refined"][0]["episodes"] == [12 + 4, 20]
    shorter = Episodes.of((array[:, :-1] for array in play[:-1]), play.contract)
    with pytest.raises(ValueError, match="20 and of 19 steps, expected equally long"):
        refine(model, [play, shorter], RefineConfig(**CONFIG), tmp_path / "bad", tmp_path / "bad.safetensors")
    other = play._replace(contract=play.contract.model_copy(update={"context_length": 3}))
    with pytest.raises(ValueError, match=r"(?s)several contracts.*context_length"):
        refine(model, [play, other], RefineConfig(**CONFIG), tmp_path / "bad", tmp_path / "bad.safetensors")
