"""The benchmark's arithmetic; its speeds are nobody's assertion."""

from __future__ import annotations

from pathlib import Path

from wm_planner.actor.agent import AgentConfig
from wm_planner.actor.solver import SolverConfig
from wm_planner.evaluation.bench import bench
from wm_planner.world_model.checkpoint import save_checkpoint
from wm_planner.world_model.model import WorldModel


def test_counts_the_work_of_every_stage(small_model: WorldModel, tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    save_checkpoint(path, small_model, {})
    config = AgentConfig(horizon=4, policy_proposals=4, solver=SolverConfig(samples=12, iterations=2, elites=4))
    result = bench(path, config, threads=1, repeats=2, device="cpu")
    assert set(result["stages"]) == {"encode", "rollout", "cost", "search", "plan", "policy (mode 1)"}
    predictor = 2 * sum(m.weight.numel() for m in small_model.predictor.modules() if hasattr(m, "in_features"))
    rollout = result["stages"]["rollout"]["gflop"] * 1e9
    policy = 2 * sum(m.weight.numel() for m in small_model.policy.modules() if hasattr(m, "in_features"))
    assert abs(rollout - 4 * ((4 + 12 + 2) * predictor + 4 * policy)) < 0.02 * rollout + 1e5
    assert all(stage["ms"]["p50"] > 0 for stage in result["stages"].values())
    assert result["peak_gflops"] > 0
