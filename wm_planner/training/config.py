"""How a model is trained. The recipes of the shipped checkpoints are in config/training."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from wm_planner.world_model.config import ModelConfig


class StageConfig(BaseModel):
    """What every stage of training has."""

    model_config = ConfigDict(extra="forbid")

    seed: int = 0
    threads: int = Field(default=1, ge=1)
    save_every: int = Field(default=250, ge=1, description="steps between resumable checkpoints")


class RolloutConfig(StageConfig):
    """How a predictor learns long rollouts of frozen latents."""

    predictor_steps: int = Field(default=6000, ge=0)
    predictor_lr: float = 3e-4
    predictor_muon_lr: float = Field(default=0.0, ge=0, description="of its square matrices, by Muon; 0: AdamW's")
    rollout_batch: int = 64
    rollout_length: int = 10
    motion_weight: float = Field(
        default=0.0, ge=0, description="of errors along the way that latents move, besides; 0: all directions alike"
    )


class HeadsConfig(StageConfig):
    """How critic and policy learn from frozen latents."""

    critic_steps: int = Field(default=6000, ge=0)
    stitch_steps: int = Field(default=0, ge=0, description="of the critic towards shortest paths; 0: none")
    stitch_edge: float = Field(default=8.0, gt=0, description="control steps up to which the critic is trusted there")
    policy_steps: int = Field(default=6000, ge=0)
    heads_batch: int = 512
    heads_lr: float = 5e-4
    critic_quantile: float = Field(default=0.3, gt=0, lt=1, description="of the times play took: lower is bolder")


class TrainConfig(RolloutConfig, HeadsConfig):
    """Budgets are in optimiser steps, so the same configuration gives the same model on any machine.

    Stage 2, the predictor, is RolloutConfig's; stages 3 and 4, critic and policy, are HeadsConfig's.
    """

    objective: Literal["world model", "clone"] = Field("world model", description="clone: the baseline without one")
    model: ModelConfig = ModelConfig()
    device: str = "auto"
    threads: int = Field(default=2, ge=1)

    # Before all stages, where the model has a body image: how the robot looks. By it a fovea is taught where to look.
    body_steps: int = Field(default=5000, ge=1)

    # Stage 1: JEPA, end to end from pixels and joints.
    recolouring: float = Field(default=0.5, ge=0, description="strength of augmentation by light, colours, noise, blur")
    repainting: float = Field(default=0.0, ge=0, le=1, description="strength of augmentation by the colours of things")
    camera_motion: float = Field(default=0.0, ge=0, description="strength of augmentation by the camera's pose")
    jepa_steps: int = 4000
    jepa_batch: int = 96
    jepa_rollout: int = 4
    jepa_lr: float = 5e-4
    jepa_muon_lr: float = Field(default=0.0, ge=0, description="of its matrices and convolutions, by Muon; 0: AdamW's")
    sigreg_weight: float = 0.09
    sigreg_samples: int = 256
    imitation_weight: float = Field(default=0.0, ge=0, description="of telling play's actions, beside futures; 0: none")
    proprioception_weight: float = Field(
        default=0.0, ge=0, description="of telling joints from latents, linearly, beside futures; 0: none"
    )

    # Stage 5: the decoder, for looking only.
    decoder_steps: int = 1500
    decoder_batch: int = 64

    @model_validator(mode="after")
    def _fovea_can_be_taught(self) -> TrainConfig:
        if self.model.conv_fovea and (self.objective == "clone" or self.camera_motion):
            raise ValueError(
                "conv_fovea is taught where to look in images as they are, by the JEPA: expected objective "
                f"'world model' and camera_motion 0, found {self.objective!r} and {self.camera_motion:g}"
            )
        return self
