"""The pretrained encoder: components of ImageNet features, fitted and otherwise left alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from wm_planner.perception.encoder import make_encoder
from wm_planner.perception.pretrained import PretrainedEncoder
from wm_planner.world_model.config import ModelConfig

pytest.importorskip("efficientnet_lite_pytorch", reason="the baselines are not installed")


def _scenes(count: int, rng: np.random.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Images (N, 64, 64, 3) of a bright square on grey, and where it is (N, 2)."""
    frames = torch.full((count, 64, 64, 3), 90, dtype=torch.uint8)
    places = torch.from_numpy(rng.integers(0, 48, (count, 2)))
    for frame, (x, y) in zip(frames, places.tolist()):
        frame[y : y + 12, x : x + 12] = torch.tensor([230, 60, 40], dtype=torch.uint8)
    return frames, places.float()


def _encoder(channels: int = 3) -> PretrainedEncoder:
    encoder = make_encoder(ModelConfig(encoder="pretrained", latent_dim=16), 64, channels)
    assert isinstance(encoder, PretrainedEncoder)
    return encoder


def test_latents_hold_where_things_are(rng: np.random.Generator) -> None:
    encoder = _encoder()
    frames, places = _scenes(192, rng)
    encoder.fit(frames[:128])
    latents = encoder(frames)
    assert latents[:128].mean(0).abs().max() < 1e-3
    assert latents[:128].square().mean().item() == pytest.approx(1.0, rel=1e-3)
    inputs = torch.cat([latents, torch.ones(192, 1)], 1)
    predicted = inputs[128:] @ torch.linalg.lstsq(inputs[:128], places[:128]).solution
    error = (predicted - places[128:]).norm(dim=1).median()
    assert error < 0.5 * (places[128:] - places[:128].mean(0)).norm(dim=1).median()


def test_nothing_of_it_is_trained(rng: np.random.Generator) -> None:
    encoder = _encoder()
    frames, _ = _scenes(24, rng)
    encoder.fit(frames)
    encoder.train()  # as training does with a model
    assert not any(p.requires_grad for p in encoder.parameters())
    torch.testing.assert_close(encoder(frames)[:1], encoder(frames[:1]), atol=1e-4, rtol=1e-3)  # no batch statistics


def test_cameras_are_seen_side_by_side(rng: np.random.Generator) -> None:
    encoder = _encoder(channels=6)
    frames, _ = _scenes(40, rng)
    pairs = torch.cat([frames[:20], frames[20:]], -1)
    encoder.fit(pairs)
    assert encoder(pairs).shape == (20, 16)
    assert not torch.allclose(encoder(pairs), encoder(pairs.roll(3, -1)))


def test_too_few_images_are_refused(rng: np.random.Generator) -> None:
    with pytest.raises(ValueError, match="8 images to fit 16 components to"):
        _encoder().fit(_scenes(8, rng)[0])
