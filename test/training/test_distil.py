"""Distillation: an encoder learns to see through a change of looks without forgetting what it knew."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from wm_planner.configurator.contract import Contract
from wm_planner.data.dataset import ARRAYS, Episodes, joined
from wm_planner.training import distil as distillation
from wm_planner.training.augment import with_intruders
from wm_planner.training.distil import DistilConfig, DistilLoss, distil
from wm_planner.training.gaze import gazes_of
from wm_planner.training.loop import silent
from wm_planner.training.split import VALIDATION_EPISODES, split
from wm_planner.training.train import encode_all
from wm_planner.world_model.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from wm_planner.world_model.config import ModelConfig
from wm_planner.world_model.model import WorldModel
from wm_planner.world_model.surprise import HORIZONS, Calibration

CONFIG = {
    **{"steps": 120, "batch": 64, "lr": 2e-3, "save_every": 50, "recolouring": 0.0, "repainting": 0.0},
    **{"predictor_steps": 60, "rollout_batch": 16, "rollout_length": 4},
}


@pytest.fixture(scope="module")
def nominal(contract: Contract) -> Episodes:
    """A bright square somewhere on a dark floor."""
    rng = np.random.default_rng(0)
    n, t = VALIDATION_EPISODES + 12, 20
    frames = np.full((n, t + 1, 32, 32, 3), 40, np.uint8)
    for i, j in np.ndindex(n, t + 1):
        x, y = rng.integers(4, 28, 2)
        frames[i, j, y - 4 : y + 4, x - 4 : x + 4] = (220, 60, 30)
    floats = [rng.normal(size=(n, length, width)).astype(np.float32) for length, width in ((t + 1, 7), (t, 2))]
    return Episodes(frames, *floats, np.zeros((n, t + 1, 7), np.float32), np.zeros((n, t), np.int32), contract)


def _over(floor: int, episodes: Episodes) -> Episodes:
    """The same squares on another floor."""
    return episodes._replace(frames=np.where(episodes.frames == 40, floor, episodes.frames).astype(np.uint8))


@pytest.fixture(scope="module")
def views(nominal: Episodes) -> Episodes:
    """The same squares on a bright floor."""
    return _over(180, nominal)


@pytest.fixture
def teacher(contract: Contract, small_config: ModelConfig, tmp_path: Path) -> Checkpoint:
    torch.manual_seed(0)
    model = WorldModel(contract, small_config)
    model.encode(torch.randint(0, 256, (512, 32, 32, 3), dtype=torch.uint8))  # moves the normalisation a little
    save_checkpoint(tmp_path / "teacher.safetensors", model, {"task": "panda_push"})
    return load_checkpoint(tmp_path / "teacher.safetensors", "cpu")


def test_it_meets_the_latents_of_the_nominal_images_and_critic_and_policy_stay(
    teacher: Checkpoint, nominal: Episodes, views: Episodes, tmp_path: Path
) -> None:
    before = {name: value.clone() for name, value in teacher.model.state_dict().items()}
    facts = distil(teacher, [nominal], views, DistilConfig(**CONFIG), tmp_path / "run", tmp_path / "m.safetensors")
    missed = facts["distilled"]["missed"]
    assert missed["views"] < 0.5 * missed["views, before"]
    model, stored = load_checkpoint(tmp_path / "m.safetensors", "cpu")
    assert stored["distilled"] == facts["distilled"] and stored["task"] == "panda_push" and "surprise" in stored
    changed = {name for name, value in model.state_dict().items() if not torch.allclose(value, before[name], atol=1e-6)}
    assert {name.split(".")[0] for name in changed} == {"encoder", "predictor"}
    assert set(stored["validation"]["open_loop"]) == {"1", "4", "8", "16"}
    assert not any("running" in name for name in changed)
    assert encode_all(model, views).latents.isfinite().all()


def test_a_fovea_goes_on_looking_where_it_looked(
    contract: Contract, small_config: ModelConfig, nominal: Episodes, views: Episodes, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    sizes = small_config.model_copy(update={"conv_fovea": 8, "fovea_dim": 4, "body_channels": 4})
    model = WorldModel(contract, sizes).eval().requires_grad_(False)
    before, otherwise = gazes_of(model, nominal), gazes_of(model, views)
    distil(
        Checkpoint(model, {}), [nominal], views, DistilConfig(**CONFIG), tmp_path / "run", tmp_path / "m.safetensors"
    )
    after = gazes_of(load_checkpoint(tmp_path / "m.safetensors", "cpu").model, views)
    assert before is not None and otherwise is not None and after is not None
    assert (after - before).square().mean() < 0.5 * (otherwise - before).square().mean()


def test_views_of_the_first_episodes_are_enough(
    teacher: Checkpoint, nominal: Episodes, views: Episodes, tmp_path: Path
) -> None:
    """The rest of the data still teaches the encoder what it has to go on seeing, and the predictor."""
    doubled = nominal._replace(**{name: np.concatenate([getattr(nominal, name)] * 2) for name in ARRAYS})
    facts = distil(teacher, [doubled], views, DistilConfig(**CONFIG), tmp_path / "run", tmp_path / "m.safetensors")
    missed = facts["distilled"]["missed"]
    assert missed["views"] < 0.5 * missed["views, before"]
    assert facts["distilled"]["episodes"] == [len(split(doubled)[0].actions), 20]
    assert facts["distilled"]["episodes of views"] == len(split(views)[0].actions)


def test_of_several_datasets_those_episodes_are_held_out_that_were_in_training(
    teacher: Checkpoint, nominal: Episodes, views: Episodes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And views and harmless changes stay with the episodes that they are of, also behind one that is left out."""
    config, output = DistilConfig(**CONFIG | {"steps": 1, "predictor_steps": 0}), tmp_path / "m.safetensors"
    distil(teacher, [nominal], views, config, tmp_path / "first", output)  # calibrates its surprise
    datasets = [nominal, nominal.part(np.roll(np.arange(len(nominal.actions)), 5))]
    shown = joined([_over(180, datasets[0]), _over(180, datasets[1].part(slice(25)))])
    shown.joints[3] += 0.002
    harmless = joined([_over(90, datasets[0]), _over(90, datasets[1].part(slice(2)))])
    losses, finished = [], []

    def note_loss(*args) -> DistilLoss:
        losses.append(args)
        return DistilLoss(*args)

    monkeypatch.setattr(distillation, "DistilLoss", note_loss)
    monkeypatch.setattr(distillation, "finish", lambda model, facts, latents, *rest: finished.append(rest[:2]))
    student = load_checkpoint(output, "cpu")
    distil(student, datasets, shown, config, tmp_path / "run", output, harmless=harmless)
    learned, held_out = split(*datasets)
    [(training, validation)], [(_, plain, otherwise, *_, unminded, _)] = finished, losses
    np.testing.assert_array_equal(validation.frames, held_out.frames)
    np.testing.assert_array_equal(training.frames, np.delete(learned.frames, 3, 0))
    assert len(otherwise) == 12 - 1 + 5 and len(unminded) == 12 - 1 + 2
    np.testing.assert_array_equal(plain, training.frames)
    np.testing.assert_array_equal(otherwise, _over(180, training).frames[: len(otherwise)])
    np.testing.assert_array_equal(unminded, _over(90, training).frames[: len(unminded)])


def test_too_few_views_of_a_dataset_are_refused(
    teacher: Checkpoint, nominal: Episodes, views: Episodes, tmp_path: Path
) -> None:
    shown = joined([views, views.part(slice(5))])
    with pytest.raises(ValueError, match="5 views of a dataset, expected more than the 20 held out"):
        distil(teacher, [nominal, nominal], shown, DistilConfig(**CONFIG), tmp_path / "run", tmp_path / "m")


def test_a_second_step_does_not_drift_from_the_first_ones_teacher(
    teacher: Checkpoint, nominal: Episodes, views: Episodes, tmp_path: Path
) -> None:
    wanted, config = encode_all(teacher.model, nominal).latents, DistilConfig(**CONFIG | {"predictor_steps": 0})
    student = load_checkpoint(tmp_path / "teacher.safetensors", "cpu")
    distil(student, [nominal], views, config, tmp_path / "first", tmp_path / "first.safetensors")
    error = {}
    for original in (None, teacher.model):
        student, run = load_checkpoint(tmp_path / "first.safetensors", "cpu"), tmp_path / f"run_{original is None}"
        distil(student, [nominal], views, config, run, tmp_path / "m.safetensors", teacher=original)
        model, _ = load_checkpoint(tmp_path / "m.safetensors", "cpu")
        error[original is None] = float((encode_all(model, nominal).latents - wanted).square().mean())
    assert error[False] < 0.8 * error[True]


def test_a_teacher_whose_latents_mean_something_else_is_refused(
    teacher: Checkpoint, nominal: Episodes, views: Episodes, tmp_path: Path
) -> None:
    other = WorldModel(teacher.model.contract, teacher.model.config)
    with pytest.raises(ValueError, match=r"another policy than the teacher, .* expected the model that it was"):
        distil(teacher, [nominal], views, DistilConfig(**CONFIG), tmp_path / "run", tmp_path / "m", teacher=other)


@pytest.mark.usefixtures("teacher")
def test_what_it_knew_suffers_less_where_plain_images_weigh_more(
    nominal: Episodes, views: Episodes, tmp_path: Path
) -> None:
    def missed(weight: float) -> float:
        config = DistilConfig(**CONFIG | {"predictor_steps": 0}, plain_weight=weight)
        again = load_checkpoint(tmp_path / "teacher.safetensors", "cpu")
        facts = distil(again, [nominal], views, config, tmp_path / f"run_{weight}", tmp_path / "m.safetensors")
        return facts["distilled"]["missed"]["nominal"]

    assert missed(20.0) < missed(1.0)


def test_it_can_be_made_to_be_surprised_by_what_was_never_there(
    teacher: Checkpoint, nominal: Episodes, views: Episodes, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    frames = torch.from_numpy(nominal.frames[:, 0])
    visited = with_intruders(frames[:, None])[:, 0]
    distil(teacher, [nominal], views, DistilConfig(**CONFIG), tmp_path / "first", tmp_path / "first.safetensors")
    change = {}
    for weight in (0.0, 1.0):
        student = load_checkpoint(tmp_path / "first.safetensors", "cpu")
        config = DistilConfig(**CONFIG, intruder_weight=weight)
        facts = distil(student, [nominal], views, config, tmp_path / f"run_{weight}", tmp_path / "m.safetensors")
        assert facts["distilled"]["earlier"]["config"]["intruder_weight"] == 0.0
        model, _ = load_checkpoint(tmp_path / "m.safetensors", "cpu")
        change[weight] = float((model.encode(visited) - model.encode(frames)).square().mean(-1).median())
    assert change[1.0] > 2.0 * change[0.0]


def test_it_can_be_made_not_to_be_surprised_by_what_is_harmless(
    teacher: Checkpoint, nominal: Episodes, views: Episodes, tmp_path: Path
) -> None:
    blue = np.array([40, 40, 230], np.uint8)
    harmless = nominal._replace(frames=np.where(nominal.frames == 40, blue, nominal.frames))
    distil(teacher, [nominal], views, DistilConfig(**CONFIG), tmp_path / "first", tmp_path / "first.safetensors")
    surprise = {}
    for shown in (None, harmless.part(slice(0, 12))):
        student = load_checkpoint(tmp_path / "first.safetensors", "cpu")
        calibration = Calibration.model_validate(student.facts["surprise"])
        latents = student.model.config.latent_dim
        whitening = calibration.matrices(latents + 7)[min(HORIZONS)][:latents]
        before = encode_all(student.model, nominal).latents
        config, run = DistilConfig(**CONFIG), tmp_path / f"run_{shown is None}"
        facts = distil(student, [nominal], views, config, run, tmp_path / "m.safetensors", harmless=shown)
        assert facts["distilled"]["episodes of harmless changes"] == (0 if shown is None else 12)
        model, _ = load_checkpoint(tmp_path / "m.safetensors", "cpu")
        change = encode_all(model, harmless).latents - before
        surprise[shown is None] = float((change @ whitening).square().mean())
    assert surprise[False] < 0.5 * surprise[True]


def test_what_is_to_change_surprise_needs_a_teacher_whose_surprise_is_calibrated(
    teacher: Checkpoint, nominal: Episodes, views: Episodes, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=r"not calibrated, .*wm_planner calibrate"):
        distil(teacher, [nominal], views, DistilConfig(**CONFIG, intruder_weight=1.0), tmp_path / "run", tmp_path / "m")
    with pytest.raises(ValueError, match=r"not calibrated, expected so for intruders and what is harmless"):
        distil(teacher, [nominal], views, DistilConfig(**CONFIG), tmp_path / "run", tmp_path / "m", harmless=views)


def test_a_student_may_standardise_images(
    teacher: Checkpoint, nominal: Episodes, views: Episodes, tmp_path: Path
) -> None:
    config, run = DistilConfig(**CONFIG, standardise=True), tmp_path / "run"
    facts = distil(teacher, [nominal], views, config, run, tmp_path / "m.safetensors")
    model, _ = load_checkpoint(tmp_path / "m.safetensors", "cpu")
    assert model.config.conv_standardise
    assert facts["distilled"]["missed"]["views"] < 0.5 * facts["distilled"]["missed"]["views, before"]
    frames = torch.from_numpy(nominal.frames[0])
    brighter = (frames * 1.15).to(torch.uint8)
    untaught = load_checkpoint(tmp_path / "teacher.safetensors", "cpu").model

    def change(model: WorldModel) -> torch.Tensor:
        return (model.encode(brighter) - model.encode(frames)).square().mean() / model.encode(frames).var(0).mean()

    assert change(model) < 0.1 * change(untaught)


def test_a_transformer_cannot_be_told_to_standardise(
    contract: Contract, nominal: Episodes, views: Episodes, tmp_path: Path
) -> None:
    config = ModelConfig(encoder="vit", vit_width=12, vit_depth=1, latent_dim=16, decoder_channels=16)
    vit = Checkpoint(WorldModel(contract, config), {})
    with pytest.raises(ValueError, match=r"'vit' cannot standardise images, expected 'conv'"):
        distil(vit, [nominal], views, DistilConfig(**CONFIG, standardise=True), tmp_path / "run", tmp_path / "m")


@pytest.mark.parametrize("at", [("distil", 61), ("predictor", 41)])
def test_a_killed_run_resumes_to_the_same_weights(
    at: tuple[str, int], teacher: Checkpoint, nominal: Episodes, views: Episodes, tmp_path: Path
) -> None:
    class Killed(BaseException):
        pass

    def kill(stage: str, done: int, total: int, losses: dict[str, float]) -> None:
        if (stage, done) == at:
            raise Killed

    config = DistilConfig(**CONFIG, muon_lr=0.01)
    whole = distil(teacher, [nominal], views, config, tmp_path / "whole", tmp_path / "whole.safetensors")
    for progress in (kill, silent):
        again = load_checkpoint(tmp_path / "teacher.safetensors", "cpu")
        try:
            facts = distil(again, [nominal], views, config, tmp_path / "run", tmp_path / "m", progress)
        except Killed:
            continue
    assert facts["distilled"]["missed"] == whole["distilled"]["missed"]
    assert facts["validation"] == whole["validation"]


def test_one_episode_of_other_moments_is_left_out(
    teacher: Checkpoint, nominal: Episodes, views: Episodes, tmp_path: Path
) -> None:
    joints, frames = views.joints.copy(), views.frames.copy()
    joints[3] += 0.002
    frames[3] = 255
    other = views._replace(joints=joints, frames=frames)
    facts = distil(teacher, [nominal], other, DistilConfig(**CONFIG), tmp_path / "run", tmp_path / "m.safetensors")
    assert facts["distilled"]["episodes"] == [len(split(nominal)[0].actions) - 1, 20]
    joints[4] += 0.002
    with pytest.raises(ValueError, match=r"joints of the views .* expected the same moments"):
        distil(teacher, [nominal], other, DistilConfig(**CONFIG), tmp_path / "other", tmp_path / "n.safetensors")


def test_views_of_other_moments_are_refused(teacher: Checkpoint, nominal: Episodes, tmp_path: Path) -> None:
    other = nominal._replace(actions=nominal.actions + 1)
    with pytest.raises(ValueError, match=r"actions of the views .* expected the same moments; collect both with"):
        distil(teacher, [nominal], other, DistilConfig(**CONFIG), tmp_path / "run", tmp_path / "m.safetensors")
    with pytest.raises(ValueError, match=r"joints .* \(31, 21, 7\) are not those of the data's \(32, 21, 7\) first"):
        part = nominal.part(slice(1, None))
        distil(teacher, [nominal], part, DistilConfig(**CONFIG), tmp_path / "run", tmp_path / "m.safetensors")
    with pytest.raises(ValueError, match=r"joints of the harmless changes .* expected the same moments"):
        distil(teacher, [nominal], nominal, DistilConfig(**CONFIG), tmp_path / "run", tmp_path / "m", harmless=part)


def test_views_of_another_contract_are_refused(
    teacher: Checkpoint, nominal: Episodes, rover_contract: Contract, tmp_path: Path
) -> None:
    other = nominal._replace(contract=rover_contract)
    with pytest.raises(ValueError, match=r"under contract 'rover_rooms', the data under 'panda_push'"):
        distil(teacher, [nominal], other, DistilConfig(**CONFIG), tmp_path / "run", tmp_path / "m.safetensors")
