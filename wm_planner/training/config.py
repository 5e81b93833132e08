"""How a model is trained. The defaults are the recipe of the shipped checkpoints."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from wm_planner.world_model.config import ModelConfig


class TrainConfig(BaseModel):
    """Budgets are in optimiser steps, so the same configuration gives the same model on any machine."""

    model_config = ConfigDict(extra="forbid")

    model: ModelConfig = ModelConfig()
    seed: int = 0
    device: str = "auto"
    threads: int = Field(default=2, ge=1)
    save_every: int = Field(default=250, ge=1, description="steps between resumable checkpoints")

    # Stage 1: JEPA, end to end from pixels and joints.
    jepa_steps: int = 4000
    jepa_batch: int = 96
    jepa_rollout: int = 4
    jepa_lr: float = 5e-4
    sigreg_weight: float = 0.09
    sigreg_samples: int = 256

    # Stage 2: the predictor over long rollouts of frozen latents.
    predictor_steps: int = 6000
    predictor_lr: float = 3e-4
    rollout_batch: int = 64
    rollout_length: int = 10

    # Stage 3: critic and policy on frozen latents.
    heads_steps: int = 8000
    heads_batch: int = 512
    heads_lr: float = 3e-4
    goal_steps: float = Field(default=20.0, description="mean distance of hindsight goals, control steps")
    discount: float = 0.98
    expectile: float = 0.7
    advantage_temperature: float = 0.5
    target_rate: float = 0.005

    # Stage 4: the decoder, for looking only.
    decoder_steps: int = 1500
    decoder_batch: int = 64
