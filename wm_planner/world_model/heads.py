"""Small networks over latents: predictor, policy, critic, decoder."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class ResidualMLP(nn.Module):
    """Pre-norm residual blocks between two linear maps: (..., inputs) -> (..., outputs), float32 at both ends."""

    def __init__(self, inputs: int, outputs: int, width: int, blocks: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.enter = nn.Linear(inputs, width)
        self.blocks = nn.ModuleList(
            nn.Sequential(
                nn.LayerNorm(width), nn.Linear(width, width), nn.SiLU(), nn.Dropout(dropout), nn.Linear(width, width)
            )
            for _ in range(blocks)
        )
        self.leave = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, outputs))

    def start_from_zero(self) -> None:
        """Make the untrained output zero."""
        for parameter in self.leave[1].parameters():
            nn.init.zeros_(parameter)

    def forward(self, x: Tensor) -> Tensor:
        x = self.enter(x.to(self.enter.weight.dtype))
        for block in self.blocks:
            x = x + block(x)
        return self.leave(x).float()


class ModulatedMLP(ResidualMLP):
    """The same, whose blocks the last `conditions` of the inputs scale, shift and gate (AdaLN; Peebles and Xie, 2023).

    What an action changes depends on what there is: a product, which blocks that read both side by side learn slowly.
    Untrained, it changes nothing of what the blocks do.
    """

    def __init__(
        self, inputs: int, conditions: int, outputs: int, width: int, blocks: int, dropout: float, modulation: int
    ) -> None:
        super().__init__(inputs, outputs, width, blocks, dropout)
        self._conditions = conditions
        self.read = nn.Sequential(nn.Linear(conditions, modulation), nn.SiLU())
        self.modulate = nn.Linear(modulation, blocks * 3 * width)
        for parameter in self.modulate.parameters():
            nn.init.zeros_(parameter)

    def forward(self, x: Tensor) -> Tensor:
        x = x.to(self.enter.weight.dtype)
        modulation = self.modulate(self.read(x[..., -self._conditions :])).chunk(len(self.blocks), -1)
        x = self.enter(x)
        for block, of_it in zip(self.blocks, modulation):
            scale, shift, gate = of_it.chunk(3, -1)
            norm, *layers = block.children()
            change = norm(x) * (1 + scale) + shift
            for layer in layers:
                change = layer(change)
            x = x + (1 + gate) * change
        return self.leave(x).float()


_SCALE = 10.0  # distances are tens of steps: keeps the network's own output near one


class Critic(nn.Module):
    """Temporal distance: in how many control steps one gets from latents to goals. Never negative, not symmetric."""

    def __init__(self, latent_dim: int, width: int, dropout: float) -> None:
        super().__init__()
        self.body = ResidualMLP(3 * latent_dim, 1, width, 2, dropout)

    def forward(self, latents: Tensor, goals: Tensor) -> Tensor:
        """Steps from latents to goals, broadcast: (..., D) x2 -> (...)."""
        latents, goals = torch.broadcast_tensors(latents, goals)
        pair = torch.cat([latents, goals, goals - latents], -1)
        return _SCALE * F.softplus(self.body(pair)).squeeze(-1)


class Policy(nn.Module):
    """A mixture over actions in [-1, 1]: where there are several ways to a goal, their average is none of them."""

    def __init__(self, inputs: int, action_dim: int, width: int, components: int, dropout: float) -> None:
        super().__init__()
        self._components, self._action_dim = components, action_dim
        gates = components if components > 1 else 0
        self.body = ResidualMLP(inputs, components * action_dim + gates, width, 2, dropout)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """x (B, inputs) -> log weights (B, K) and actions (B, K, A) of the components."""
        out = self.body(x)
        split = self._components * self._action_dim
        actions = torch.tanh(out[:, :split]).unflatten(1, (self._components, self._action_dim))
        gates = out[:, split:] if self._components > 1 else torch.zeros_like(out[:, :1])
        return gates.log_softmax(-1), actions


class Decoder(nn.Module):
    """Latents (B, D) to images (B, C, S, S) in [0, 1], S a multiple of 16. Shows what is imagined, never plans."""

    def __init__(self, latent_dim: int, channels: int, image_size: int, out_channels: int) -> None:
        super().__init__()
        self.side, rest = divmod(image_size, 16)
        if rest:
            raise ValueError(f"image side {image_size}, expected a multiple of 16 to be drawn; choose another resize")
        self.channels = channels
        self.enter = nn.Linear(latent_dim, channels * self.side**2)
        layers: list[nn.Module] = []
        for width in (channels, channels // 2, channels // 4):
            layers += [nn.ReLU(), nn.ConvTranspose2d(channels, width, 4, stride=2, padding=1)]
            channels = width
        layers += [nn.ReLU(), nn.ConvTranspose2d(channels, out_channels, 4, stride=2, padding=1), nn.Sigmoid()]
        self.body = nn.Sequential(*layers)

    def forward(self, latents: Tensor) -> Tensor:
        return self.body(self.enter(latents).unflatten(-1, (self.channels, self.side, self.side)))


class BodyImage(nn.Module):
    """What a camera should see while the joints are so: the robot in its pose, and of all else the average.

    Joints (B, J) normalised -> images (B, C, S, S) in [0, 1].
    """

    def __init__(self, joints: int, channels: int, image_size: int, out_channels: int) -> None:
        super().__init__()
        width = 4 * channels
        self.register_buffer("octaves", 2.0 ** torch.arange(_OCTAVES), persistent=False)
        self.octaves: Tensor
        self.read = nn.Sequential(
            nn.Linear(joints * (1 + 2 * _OCTAVES), width), nn.SiLU(), nn.Linear(width, width), nn.SiLU()
        )
        self.draw = Decoder(width, channels, image_size, out_channels)

    def forward(self, joints: Tensor) -> Tensor:
        waves = (joints[..., None] * self.octaves).flatten(1)
        return self.draw(self.read(torch.cat([joints, waves.sin(), waves.cos()], -1)))


_OCTAVES = 4  # of sines of each joint, without which edges blur (Tancik et al., 2020)
