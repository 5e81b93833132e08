"""Encoders: frames to latents. Trained end to end by the JEPA, never by reconstruction; two are for comparison."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from wm_planner.perception.pretrained import PretrainedEncoder
from wm_planner.world_model.config import ModelConfig

_NO_CONTRAST = 0.01  # below this deviation an image is not made to show more


class ConvEncoder(nn.Module):
    """Strided convolutions; compact enough to train and run on two CPU cores."""

    def __init__(self, config: ModelConfig, image_size: int, in_channels: int) -> None:
        super().__init__()
        side, rest = divmod(image_size, 2 ** len(config.conv_channels))
        if rest:
            halvings = len(config.conv_channels)
            raise ValueError(f"image side {image_size} cannot be halved {halvings} times, as conv_channels asks")
        layers: list[nn.Module] = []
        channels = in_channels
        for width in config.conv_channels:
            layers += [nn.Conv2d(channels, width, 4, stride=2, padding=1), nn.ReLU()]
            channels = width
        self.standardise = Standardise(in_channels) if config.conv_standardise else None
        self._early = len(layers) - 2  # before the last convolution, where there are still places to tell apart
        layers += [nn.Flatten(), nn.Linear(channels * side**2, config.conv_hidden), nn.ReLU()]
        self.body = nn.Sequential(*layers)
        points = config.conv_keypoints
        self.keypoints = Keypoints(config.conv_channels[-2], points) if points else None
        width, side = config.conv_hidden + 2 * points, config.conv_fovea
        if side and in_channels != 3:
            raise ValueError(f"conv_fovea looks at one camera's image, found {in_channels // 3} cameras; set it to 0")
        self.fovea = Fovea(width, in_channels, image_size, side, config.fovea_dim) if side else None
        self.project = _projection(width, config.latent_dim - (config.fovea_dim if side else 0))

    def fit(self, frames: Tensor) -> None:
        """Learn from frames (N, S, S, C) uint8 what images usually are, where `conv_standardise` asks for it."""
        if self.standardise is not None:
            self.standardise.fit(_pixels(frames))

    def forward(self, frames: Tensor) -> Tensor:
        return self.look(frames)[0]

    def look(self, frames: Tensor) -> tuple[Tensor, Tensor | None]:
        """Latents (B, D), and where it looked more closely, (B, 2): x, y, -1 and 1 are the image's sides; or None."""
        pixels = _pixels(frames)
        if self.standardise is not None:
            pixels = self.standardise(pixels)
        early = self.body[: self._early](pixels)
        features = self.body[self._early :](early)
        if self.keypoints is None:
            latents = self.project(features)
        else:
            with torch.autocast(frames.device.type, enabled=False):  # a bfloat16 holds a coordinate to half a hundredth
                features = torch.cat([features.float(), self.keypoints(early.float())], 1)
                latents = self.project(features)
        if self.fovea is None:
            return latents, None
        closely, gaze = self.fovea(features.float(), pixels)
        return torch.cat([latents, closely], 1), gaze


class Fovea(nn.Module):
    """A closer look at one point of the image, where small things fill what is seen, in latents of their own.

    Where to look is told from features, and taught beside (`training/gaze.py`): no gradient comes from what is seen.
    """

    def __init__(self, features: int, channels: int, image_size: int, side: int, dims: int) -> None:
        super().__init__()
        self.point = nn.Linear(features, 2)
        nn.init.zeros_(self.point.bias)  # the middle
        along = ((torch.arange(side) + 0.5) * 2 - side) / image_size
        self.register_buffer("grid", torch.stack(torch.meshgrid(along, along, indexing="xy"), -1), persistent=False)
        self.grid: Tensor
        layers: list[nn.Module] = [nn.Conv2d(channels, 32, 3, padding=1), nn.ReLU()]
        for narrow, wide in ((32, 48), (48, 64)):
            layers += [nn.Conv2d(narrow, wide, 4, stride=2, padding=1), nn.ReLU()]
        self.body = nn.Sequential(*layers, nn.Flatten(), nn.Linear(64 * (side // 4) ** 2, 128), nn.ReLU())
        self.project = _projection(128, dims)

    def forward(self, features: Tensor, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """features (B, F), pixels (B, C, S, S) -> latents (B, dims), and where they are of, (B, 2)."""
        with torch.autocast(pixels.device.type, enabled=False):  # half a hundredth of the side is a third of a pixel
            gaze = torch.tanh(0.5 * self.point(features))
            closely = F.grid_sample(pixels.float(), self.grid + gaze.detach()[:, None, None], align_corners=False)
        return self.project(self.body(closely)), gaze


class Standardise(nn.Module):
    """Gives every image the mean and deviation, channel by channel, that images usually have (Reinhard et al., 2001).

    More light then changes nothing, and a floor of another colour little.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(channels, 1, 1))
        self.register_buffer("std", torch.ones(channels, 1, 1))
        self.mean: Tensor
        self.std: Tensor

    def fit(self, pixels: Tensor) -> None:
        """From the usual images (N, C, S, S)."""
        self.mean.copy_(pixels.mean((0, 2, 3))[:, None, None])
        self.std.copy_(pixels.std((2, 3), correction=0).mean(0)[:, None, None])

    def forward(self, pixels: Tensor) -> Tensor:
        var, mean = torch.var_mean(pixels, (2, 3), correction=0, keepdim=True)
        return (pixels - mean) * (self.std * (var + _NO_CONTRAST**2).rsqrt()) + self.mean


class Keypoints(nn.Module):
    """Image points as the mean of a softmax over each map (spatial softmax; Finn et al., 2016).

    A latent that is a linear map of such coordinates says where things are, in the image and nearly linearly.
    """

    def __init__(self, channels: int, points: int) -> None:
        super().__init__()
        self.maps = nn.Conv2d(channels, points, 1)

    def forward(self, features: Tensor) -> Tensor:
        """(B, C, S, S) -> (B, 2 K): x of all points, then y; -2 and 2 are the image's sides."""
        maps = self.maps(features)
        weights = maps.flatten(2).softmax(-1).view_as(maps)
        along = torch.linspace(-2.0, 2.0, maps.shape[-1], device=maps.device)
        return torch.cat([weights.sum(2) @ along, weights.sum(3) @ along], 1)


class ViTEncoder(nn.Module):
    """Vision transformer with mean pooling, for GPUs (Dosovitskiy et al., 2021)."""

    def __init__(self, config: ModelConfig, image_size: int, in_channels: int) -> None:
        super().__init__()
        if image_size % config.vit_patch:
            raise ValueError(f"image side {image_size} is not a multiple of vit_patch {config.vit_patch}")
        width, tokens = config.vit_width, (image_size // config.vit_patch) ** 2
        self.patch = nn.Conv2d(in_channels, width, config.vit_patch, stride=config.vit_patch)
        self.position = nn.Parameter(torch.randn(1, tokens, width) * 0.02)
        layer = nn.TransformerEncoderLayer(
            width, config.vit_heads, 4 * width, 0.0, nn.functional.gelu, batch_first=True, norm_first=True
        )
        self.blocks = nn.TransformerEncoder(layer, config.vit_depth, nn.LayerNorm(width), enable_nested_tensor=False)
        self.project = _projection(width, config.latent_dim)

    def forward(self, frames: Tensor) -> Tensor:
        tokens = self.patch(_pixels(frames)).flatten(2).transpose(1, 2) + self.position
        return self.project(self.blocks(tokens).mean(1))


class StateEncoder(nn.Module):
    """Standardises simulator state (B, K) in place of images: the ceiling perception could reach."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(config.latent_dim))
        self.register_buffer("std", torch.ones(config.latent_dim))
        self.mean: Tensor
        self.std: Tensor

    def fit(self, state: Tensor) -> None:
        """Standardise by states (N, K)."""
        self.mean.copy_(state.mean(0))
        self.std.copy_(state.std(0, correction=0) + 1e-6)

    def forward(self, state: Tensor) -> Tensor:
        return (state - self.mean) / self.std


def _pixels(frames: Tensor) -> Tensor:
    """(B, S, S, C) uint8 -> (B, C, S, S) in [-1, 1]."""
    return frames.permute(0, 3, 1, 2).float() / 127.5 - 1.0


def _projection(width: int, latent_dim: int) -> nn.Module:
    # BatchNorm, not LayerNorm: LayerNorm's fixed norm fights SIGReg's Gaussian (LeWM).
    return nn.Sequential(nn.Linear(width, latent_dim), nn.BatchNorm1d(latent_dim, affine=False))


def make_encoder(config: ModelConfig, image_size: int, in_channels: int) -> nn.Module:
    """Encoder from frames (B, S, S, C) uint8 to latents (B, D)."""
    if config.encoder == "state":
        return StateEncoder(config)
    if config.encoder == "pretrained":
        return PretrainedEncoder(config, in_channels)
    return {"conv": ConvEncoder, "vit": ViTEncoder}[config.encoder](config, image_size, in_channels)
