"""Settings of the agent on the command line."""

from __future__ import annotations

from wm_planner.actor.agent import AgentConfig
from wm_planner.cli.common import agent_config


def test_a_cost_that_is_not_named_keeps_its_weight() -> None:
    config = agent_config(["costs.latent_l2=0", "solver.name=cem", "horizon=7"])
    assert config.costs == AgentConfig().costs | {"latent_l2": 0.0}
    assert config.solver == AgentConfig().solver.model_copy(update={"name": "cem"})
    assert config.horizon == 7
