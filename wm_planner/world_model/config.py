"""Sizes of the world model. Changing these, and nothing else, gives a CPU or a GPU model."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator


class ModelConfig(BaseModel):
    """Architecture; travels in the checkpoint."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    encoder: Literal["conv", "vit", "pretrained", "state"] = "conv"
    conv_channels: tuple[int, ...] = Field(default=(32, 48, 96, 160), min_length=2)
    conv_keypoints: int = Field(default=0, ge=0, description="image points whose coordinates join the features")
    conv_hidden: int = 384
    conv_fovea: int = Field(
        default=0, ge=0, multiple_of=4, description="side, pixels, of a closer look at what is not the robot; 0: none"
    )
    fovea_dim: int = Field(default=64, gt=0, description="how many of the latents say what is seen there")
    conv_standardise: bool = Field(default=False, description="of images: give each the usual mean and deviation")
    vit_width: int = 192
    vit_depth: int = 12
    vit_heads: int = 3
    vit_patch: int = 8
    latent_dim: int = Field(default=128, gt=0)
    predictor_width: int = 384
    predictor_blocks: int = 3
    predictor_modulation: int = Field(
        default=0, ge=0, description="width of what joints and actions modulate its blocks by; 0: they are inputs only"
    )
    predictor_dropout: float = Field(default=0.1, ge=0, lt=1, description="while it is trained with the encoder")
    head_width: int = 320
    head_dropout: float = Field(default=0.1, ge=0, lt=1, description="of critic and policy")
    policy_components: int = Field(default=6, ge=1, description="ways of acting the policy keeps apart")
    decoder_channels: int = 96
    body_channels: int = Field(
        default=0, ge=0, description="of what a camera should see in a pose of the joints; 0: none"
    )

    @model_validator(mode="after")
    def _fovea_fits(self) -> ModelConfig:
        if not self.conv_fovea:
            return self
        if self.encoder != "conv" or not self.body_channels or self.fovea_dim >= self.latent_dim:
            raise ValueError(
                "conv_fovea needs encoder 'conv', body_channels, which tell it where to look, and latent_dim over "
                f"fovea_dim; found {self.encoder!r}, {self.body_channels}, {self.latent_dim} and {self.fovea_dim}"
            )
        return self
