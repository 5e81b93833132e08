"""A last stage, over a trained model: its encoder learns to see the same in other light, colours and from elsewhere.

The encoder as it was is the teacher (Hinton et al., 2015): of one moment seen twice, what it makes of the nominal image
is what its successor has to make of both. Latents mean what they did, so critic, policy and decoder stay; the predictor
learns the small ways in which they differ. What bears other looks is prone to bear what was never there, too; so it can
be made to be surprised by that, and not by what is harmless.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from wm_planner.data.dataset import Episodes, joined
from wm_planner.perception.encoder import ConvEncoder
from wm_planner.training.augment import recoloured, with_intruders
from wm_planner.training.config import RolloutConfig
from wm_planner.training.fingerprint import fingerprint
from wm_planner.training.gaze import gaze_loss, gazes_of
from wm_planner.training.loop import Progress, optimise, silent
from wm_planner.training.optimiser import wide
from wm_planner.training.predictor import fit_predictor
from wm_planner.training.split import trained_on
from wm_planner.training.train import encode_all, finish, require_steps, some_frames
from wm_planner.world_model.checkpoint import Checkpoint
from wm_planner.world_model.model import WorldModel
from wm_planner.world_model.precision import half_precision
from wm_planner.world_model.surprise import HORIZONS, STOP, Calibration

_ELSEWHERE = 0.01  # share of episodes in which physics may take another course: contacts remember what was before


class DistilConfig(RolloutConfig):
    """Budgets are in optimiser steps, as in TrainConfig."""

    recolouring: float = Field(default=0.5, ge=0, description="strength of augmentation by light, colours, noise, blur")
    repainting: float = Field(default=0.5, ge=0, le=1, description="strength of augmentation by the colours of things")
    standardise: bool = Field(default=False, description="have the encoder standardise images, should its teacher not")
    steps: int = Field(default=14000, ge=1)
    batch: int = Field(default=384, ge=8, description="moments: half seen otherwise, a quarter nominally but augmented")
    plain_weight: float = Field(default=1.0, gt=0, description="of the nominal images that are not augmented")
    intruder_weight: float = Field(default=0.0, ge=0, description="of being surprised by what was never there; 0: none")
    intruder_surprise: float = Field(
        default=2.0, gt=0, description="that they ought to cause, in thresholds of stopping"
    )
    harmless_weight: float = Field(
        default=1.0, gt=0, description="of not being surprised by what is harmless, if shown"
    )
    lr: float = 5e-4
    muon_lr: float = Field(
        default=0.0, ge=0, description="of the encoder's matrices and convolutions, by Muon; 0: AdamW's"
    )
    predictor_steps: int = 10000
    predictor_lr: float = 1e-3
    rollout_batch: int = 128


class DistilLoss:
    """Draws moments and returns the loss terms of one optimiser step.

    nominal: (N, T+1, S, S, C) uint8; views: (M, T+1, S, S, C) of the first M <= N of these episodes; latents:
    (N, T+1, D) that the teacher makes of the nominal ones; calibration: of its surprise, where that counts; gazes:
    (N, T+1, 2), where the teacher takes a closer look, if it does; harmless:
    (M', T+1, S, S, C) of the first M' <= N of these episodes.
    """

    def __init__(
        self,
        model: WorldModel,
        nominal: np.ndarray,
        views: np.ndarray,
        latents: Tensor,
        config: DistilConfig,
        calibration: Calibration | None = None,
        harmless: np.ndarray | None = None,
        gazes: Tensor | None = None,
    ) -> None:
        self._model, self._nominal, self._views, self._latents, self._gazes = model, nominal, views, latents, gazes
        self._config, self._harmless = config, harmless
        self._startle = _startle(model, calibration) if calibration else None

    def __call__(self, step: int) -> dict[str, Tensor]:
        cfg, model = self._config, self._model
        rng = np.random.default_rng([cfg.seed, 7, step])
        torch.manual_seed(int(rng.integers(2**31)))
        half = cfg.batch // 2
        index = rng.integers(self._nominal.shape[1], size=cfg.batch)
        ours = rng.integers(len(self._nominal), size=half)
        theirs = rng.integers(len(self._views), size=cfg.batch - half)
        nominal, views = self._nominal[ours, index[:half]], self._views[theirs, index[half:]]
        frames = torch.from_numpy(np.concatenate([nominal, views])).to(model.device)
        changed = recoloured(frames[half // 2 :, None], cfg.recolouring, cfg.repainting)[:, 0]
        latents, gaze = self._look(torch.cat([frames[: half // 2], changed]))
        episode = np.concatenate([ours, theirs])
        wanted = self._latents[episode, index]
        error = (latents - wanted).square().mean(-1) / cfg.batch
        plain, augmented, otherwise = error.tensor_split((half // 2, half))
        terms = {"plain": cfg.plain_weight * plain.sum(), "augmented": augmented.sum(), "views": otherwise.sum()}
        if gaze is not None and self._gazes is not None:
            terms["gaze"] = gaze_loss(gaze, self._gazes[episode, index])
        if self._startle is not None and cfg.intruder_weight:
            eighth = torch.arange(cfg.batch // 8)
            visited = torch.cat([eighth, half + eighth])
            terms["intruders"] = cfg.intruder_weight * self._unnoticed(frames[visited], wanted[visited], self._startle)
        if self._startle is not None and self._harmless is not None:
            moments = rng.integers(self._harmless.shape[:2], size=(cfg.batch // 4, 2)).T
            terms["harmless"] = cfg.harmless_weight * self._minded(self._harmless, moments, self._startle)
        return terms

    def _encode(self, frames: Tensor) -> Tensor:
        return self._look(frames)[0]

    def _look(self, frames: Tensor) -> tuple[Tensor, Tensor | None]:
        model = self._model
        with torch.autocast(model.device.type, torch.bfloat16, enabled=half_precision(model.device)):
            latents, gaze = model.look(frames)
        return latents.float(), gaze

    def _unnoticed(self, frames: Tensor, wanted: Tensor, startle: Tensor) -> Tensor:
        """How far intruders are from the surprise they ought to cause, from 0 to 1, in frames (2 N, S, S, C): the first
        half nominal, the others seen otherwise, which are augmented besides.
        """
        plain, otherwise = with_intruders(frames[:, None]).chunk(2)
        otherwise = recoloured(otherwise, self._config.recolouring, self._config.repainting)
        change = self._encode(torch.cat([plain, otherwise])[:, 0]) - wanted
        stops = (change @ startle) / self._config.intruder_surprise
        return (1.0 - stops.square().sum(-1)).clamp(min=0.0).square().mean()

    def _minded(self, harmless: np.ndarray, moments: np.ndarray, startle: Tensor) -> Tensor:
        """Mean square of the surprise, in thresholds of stopping, at the harmless changes of moments (2, N)."""
        episode, index = moments
        frames = torch.from_numpy(harmless[episode, index]).to(self._model.device)
        return ((self._encode(frames) - self._latents[episode, index]) @ startle).square().sum(-1).mean()


def distil(
    student: Checkpoint,
    datasets: Sequence[Episodes],
    views: Episodes,
    config: DistilConfig,
    run: Path,
    output: Path,
    progress: Progress = silent,
    harmless: Episodes | None = None,
    teacher: WorldModel | None = None,
) -> dict:
    """Train the student's encoder further, then its predictor; keep resumable state in `run`, write `output`.

    Args:
        student: the model; its calibration says what surprises it.
        datasets: episodes as the teacher saw them; best those it was trained on, of which the same are then held out.
        views: the first of these episodes or all, dataset by dataset, seen otherwise; `Randomisation` makes them.
        harmless: the first of these episodes or all, changed so that nothing should surprise; None: not trained for.
        teacher: whose latents are to be met: what the student was distilled from; None: the student as it is.

    Returns:
        The facts stored in the checkpoint: the student's, how well the latents are met, and validation metrics.

    Raises:
        ValueError: they are not of the same moments, too short, too few of a dataset, or of datasets that cannot be
            joined; surprise is to change of a student whose surprise is not calibrated; the student was not distilled
            from this teacher; or `run` keeps the state of another run.
    """
    moments = joined([episodes.without_frames() for episodes in datasets])
    same = _same_moments(moments, views, "views")
    if harmless is not None:
        same &= _same_moments(moments, harmless, "harmless changes")
    require_steps(moments, config.rollout_length)
    torch.set_num_threads(config.threads)
    model, facts = student
    teacher = model if teacher is None else teacher
    _same_meaning(model, teacher)
    run.mkdir(parents=True, exist_ok=True)
    unseen, shown = _held_out(datasets, len(same), "episodes"), same[: len(views.actions)]
    unseen_views = _held_out(datasets, len(shown), "views of a dataset")
    training, validation = _chosen(datasets, same & ~unseen), _chosen(datasets, same & unseen)
    other, held_out = _chosen([views], shown & ~unseen_views), _chosen([views], shown & unseen_views)
    unminded = None if harmless is None else _chosen([harmless], (same & ~unseen)[: len(harmless.actions)])
    wanted = encode_all(teacher, validation).latents
    wanted_of_views = encode_all(teacher, _chosen(datasets, shown & unseen_views)).latents
    before = _missed(encode_all(model, held_out).latents, wanted_of_views)
    taught = encode_all(teacher, training).latents
    if config.standardise and not model.config.conv_standardise:
        model = _standardising(model, some_frames(training, config.seed))
    calibration = _calibration(facts) if config.intruder_weight or harmless is not None else None
    made_of = fingerprint(
        [config, *([calibration] if calibration else [])],
        [training, other, *([unminded] if unminded else [])],
        [student.model, teacher],
    )
    fit = functools.partial(optimise, run=run, made_of=made_of, save_every=config.save_every, progress=progress)
    harmless_frames = None if unminded is None else unminded.frames
    gazes = gazes_of(teacher, training)
    loss = DistilLoss(model, training.frames, other.frames, taught, config, calibration, harmless_frames, gazes)

    # In evaluation mode: batches of mixed images are not to move the normalisation of the latents.
    encoder = model.encoder.requires_grad_(True)
    parameters = [*encoder.parameters()]
    seconds = fit("distil", encoder, parameters, loss, config.steps, config.lr, muon_lr=config.muon_lr, muons=wide)
    encoder.requires_grad_(False)
    latents = encode_all(model, training)
    further = fit_predictor(model, latents, config, fit)
    earlier = {"earlier": facts["distilled"]} if "distilled" in facts else {}
    facts["distilled"] = {
        "config": config.model_dump(mode="json"),
        "seconds": {"encoder": round(seconds), "predictor": round(further)},
        "episodes": list(training.actions.shape[:2]),
        "episodes of views": len(other.actions),
        "episodes of harmless changes": 0 if unminded is None else len(unminded.actions),
        "missed": {
            "views, before": before,
            "views": _missed(encode_all(model, held_out).latents, wanted_of_views),
            "nominal": _missed(encode_all(model, validation).latents, wanted),
        },
        **earlier,
    }
    return finish(model, facts, latents, training, validation, run, output)


def _standardising(model: WorldModel, frames: Tensor) -> WorldModel:
    """A model with the same weights whose encoder gives every image the mean and deviation of `frames`."""
    student = WorldModel(model.contract, model.config.model_copy(update={"conv_standardise": True})).to(model.device)
    if not isinstance(student.encoder, ConvEncoder):
        raise ValueError(f"encoder {model.config.encoder!r} cannot standardise images, expected 'conv'")
    student.load_state_dict(model.state_dict(), strict=False)  # all but what images usually are
    student.encoder.fit(frames.to(model.device))
    return student.eval().requires_grad_(False)


def _calibration(facts: dict) -> Calibration:
    """Of the student's surprise."""
    if "surprise" not in facts:
        raise ValueError(
            "the surprise of the model to distil is not calibrated, expected so for intruders and what is harmless; "
            "run `wm_planner calibrate` on it first"
        )
    return Calibration.model_validate(facts["surprise"])


def _startle(model: WorldModel, calibration: Calibration) -> Tensor:
    """Matrix (D, D + J): a change of latents that just stops the robot becomes a vector of norm 1."""
    size = model.config.latent_dim + len(model.contract.joints.names)
    whitening = calibration.matrices(size)[min(HORIZONS)][: model.config.latent_dim].to(model.device)
    return whitening / (calibration.threshold(STOP) * size**0.5)


def _same_meaning(student: WorldModel, teacher: WorldModel) -> None:
    """Of their latents: what is distilled from a model keeps its policy, which reads them."""
    ours, theirs = student.policy.state_dict(), teacher.policy.state_dict()
    if any(ours[name].shape != theirs[name].shape or not torch.equal(ours[name], theirs[name]) for name in ours):
        raise ValueError(
            "the model has another policy than the teacher, so its latents mean something else; expected the model "
            "that it was distilled from, or another distilled from that"
        )


def _held_out(datasets: Sequence[Episodes], shown: int, what: str) -> np.ndarray:
    """Which of the first `shown` episodes of datasets are held out, (shown,) bool: of each the last, as in `split`.

    Raises:
        ValueError: those of one dataset are too few; names them as `what`.
    """
    ends = np.cumsum([0, *(len(episodes.actions) for episodes in datasets)])
    counts = np.diff(np.minimum(ends, shown))
    return np.concatenate([np.arange(n) >= trained_on(n, what) for n in counts if n or not shown])


def _chosen(datasets: Sequence[Episodes], which: np.ndarray) -> Episodes:
    """Those of the first M episodes of datasets that `which` (M,) bool says.

    Raises:
        ValueError: there is none.
    """
    parts = []
    for episodes in datasets:
        n = len(episodes.actions)
        index, which = np.flatnonzero(which[:n]), which[n:]
        if len(index):
            first, end = int(index[0]), int(index[-1]) + 1
            # A slice leaves the frames of a file where they are: they may be more than fit in memory.
            parts.append(episodes.part(slice(first, end) if len(index) == end - first else index))
    if not parts:
        raise ValueError("no episode is left whose moments are the same, expected some; collect more")
    return joined(parts)


def _same_moments(nominal: Episodes, others: Episodes, what: str) -> np.ndarray:
    """Which episodes (N,) of the nominal ones the others show, but for a few in which physics took another course."""
    if nominal.contract != others.contract:
        raise ValueError(
            f"{what} were collected under contract {others.contract.name!r}, the data under {nominal.contract.name!r} "
            "or another version of it; collect both with the same task"
        )
    n = len(others.actions)
    same = np.ones(len(nominal.actions), bool)
    for name in ("joints", "actions"):
        ours, theirs = getattr(nominal, name), getattr(others, name)
        if ours[:n].shape == theirs.shape:
            same[:n] &= np.isclose(ours[:n], theirs, atol=1e-4).all((1, 2))
        if ours[:n].shape != theirs.shape or (~same).sum() > max(1.0, _ELSEWHERE * n):
            raise ValueError(
                f"{name} of the {what} {theirs.shape} are not those of the data's {ours.shape} first episodes, "
                "expected the same moments; collect both with the same task, seed, steps and no more episodes"
            )
    return same


def _missed(latents: Tensor, wanted: Tensor) -> float:
    """Share of the variance of latents (N, T+1, D) that is not met."""
    variance = (wanted - wanted.mean((0, 1))).square().mean()
    return round(float((latents - wanted).square().mean() / variance), 4)
