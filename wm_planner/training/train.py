"""Train a model from a dataset: JEPA, predictor, critic, policy, decoder. Resumable at every stage."""

from __future__ import annotations

import functools
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from wm_planner import __version__
from wm_planner.data.dataset import Episodes
from wm_planner.perception.encoder import ConvEncoder, StateEncoder
from wm_planner.perception.pretrained import PretrainedEncoder
from wm_planner.training.augment import moved_camera
from wm_planner.training.body import BodyConfig, fit_body
from wm_planner.training.calibrate import LATE, calibrate, harmless_changes
from wm_planner.training.clone import CloneLoss
from wm_planner.training.config import TrainConfig
from wm_planner.training.fingerprint import fingerprint
from wm_planner.training.gaze import unexplained
from wm_planner.training.heads import fit_heads, fit_policy
from wm_planner.training.image import ImageLoss
from wm_planner.training.jepa import JEPALoss
from wm_planner.training.loop import Fit, Progress, optimise, silent
from wm_planner.training.optimiser import wide
from wm_planner.training.predictor import Latents, fit_predictor
from wm_planner.training.probe import HORIZONS, probe
from wm_planner.training.split import split
from wm_planner.world_model.checkpoint import auto_device, save_checkpoint
from wm_planner.world_model.model import WorldModel

_FITTED_FRAMES = 2000  # that what an encoder is told of images beforehand is fitted to


def require_steps(episodes: Episodes, rollout: int) -> None:
    """Raises ValueError where episodes are too short for a context and a rollout, or for what `probe` measures."""
    needed = episodes.contract.context_length + max(*HORIZONS, rollout)
    if episodes.actions.shape[1] < needed:
        raise ValueError(f"episodes have {episodes.actions.shape[1]} steps, expected at least {needed}")


@torch.no_grad()
def encode_all(model: WorldModel, episodes: Episodes, move_camera: float = 0.0) -> Latents:
    """Latents of every frame, in evaluation mode; of half the episodes as if the camera had been moved."""
    model.eval()
    state = model.config.encoder == "state"
    inputs = torch.from_numpy(episodes.state if state else episodes.frames)
    torch.manual_seed(0)
    latents = [
        model.encode((part if state else moved_camera(part, move_camera)).flatten(0, 1)).float()
        for part in (batch.to(model.device) for batch in inputs.split(8))
    ]
    return Latents(
        torch.cat(latents).unflatten(0, inputs.shape[:2]),
        model.normalise_joints(torch.from_numpy(episodes.joints).to(model.device)),
        torch.from_numpy(episodes.actions).to(model.device),
    )


def train(
    datasets: Sequence[Episodes], config: TrainConfig, run: Path, output: Path, progress: Progress = silent
) -> dict:
    """Train on `datasets`, keep resumable state in `run`, write the checkpoint to `output`.

    Returns:
        The facts stored in the checkpoint: configuration, seconds, validation metrics.

    Raises:
        ValueError: episodes are too few or too short, or of datasets that cannot be joined; latents of true state do
            not fit it; or `run` keeps the state of another run.
    """
    torch.set_num_threads(config.threads)
    torch.manual_seed(config.seed)
    run.mkdir(parents=True, exist_ok=True)
    for episodes in datasets:
        require_steps(episodes, max(config.jepa_rollout, config.rollout_length))
    training, validation = split(*datasets)
    if config.model.encoder == "state" and training.state.shape[-1] != config.model.latent_dim:
        found = f"{training.state.shape[-1]} values of true state"
        raise ValueError(f"episodes have {found}, expected latent_dim {config.model.latent_dim}; bags have none")
    model = WorldModel(training.contract, config.model).to(auto_device(config.device))
    model.joint_mean.copy_(torch.from_numpy(training.joints.mean((0, 1))))
    model.joint_std.copy_(torch.from_numpy(training.joints.std((0, 1)) + 1e-3))
    made_of = fingerprint([config], [training])
    fit = functools.partial(optimise, run=run, made_of=made_of, save_every=config.save_every, progress=progress)

    if isinstance(model.encoder, StateEncoder):
        model.encoder.fit(torch.from_numpy(training.state).flatten(0, 1).to(model.device))
    elif isinstance(model.encoder, (ConvEncoder, PretrainedEncoder)):
        model.encoder.fit(some_frames(training, config.seed).to(model.device))
    before = {}
    if config.model.body_channels:
        before["body"] = fit_body(model, training, BodyConfig(seed=config.seed, steps=config.body_steps), fit)
    if config.objective == "clone":
        seconds, latents = _clone(model, training, config, fit)
    else:
        seconds, latents = _world_model(model, training, config, fit, progress)
    if config.camera_motion:
        latents = encode_all(model, training)

    facts = {
        "version": __version__,
        "task": training.contract.name,
        "seconds": {stage: round(value) for stage, value in (before | seconds).items()},
        "config": config.model_dump(mode="json"),
        "episodes": list(training.actions.shape[:2]),
    }
    return finish(model, facts, latents, training, validation, run, output)


def finish(
    model: WorldModel, facts: dict, latents: Latents, training: Episodes, validation: Episodes, run: Path, output: Path
) -> dict:
    """Measure a trained model on what it was not trained on, calibrate its surprise there, and write it.

    Args:
        facts: what is known of it; validation metrics and calibration are added.
        latents: of the training episodes.

    Returns:
        The facts stored in the checkpoint.
    """
    held_out = encode_all(model, validation)
    facts["validation"] = probe(model, latents, training, held_out, validation)
    facts["surprise"] = calibration(model, [validation], [held_out], "play")
    save_checkpoint(output, model, facts)
    (run / "metrics.json").write_text(json.dumps(facts, indent=2))
    return facts


def _clone(model: WorldModel, training: Episodes, config: TrainConfig, fit: Fit) -> tuple[dict[str, float], Latents]:
    """The baseline: encoder and policy alone; then the policy on the encoder's latents, as with a world model."""
    model.train()
    parameters = [*model.encoder.parameters(), *model.policy.parameters()]
    loss = CloneLoss(model, training, config)
    clone = fit("clone", model, parameters, loss, config.jepa_steps, config.jepa_lr)
    latents = encode_all(model, training, config.camera_motion)
    return {"clone": clone, "policy": fit_policy(model, latents, training.attempts, config, fit)}, latents


def _world_model(
    model: WorldModel, training: Episodes, config: TrainConfig, fit: Fit, progress: Progress
) -> tuple[dict[str, float], Latents]:
    """All stages; returns the seconds each took, and the latents that all but the first were trained on."""
    seconds: dict[str, float] = {}
    sees = not isinstance(model.encoder, StateEncoder)
    if sees and not isinstance(model.encoder, PretrainedEncoder):
        gazes = unexplained(model, training, progress) if model.config.conv_fovea else None
        model.train()  # after that, which looks in evaluation mode
        parameters = [*model.encoder.parameters(), *model.predictor.parameters()]
        if config.imitation_weight:
            parameters += model.policy.parameters()
        telling, trained = None, nn.ModuleDict({"model": model})
        if config.proprioception_weight:
            trained["telling"] = telling = nn.Linear(config.model.latent_dim, model.joint_mean.numel()).to(model.device)
            parameters += telling.parameters()
        loss = JEPALoss(model, training, config, gazes, telling)
        muon = {"muon_lr": config.jepa_muon_lr, "muons": wide}
        seconds["jepa"] = fit("jepa", trained, parameters, loss, config.jepa_steps, config.jepa_lr, **muon)

    latents = encode_all(model, training, config.camera_motion)
    seconds["predictor"] = fit_predictor(model, latents, config, fit)
    seconds |= fit_heads(model, latents, training.attempts, config, fit, progress)
    if sees:
        parameters = [*model.decoder.parameters()]
        decode = ImageLoss(model.decoder, latents.latents, training.frames, (config.seed, 3), config.decoder_batch)
        seconds["decoder"] = fit("decoder", model, parameters, decode, config.decoder_steps, 1e-3)
    return seconds, latents


def some_frames(episodes: Episodes, seed: int) -> Tensor:
    """(N, S, S, C) uint8, of all episodes."""
    frames = episodes.frames.reshape(-1, *episodes.frames.shape[2:])
    which = np.random.default_rng([seed, 6]).choice(len(frames), min(len(frames), _FITTED_FRAMES), replace=False)
    return torch.from_numpy(frames[np.sort(which)])


def calibration(
    model: WorldModel,
    nominal: Sequence[Episodes],
    latents: Sequence[Latents],
    kind: str,
    late: float = LATE,
    other: Sequence[Latents] = (),
    whiten_other: bool = True,
    progress: Progress = silent,
) -> dict:
    """Of surprise, as the checkpoint stores it, on episodes the model was not trained on.

    Args:
        latents: of these episodes.
        kind: what they are of.
        late, other, whiten_other: see `calibrate`.
    """
    harmless = (
        torch.zeros(0, model.config.latent_dim, device=model.device)
        if isinstance(model.encoder, StateEncoder)
        else torch.cat([harmless_changes(model, each.frames) for each in nominal])
    )
    count = sum(len(each.actions) for each in latents)
    source = f"{count} held-out episodes of {kind}, commands up to {late:g} of a step late"
    if other:
        source += f"; uncertainty from {sum(len(each.actions) for each in other)} others besides"
        if not whiten_other:
            source += "; whitened by nominal running alone"
    return calibrate(model, latents, harmless, source, late, other, whiten_other, progress).model_dump(mode="json")
