"""The resumable optimisation loop all stages share."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.utils.tensorboard import SummaryWriter

from wm_planner.training.optimiser import Choice, Optimisers, make_optimisers, square
from wm_planner.world_model.checkpoint import CheckpointError, load_tensors, save_tensors

Progress = Callable[[str, int, int, dict[str, float]], None]
Fit = Callable[..., float]  # `optimise` of one run


def silent(stage: str, done: int, total: int, losses: dict[str, float]) -> None:
    """A progress callback that shows nothing."""


def optimise(
    stage: str,
    module: nn.Module,
    parameters: list[nn.Parameter],
    loss: Callable[[int], dict[str, Tensor]],
    steps: int,
    lr: float,
    run: Path,
    made_of: str,
    save_every: int,
    progress: Progress,
    muon_lr: float = 0.0,
    muons: Choice = square,
) -> float:
    """Minimise the sum of `loss(step)`'s terms with a warmed-up cosine schedule; see `make_optimisers`.

    A killed run continues from `run/<stage>.safetensors`. `loss` must draw its randomness from `step`, so
    that a resumed run sees the batches it would have seen.

    Args:
        made_of: `fingerprint` of all that the stage comes of, `steps` and learning rates included.

    Returns:
        Seconds this stage has taken, over all its runs.

    Raises:
        CheckpointError: what there is to continue from was made of something else.
    """
    optimisers = make_optimisers(parameters, lr, muon_lr, muons)
    warmup = max(1, min(200, steps // 10))

    def schedule(step: int) -> float:
        cosine = 0.5 * (1 + torch.cos(torch.tensor(torch.pi * min(step, steps) / steps)).item())
        return min(1.0, (step + 1) / warmup) * (0.02 + 0.98 * cosine)

    path, made_of = run / f"{stage}.safetensors", f"{stage} {made_of}"
    start, spent = _resume(path, made_of, module, optimisers) if path.is_file() else (0, 0.0)
    peaks = [(group, group["lr"]) for optimiser in optimisers.values() for group in optimiser.param_groups]
    began = time.monotonic()
    writer = SummaryWriter(str(run / "tensorboard"))
    for step in range(start, steps):
        for group, peak in peaks:
            group["lr"] = peak * schedule(step)
        terms = loss(step)
        total = torch.stack(list(terms.values())).sum()
        if not torch.isfinite(total):
            values = {k: float(v.detach()) for k, v in terms.items()}
            raise FloatingPointError(f"{stage} step {step}: loss is {values}; lower the learning rate")
        for optimiser in optimisers.values():
            optimiser.zero_grad(set_to_none=True)
        total.backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        for optimiser in optimisers.values():
            optimiser.step()
        if step % 20 == 0 or step + 1 == steps:
            values = {k: float(v.detach()) for k, v in terms.items()}
            for name, value in values.items():
                writer.add_scalar(f"{stage}/{name}", value, step)
            progress(stage, step + 1, steps, values)
        if (step + 1) % save_every == 0 or step + 1 == steps:
            _save(path, made_of, module, optimisers, step + 1, spent + time.monotonic() - began)
    writer.close()
    return spent + time.monotonic() - began


def _save(path: Path, made_of: str, module: nn.Module, optimisers: Optimisers, step: int, seconds: float) -> None:
    tensors = {f"module.{k}": v for k, v in module.state_dict().items()}
    for name, optimiser in optimisers.items():
        for index, state in optimiser.state_dict()["state"].items():
            tensors |= {f"{name}.{index}.{k}": v for k, v in state.items()}
    save_tensors(path, tensors, {"step": str(step), "seconds": f"{seconds:.1f}", "made_of": made_of})


def _resume(path: Path, made_of: str, module: nn.Module, optimisers: Optimisers) -> tuple[int, float]:
    tensors, metadata = load_tensors(path)
    if metadata.get("made_of") != made_of:
        raise CheckpointError(
            f"{path} was made from other data, settings or another model than these, or by an earlier version; "
            "expected what this run left there: choose another --run, or delete it and what later stages left beside it"
        )
    module.load_state_dict({k.removeprefix("module."): v for k, v in tensors.items() if k.startswith("module.")})
    for kind, optimiser in optimisers.items():
        state: dict[int, dict[str, Tensor]] = {}
        for key, value in tensors.items():
            if key.startswith(f"{kind}."):
                _, index, name = key.split(".")
                state.setdefault(int(index), {})[name] = value
        optimiser.load_state_dict({"state": state, "param_groups": optimiser.state_dict()["param_groups"]})
    return int(metadata["step"]), float(metadata["seconds"])
