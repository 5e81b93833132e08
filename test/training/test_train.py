"""Training: it learns, and a killed run ends with the weights of one that was left alone."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from wm_planner.configurator.contract import Contract
from wm_planner.data.dataset import Episodes
from wm_planner.training import stitch
from wm_planner.training import train as training_stages
from wm_planner.training.config import TrainConfig
from wm_planner.training.loop import optimise, silent
from wm_planner.training.probe import linear_probe
from wm_planner.training.refine import RefineConfig, refine
from wm_planner.training.split import VALIDATION_EPISODES, split
from wm_planner.training.train import encode_all, train
from wm_planner.world_model.checkpoint import CheckpointError, load_checkpoint, load_tensors, save_tensors
from wm_planner.world_model.config import ModelConfig
from wm_planner.world_model.model import WorldModel

STAGES = ["jepa", "predictor", "critic", "stitch", "policy", "decoder"]


@pytest.fixture(scope="module", autouse=True)
def few_landmarks() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stitch, "LANDMARKS", 40)
        yield


@pytest.fixture(scope="module")
def episodes(contract: Contract) -> Episodes:
    """A bright square that moves as it is told; the joints follow."""
    rng = np.random.default_rng(0)
    n, t = VALIDATION_EPISODES + 6, 20
    actions = rng.uniform(-1, 1, (n, t, 2)).astype(np.float32)
    start = rng.uniform(0.2, 0.8, (n, 1, 2))
    place = np.clip(start + np.concatenate([np.zeros((n, 1, 2)), 0.1 * actions.cumsum(1)], 1), 0.1, 0.9)
    frames = np.full((n, t + 1, 32, 32, 3), 40, np.uint8)
    for i, j in np.ndindex(n, t + 1):
        x, y = (place[i, j] * 32).astype(int)
        frames[i, j, y - 3 : y + 3, x - 3 : x + 3] = (220, 60, 30)
    joints = np.concatenate([place, place @ rng.normal(size=(2, 5))], -1)
    state = np.concatenate([place, np.zeros((n, t + 1, 1)), place, np.ones((n, t + 1, 2))], -1)
    attempts = np.zeros((n, t), np.int32)
    return Episodes(frames, joints.astype(np.float32), actions, state.astype(np.float32), attempts, contract)


def _config(model: ModelConfig, **changes) -> TrainConfig:
    small = {
        "model": model,
        "device": "cpu",
        "threads": 1,
        "save_every": 10,
        "jepa_steps": 41,
        "jepa_batch": 8,
        "jepa_rollout": 2,
        "jepa_muon_lr": 0.01,
        "sigreg_samples": 32,
        "predictor_steps": 41,
        "predictor_lr": 3e-3,
        "critic_steps": 41,
        "stitch_steps": 41,
        "policy_steps": 41,
        "heads_batch": 32,
        "heads_lr": 3e-3,
        "rollout_batch": 8,
        "rollout_length": 4,
        "decoder_steps": 41,
        "decoder_batch": 8,
    }
    return TrainConfig(**(small | changes))


FEW = dict.fromkeys(
    ["jepa_steps", "predictor_steps", "critic_steps", "stitch_steps", "policy_steps", "decoder_steps"], 2
)


class _Run:
    """A finished run: its folder, checkpoint, facts and reported losses."""

    def __init__(self, folder: Path, episodes: Episodes, config: TrainConfig) -> None:
        self.folder, self.checkpoint = folder / "run", folder / "model.safetensors"
        self.losses: dict[str, list[dict[str, float]]] = {}
        self.facts = train([episodes], config, self.folder, self.checkpoint, self._note)

    def _note(self, stage: str, done: int, total: int, losses: dict[str, float]) -> None:
        assert 0 < done <= total
        if stage != "landmarks":
            self.losses.setdefault(stage, []).append(losses)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, episodes: Episodes, small_config: ModelConfig) -> _Run:
    torch.set_num_threads(1)
    return _Run(tmp_path_factory.mktemp("whole"), episodes, _config(small_config))


class _Killed(BaseException):
    pass


@pytest.mark.parametrize("stage", STAGES)
def test_a_killed_run_resumes_to_the_same_weights(
    stage: str, whole: _Run, tmp_path: Path, episodes: Episodes, small_config: ModelConfig
) -> None:
    def kill(now: str, done: int, total: int, losses: dict[str, float]) -> None:
        if now == stage and done == 21:  # one step after the save at 20
            raise _Killed

    config, run, output = _config(small_config), tmp_path / "run", tmp_path / "model.safetensors"
    with pytest.raises(_Killed):
        train([episodes], config, run, output, kill)
    assert not output.exists()
    assert load_tensors(run / f"{stage}.safetensors")[1]["step"] == "20"
    seen = []
    train([episodes], config, run, output, lambda now, done, total, losses: seen.append((now, done)))
    assert next(entry for entry in seen if entry[0] != "landmarks") == (stage, 21)
    ours, theirs = load_tensors(output)[0], load_tensors(whole.checkpoint)[0]
    assert ours.keys() == theirs.keys()
    different = [k for k in ours if not torch.equal(ours[k], theirs[k])]
    assert different == []


def test_a_finished_run_is_not_trained_again(
    whole: _Run, tmp_path: Path, episodes: Episodes, small_config: ModelConfig
) -> None:
    run, output, seen = tmp_path / "run", tmp_path / "model.safetensors", set()
    shutil.copytree(whole.folder, run)
    config = _config(small_config, save_every=7, threads=2)  # which do not matter to what was trained
    train([episodes], config, run, output, lambda stage, *_: seen.add(stage))
    assert seen == {"landmarks"}
    ours, theirs = load_tensors(output)[0], load_tensors(whole.checkpoint)[0]
    assert [k for k in theirs if not torch.equal(ours[k], theirs[k])] == []


REFUSED = r"(?s){}\.safetensors was made from other data, settings or another model .* another --run, or delete it"


def test_state_of_other_data_or_settings_is_refused(
    whole: _Run, tmp_path: Path, episodes: Episodes, small_config: ModelConfig
) -> None:
    run, output, config = tmp_path / "run", tmp_path / "model.safetensors", _config(small_config)
    shutil.copytree(whole.folder, run)
    wider = small_config.model_copy(update={"head_width": 48})
    for data, settings in (
        (episodes._replace(actions=0.5 * episodes.actions), config),
        (episodes._replace(frames=episodes.frames // 2), config),  # the same play in other light
        (episodes.part(slice(1, None)), config),
        (episodes, _config(small_config, jepa_lr=1e-3)),
        (episodes, _config(small_config, jepa_steps=50)),
        (episodes, _config(wider)),
    ):
        with pytest.raises(CheckpointError, match=REFUSED.format("jepa")):
            train([data], settings, run, output)
    assert not output.exists()


def test_state_of_training_is_refused_by_refinement(whole: _Run, tmp_path: Path, episodes: Episodes) -> None:
    shutil.copytree(whole.folder, tmp_path / "run")
    config = RefineConfig(predictor_steps=41, predictor_lr=3e-3, rollout_batch=8, rollout_length=4)
    with pytest.raises(CheckpointError, match=REFUSED.format("predictor")):
        refine(load_checkpoint(whole.checkpoint, "cpu"), [episodes], config, tmp_path / "run", tmp_path / "m")


def test_state_that_does_not_say_what_it_was_made_of_is_refused(
    whole: _Run, tmp_path: Path, episodes: Episodes, small_config: ModelConfig
) -> None:
    run, output = tmp_path / "run", tmp_path / "model.safetensors"
    tensors, metadata = load_tensors(whole.folder / "jepa.safetensors")
    del metadata["made_of"]
    save_tensors(run / "jepa.safetensors", tensors, metadata)
    with pytest.raises(CheckpointError, match=REFUSED.format("jepa")):
        train([episodes], _config(small_config), run, output)


def test_losses_fall(whole: _Run) -> None:
    assert list(whole.losses) == STAGES
    # Prediction error grows while latents spread out, and distances while pairs are pushed apart: not these.
    for stage, part in (("jepa", "sigreg"), ("predictor", "joints"), ("policy", "policy"), ("decoder", "image")):
        first, last = (whole.losses[stage][i][part] for i in (0, -1))
        assert last < 0.97 * first, (stage, part)


def test_facts_describe_the_run(whole: _Run, contract: Contract, small_config: ModelConfig) -> None:
    model, facts = load_checkpoint(whole.checkpoint, "cpu", expected=contract)
    assert facts == whole.facts
    assert facts["task"] == "panda_push" and facts["episodes"] == [6, 20]
    assert facts["config"]["jepa_steps"] == 41
    assert set(facts["validation"]["open_loop"]) == {"1", "4", "8", "16"}
    assert model.config == small_config


def test_another_seed_gives_another_model(
    whole: _Run, tmp_path: Path, episodes: Episodes, small_config: ModelConfig
) -> None:
    runs = [_Run(tmp_path / str(i), episodes, _config(small_config, seed=i, **FEW)) for i in (0, 1)]
    a, b = (load_tensors(run.checkpoint)[0]["critic.body.enter.weight"] for run in runs)
    assert not torch.equal(a, b)


def test_true_state_model_skips_pixels(tmp_path: Path, episodes: Episodes, small_config: ModelConfig) -> None:
    model = small_config.model_copy(update={"encoder": "state", "latent_dim": 7})
    run = _Run(tmp_path, episodes, _config(model, critic_steps=5, policy_steps=5))
    assert list(run.losses) == ["predictor", "critic", "stitch", "policy"]
    loaded = load_checkpoint(run.checkpoint, "cpu").model
    torch.testing.assert_close(
        loaded.encoder.mean, torch.from_numpy(episodes.state[:6].mean((0, 1))), atol=1e-3, rtol=1e-3
    )


@pytest.mark.parametrize(("objective", "stages"), [("world model", STAGES), ("clone", ["clone", "policy"])])
def test_a_body_image_is_trained_whatever_else_is(
    tmp_path: Path, episodes: Episodes, small_config: ModelConfig, objective: str, stages: list[str]
) -> None:
    """One that was not would find cameras where they are not."""
    model = small_config.model_copy(update={"body_channels": 8})
    run = _Run(tmp_path, episodes, _config(model, **FEW | {"body_steps": 2, "objective": objective}))
    assert list(run.losses) == ["body", *stages] and "body" in run.facts["seconds"]


def test_a_fovea_is_taught_where_to_look(
    tmp_path: Path, episodes: Episodes, small_config: ModelConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Here at the square. What a body does not explain is tested of `unexplained`: a body takes long to learn."""
    square = 2 * torch.from_numpy(episodes.state[:, :, :2]) - 1
    monkeypatch.setattr(training_stages, "unexplained", lambda model, of, progress: square[: len(of.actions)])
    model = small_config.model_copy(update={"conv_fovea": 8, "fovea_dim": 4, "body_channels": 8})
    run = _Run(tmp_path, episodes, _config(model, **FEW | {"body_steps": 2, "jepa_steps": 150, "jepa_lr": 3e-3}))
    assert list(run.losses) == ["body", *STAGES]
    with torch.no_grad():
        gaze = load_checkpoint(run.checkpoint, "cpu").model.look(torch.from_numpy(episodes.frames[:6]).flatten(0, 1))[1]
    assert gaze is not None
    assert (gaze - square[:6].flatten(0, 1)).square().mean() < 0.3 * square[:6].flatten(0, 1).var(0).mean()


@pytest.mark.parametrize("fovea", [0, 8])
def test_latents_are_normalised_by_what_the_jepa_saw(
    tmp_path: Path, episodes: Episodes, small_config: ModelConfig, fovea: int
) -> None:
    """Whatever has looked through the model before."""
    sizes = small_config.model_copy(update={"conv_fovea": fovea, "fovea_dim": 4, "body_channels": 8})
    run = _Run(tmp_path, episodes, _config(sizes, **FEW | {"body_steps": 2}))
    encoder = load_checkpoint(run.checkpoint, "cpu").model.encoder
    norms = [module for module in encoder.modules() if isinstance(module, nn.BatchNorm1d)]
    assert [int(norm.num_batches_tracked) for norm in norms] == [FEW["jepa_steps"]] * (2 if fovea else 1)


def test_a_pretrained_encoder_is_fitted_not_trained(
    tmp_path: Path, episodes: Episodes, small_config: ModelConfig
) -> None:
    pytest.importorskip("efficientnet_lite_pytorch", reason="the baselines are not installed")
    run = _Run(tmp_path, episodes, _config(small_config.model_copy(update={"encoder": "pretrained"}), **FEW))
    assert list(run.losses) == ["predictor", "critic", "stitch", "policy", "decoder"]
    latents = encode_all(load_checkpoint(run.checkpoint, "cpu").model, episodes.part(slice(6))).latents
    assert latents.square().mean().item() == pytest.approx(1.0, rel=0.2)


def test_what_a_robot_recorded_has_no_true_state(tmp_path: Path, episodes: Episodes, small_config: ModelConfig) -> None:
    recorded = episodes._replace(state=episodes.state[..., :0])
    assert "open_loop" in _Run(tmp_path, recorded, _config(small_config, **FEW)).facts["validation"]
    model = small_config.model_copy(update={"encoder": "state", "latent_dim": 7})
    with pytest.raises(ValueError, match="0 values of true state, expected latent_dim 7"):
        _Run(tmp_path, recorded, _config(model))


def test_validation_is_held_out(episodes: Episodes) -> None:
    training, validation = split(episodes)
    assert len(training.actions) == 6 and len(validation.actions) == VALIDATION_EPISODES
    np.testing.assert_array_equal(np.concatenate([training.actions, validation.actions]), episodes.actions)
    with pytest.raises(ValueError, match="20 episodes, expected more than the 20"):
        split(validation)


def test_episodes_too_short_are_refused_before_training(
    tmp_path: Path, episodes: Episodes, small_config: ModelConfig
) -> None:
    short = Episodes(
        episodes.frames[:, :18], episodes.joints[:, :18], episodes.actions[:, :17], episodes.state[:, :18],
        episodes.attempts[:, :17], episodes.contract,
    )  # fmt: skip
    with pytest.raises(ValueError, match="17 steps, expected at least 18"):
        train([short], _config(small_config), tmp_path / "run", tmp_path / "model.safetensors")
    assert not (tmp_path / "run" / "jepa.safetensors").exists()


def test_a_diverging_loss_is_named(tmp_path: Path) -> None:
    module = torch.nn.Linear(1, 1)

    def loss(step: int) -> dict[str, torch.Tensor]:
        return {"fit": module(torch.ones(1)).sum() * (float("nan") if step == 3 else 1.0)}

    with pytest.raises(FloatingPointError, match=r"heads step 3: .*fit.*nan.*learning rate"):
        optimise("heads", module, [*module.parameters()], loss, 10, 1e-3, tmp_path, "", 5, silent)


def test_optimise_minimises(tmp_path: Path) -> None:
    module = torch.nn.Linear(2, 1)
    x = torch.tensor([[0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    y = x @ torch.tensor([[2.0], [-1.0]]) + 0.5

    def loss(step: int) -> dict[str, torch.Tensor]:
        return {"fit": (module(x) - y).square().mean()}

    optimise("fit", module, [*module.parameters()], loss, 300, 0.1, tmp_path, "", 1000, silent)
    torch.testing.assert_close(module.weight.detach(), torch.tensor([[2.0, -1.0]]), atol=0.05, rtol=0)
    assert (tmp_path / "fit.safetensors").is_file()


def test_probe_recovers_a_linear_map(rng: np.random.Generator) -> None:
    x, other = rng.normal(size=(200, 6)), rng.normal(size=(80, 6))
    weights, bias = rng.normal(size=(6, 3)), np.array([5.0, -2.0, 0.0])
    r2, residual = linear_probe(x, x @ weights + bias, other, other @ weights + bias)
    np.testing.assert_allclose(r2, 1.0, atol=1e-9)
    np.testing.assert_allclose(residual, 0.0, atol=1e-9)
    assert residual.shape == (80, 3)


def test_probe_knows_what_it_cannot_see(rng: np.random.Generator) -> None:
    x, other = rng.normal(size=(400, 4)), rng.normal(size=(400, 4))
    half, half_other = x[:, :1] + rng.normal(size=(400, 1)), other[:, :1] + rng.normal(size=(400, 1))
    r2, residual = linear_probe(
        x, np.hstack([rng.normal(size=(400, 1)), half]), other, np.hstack([rng.normal(size=(400, 1)), half_other])
    )
    assert r2[0] == pytest.approx(0.0, abs=0.1)
    assert r2[1] == pytest.approx(0.5, abs=0.1)
    assert residual[:, 1].std() == pytest.approx(1.0, abs=0.1)


def test_probe_counts_a_constant_error(rng: np.random.Generator) -> None:
    """Held-out values that are off by a constant are errors, not a perfect fit."""
    x, other = rng.normal(size=(100, 2)), rng.normal(size=(100, 2))
    y, shifted = x[:, :1], other[:, :1] + 3.0
    r2, residual = linear_probe(x, y, other, shifted)
    np.testing.assert_allclose(residual, -3.0, atol=1e-9)
    assert r2[0] < 0


def test_a_clone_trains_encoder_and_policy_alone(episodes: Episodes, small_config: ModelConfig, tmp_path: Path) -> None:
    run = _Run(tmp_path, episodes, _config(small_config, objective="clone", jepa_steps=200))
    assert set(run.losses) == set(run.facts["seconds"]) == {"clone", "policy"}
    first, last = (run.losses["clone"][k]["clone"] for k in (0, -1))
    assert last < 0.8 * first
    assert run.losses["policy"][0]["policy"] < 0.9 * first  # it goes on from what it was
    imitation = run.facts["validation"]["imitation"]
    assert imitation["train"] < 0.9 * imitation["held_out"]  # learned by heart, of six episodes
    model = load_checkpoint(run.checkpoint, "cpu").model
    assert not model.predictor.leave[1].weight.any()  # never trained


def test_an_encoder_that_has_to_tell_actions(episodes: Episodes, small_config: ModelConfig, tmp_path: Path) -> None:
    run = _Run(tmp_path, episodes, _config(small_config, jepa_steps=200, imitation_weight=1.0, critic_steps=2))
    first, last = (run.losses["jepa"][k]["imitation"] for k in (0, -1))
    assert last < 0.8 * first
    assert run.losses["policy"][0]["policy"] < 0.9 * first  # it goes on from what it was


def test_latents_that_have_to_tell_the_joints(episodes: Episodes, small_config: ModelConfig, tmp_path: Path) -> None:
    config = _config(small_config, jepa_steps=200, proprioception_weight=1.0, critic_steps=2)
    run = _Run(tmp_path, episodes, config)
    first, last = (run.losses["jepa"][k]["proprioception"] for k in (0, -1))
    assert last < 0.8 * first
    assert set(load_checkpoint(run.checkpoint, "cpu").model.state_dict()) == set(
        WorldModel(episodes.contract, small_config).state_dict()
    )  # what tells them was for training only


def test_where_nothing_was_tried_there_is_nothing_to_imitate(
    episodes: Episodes, small_config: ModelConfig, tmp_path: Path
) -> None:
    seldom = episodes.attempts.copy()
    seldom[:, 1:] = -1
    run = _Run(tmp_path, episodes._replace(attempts=seldom), _config(small_config, imitation_weight=1.0, **FEW))
    assert run.losses["jepa"][0]["imitation"] == 0.0
