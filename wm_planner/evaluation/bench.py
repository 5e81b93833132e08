"""Where planning time goes: encode, rollout, cost, search, select, against this machine's matrix peak."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from wm_planner.actor.agent import Agent, AgentConfig
from wm_planner.actor.proposals import propose
from wm_planner.cost.cost import total_cost
from wm_planner.cost.prediction import Prediction
from wm_planner.evaluation.report import percentiles
from wm_planner.world_model.checkpoint import load_checkpoint
from wm_planner.world_model.model import WorldModel


def gemm_peak(device: torch.device, size: int = 1024, repeats: int = 20) -> float:
    """GFLOP/s of the best of `repeats` square float32 matrix products: what the machine can do."""
    a = torch.randn(size, size, device=device)
    best = min(_seconds(lambda: a @ a, device) for _ in range(repeats))
    return 2 * size**3 / best / 1e9


def bench(checkpoint: Path, config: AgentConfig, threads: int, repeats: int, device: str = "auto") -> dict:
    """Time every stage `repeats` times.

    Returns:
        {"stages": {stage: {"ms": {p50, p95}, "gflop", "gflops", "share_of_peak"}}, "peak_gflops", ...}
    """
    torch.set_num_threads(threads)
    model = load_checkpoint(checkpoint, device).model.for_planning()
    contract = model.contract
    agent = Agent(model, config)
    rng = np.random.default_rng(0)
    shape = (contract.image_size, contract.image_size, 3 * len(contract.cameras))
    frame = rng.integers(0, 255, shape, np.uint8)
    joints = model.joint_mean.cpu().numpy()
    agent.set_goal(rng.integers(0, 255, shape, np.uint8))
    agent.observe(frame, joints, 0.0)
    stages = _stages(model, agent, frame, joints, config)
    peak = gemm_peak(model.device)
    measured = {name: _measure(function, model, repeats, peak) for name, function in stages.items()}
    p50 = {name: row["ms"]["p50"] for name, row in measured.items()}
    select = p50["plan"] - p50["rollout"] - p50["cost"] - (config.solver.iterations - 1) * p50["search"]
    return {
        "checkpoint": checkpoint.name,
        "device": str(model.device),
        "threads": threads,
        "peak_gflops": round(peak, 1),
        "iterations": config.solver.iterations,
        "stages": measured,
        "select_ms": round(max(select, 0.0), 2),
    }


def _stages(
    model: WorldModel, agent: Agent, frame: np.ndarray, joints: np.ndarray, config: AgentConfig
) -> dict[str, Callable[[], Any]]:
    context = agent.memory.context()
    samples = config.solver.samples
    given = torch.zeros(samples + 2, config.horizon, model.contract.action_dim, device=model.device)
    begin, fresh = context.expand(samples), given[:samples]
    generator = torch.Generator(model.device)
    goal = context.latents[0, -1]

    def first() -> Prediction:
        return propose(model, context, given, goal, config.policy_proposals, config.proposal_noise, generator)

    def search() -> Tensor:
        return total_cost(config.costs, model, Prediction(*model.rollout(begin, fresh), fresh), goal)

    predicted = first()
    policy = Agent(model, config.model_copy(update={"mode": "policy"}))
    policy.set_goal(frame)
    policy.observe(frame, joints, 0.0)
    return {
        "encode": lambda: agent.observe(frame, joints, 0.0),
        "rollout": first,  # of the policy's proposals and the first samples
        "cost": lambda: total_cost(config.costs, model, predicted, goal),
        "search": search,  # each further iteration
        "plan": lambda: agent.plan(),
        "policy (mode 1)": lambda: policy.plan(),
    }


@torch.no_grad()
def _measure(function: Callable[[], Any], model: WorldModel, repeats: int, peak: float) -> dict:
    with FlopCounterMode(display=False) as counter:
        function()
    gflop = counter.get_total_flops() / 1e9
    ms = percentiles([1000 * _seconds(function, model.device) for _ in range(repeats)])
    rate = gflop / (ms["p50"] / 1000)
    return {"ms": ms, "gflop": round(gflop, 4), "gflops": round(rate, 1), "share_of_peak": round(rate / peak, 3)}


def _seconds(function: Callable[[], Any], device: torch.device) -> float:
    began = time.perf_counter()
    function()
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - began
