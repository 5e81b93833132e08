"""The world model: encoder, action-conditioned latent predictor, and the heads that read its latents."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from wm_planner.configurator.contract import Contract
from wm_planner.perception.encoder import ConvEncoder, make_encoder
from wm_planner.world_model.config import ModelConfig
from wm_planner.world_model.heads import BodyImage, Critic, Decoder, ModulatedMLP, Policy, ResidualMLP
from wm_planner.world_model.precision import half_precision


class Context(NamedTuple):
    """What the predictor sees: C past observations, oldest first, and the C - 1 actions between them.

    latents (B, C, D), joints (B, C, J) normalised, actions (B, C - 1, A) normalised.
    """

    latents: Tensor
    joints: Tensor
    actions: Tensor

    def shift(self, latent: Tensor, joints: Tensor, action: Tensor) -> Context:
        """The context one step later."""
        return Context(
            torch.cat([self.latents[:, 1:], latent.unsqueeze(1)], 1),
            torch.cat([self.joints[:, 1:], joints.unsqueeze(1)], 1),
            torch.cat([self.actions, action.unsqueeze(1)], 1)[:, 1:],
        )

    def expand(self, batch: int) -> Context:
        """A context of batch 1 repeated without copying."""
        return Context(*(t.expand(batch, *t.shape[1:]) for t in self))


def _make_predictor(config: ModelConfig, latents: int, conditions: int, outputs: int) -> ResidualMLP:
    """From latents and, behind them, joints and actions."""
    sizes = config.predictor_width, config.predictor_blocks, config.predictor_dropout
    if not config.predictor_modulation:
        return ResidualMLP(latents + conditions, outputs, *sizes)
    return ModulatedMLP(latents + conditions, conditions, outputs, *sizes, config.predictor_modulation)


def _pick(actions: Tensor, index: Tensor) -> Tensor:
    """One of K actions per row: (B, K, A), (B,) -> (B, A)."""
    return actions[torch.arange(len(actions), device=actions.device), index]


class WorldModel(nn.Module):
    """JEPA over one contract: latents of images, predicted under actions (LeCun, 2022; LeWM, 2026).

    The predictor also predicts the joints, which it reads as proprioception beside the latents.
    """

    def __init__(self, contract: Contract, config: ModelConfig) -> None:
        super().__init__()
        self.contract, self.config = contract, config
        d, a, j, c = config.latent_dim, contract.action_dim, len(contract.joints.names), contract.context_length
        channels = 3 * len(contract.cameras)
        self.encoder = make_encoder(config, contract.image_size, channels)
        self.predictor = _make_predictor(config, c * d, c * (j + a), d + j)
        self.predictor.start_from_zero()  # "nothing changes"
        self.policy = Policy(2 * d + j, a, config.head_width, config.policy_components, config.head_dropout)
        self.critic = Critic(d, config.head_width, config.head_dropout)
        if config.encoder != "state":
            self.decoder = Decoder(d, config.decoder_channels, contract.image_size, channels)
        if config.body_channels:
            self.body = BodyImage(j, config.body_channels, contract.image_size, channels)
        self.register_buffer("joint_mean", torch.zeros(j))
        self.register_buffer("joint_std", torch.ones(j))
        self.joint_mean: Tensor
        self.joint_std: Tensor

    def for_planning(self) -> WorldModel:
        """This model, with what planning calls often in bf16 where the machine has it; latents stay float32."""
        if half_precision(self.device):
            for part in (self.predictor, self.policy, self.critic):
                part.to(torch.bfloat16)
        return self

    @property
    def device(self) -> torch.device:
        return self.joint_mean.device

    def encode(self, frames: Tensor) -> Tensor:
        """frames: (B, S, S, C) uint8 (a "state" model: (B, D) floats) -> latents (B, D)."""
        return self.encoder(frames)

    def look(self, frames: Tensor) -> tuple[Tensor, Tensor | None]:
        """Latents, and where a closer look was taken, (B, 2): x, y, -1 and 1 are the image's sides; None: nowhere."""
        if isinstance(self.encoder, ConvEncoder):
            return self.encoder.look(frames)
        return self.encode(frames), None

    def normalise_joints(self, joints: Tensor) -> Tensor:
        """Radians (..., J) -> zero mean, unit deviation over the training data."""
        return (joints - self.joint_mean) / self.joint_std

    def step(self, context: Context, action: Tensor) -> tuple[Tensor, Tensor]:
        """One step ahead under `action` (B, A): next latent (B, D) and joints (B, J)."""
        x = torch.cat([context.latents.flatten(1), context.joints.flatten(1), context.actions.flatten(1), action], 1)
        d = self.config.latent_dim
        change = self.predictor(x)
        return context.latents[:, -1] + change[:, :d], context.joints[:, -1] + change[:, d:]

    def rollout(self, context: Context, actions: Tensor) -> tuple[Tensor, Tensor]:
        """Open-loop prediction under actions (B, H, A): latents (B, H, D), joints (B, H, J)."""
        latents, joints = [], []
        for action in actions.unbind(1):
            latent, q = self.step(context, action)
            context = context.shift(latent, q, action)
            latents.append(latent)
            joints.append(q)
        return torch.stack(latents, 1), torch.stack(joints, 1)

    def propose(self, latent: Tensor, joints: Tensor, goal: Tensor, generator: torch.Generator) -> Tensor:
        """Mode 1: what the reactive policy would do. The first row is its likeliest action, the others are drawn.

        latent, goal (B, D), joints (B, J) -> (B, A) in [-1, 1].
        """
        weights, actions = self.policy(torch.cat([latent, goal, joints], -1))
        drawn = torch.multinomial(weights.exp(), 1, generator=generator).squeeze(-1)
        drawn[0] = weights[0].argmax()
        return _pick(actions, drawn)

    def distance(self, latents: Tensor, goals: Tensor) -> Tensor:
        """Learned temporal distance, control steps, broadcast: (..., D) x2 -> (...)."""
        return self.critic(latents, goals)

    def imagine(self, latents: Tensor) -> Tensor:
        """Latents (B, D) to uint8 images (B, S, S, C), for people to look at."""
        return _images(self.decoder(latents))

    def expect(self, joints: Tensor) -> Tensor:
        """What the cameras should see while joints (B, J), normalised, are so: (B, S, S, C) uint8."""
        return _images(self.body(joints))


def _images(pixels: Tensor) -> Tensor:
    """(B, C, S, S) in [0, 1] -> (B, S, S, C) uint8."""
    return (pixels.permute(0, 2, 3, 1) * 255.0).round().to(torch.uint8)
