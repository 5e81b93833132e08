"""Encoders: shapes, gradients, and independence of the batch when deployed."""

from __future__ import annotations

import pytest
import torch

from wm_planner.perception.encoder import ConvEncoder, Keypoints, make_encoder
from wm_planner.world_model.config import ModelConfig

SMALL = {
    "conv": ModelConfig(encoder="conv", conv_channels=(8, 8), conv_hidden=16, latent_dim=5),
    "conv, keypoints": ModelConfig(conv_keypoints=4, conv_channels=(8, 8), conv_hidden=16, latent_dim=5),
    "conv, standardised": ModelConfig(conv_standardise=True, conv_channels=(8, 8), conv_hidden=16, latent_dim=5),
    "vit": ModelConfig(encoder="vit", vit_width=12, vit_depth=1, vit_heads=3, vit_patch=8, latent_dim=5),
}


def _frames(batch: int, channels: int = 3, side: int = 32) -> torch.Tensor:
    return torch.randint(0, 256, (batch, side, side, channels), dtype=torch.uint8)


@pytest.mark.parametrize("kind", SMALL)
@pytest.mark.parametrize("channels", [3, 6])
def test_frames_to_latents(kind: str, channels: int) -> None:
    encoder = make_encoder(SMALL[kind], 32, channels)
    latents = encoder(_frames(4, channels))
    assert latents.shape == (4, 5)
    # Batch normalisation: every latent dimension is centred, whatever the images.
    torch.testing.assert_close(latents.mean(0), torch.zeros(5), atol=1e-4, rtol=0)


@pytest.mark.parametrize("kind", SMALL)
def test_every_weight_learns(kind: str) -> None:
    encoder = make_encoder(SMALL[kind], 32, 3)
    (encoder(_frames(8)) ** 3).sum().backward()
    # The bias before a batch normalisation cancels, and the keys' bias before a softmax.
    still = [n for n, p in encoder.named_parameters() if p.grad is None or not p.grad.abs().max() > 0]
    assert still == []


@pytest.mark.parametrize("kind", SMALL)
def test_deployed_latents_do_not_depend_on_the_batch(kind: str) -> None:
    encoder = make_encoder(SMALL[kind], 32, 3).eval()
    frames = _frames(6)
    with torch.no_grad():
        whole, alone = encoder(frames), torch.cat([encoder(f[None]) for f in frames])
    torch.testing.assert_close(whole, alone)
    assert whole.std(0).min() > 0  # different images, different latents


def test_conv_sees_an_object_move() -> None:
    encoder = make_encoder(SMALL["conv"], 32, 3).eval()
    frames = torch.zeros(2, 32, 32, 3, dtype=torch.uint8)
    frames[0, 4:10, 4:10] = 255
    frames[1, 18:24, 18:24] = 255
    with torch.no_grad():
        a, b = encoder(frames)
    assert (a - b).abs().max() > 1e-4


def test_keypoints_say_where_something_is() -> None:
    keypoints = Keypoints(1, 1)
    torch.nn.init.constant_(keypoints.maps.weight, 20.0)
    features = torch.zeros(3, 1, 5, 5)
    for image, (row, column) in enumerate([(0, 4), (2, 2), (3, 0)]):
        features[image, 0, row, column] = 1.0
    torch.testing.assert_close(keypoints(features), torch.tensor([[2.0, -2.0], [0.0, 0.0], [-2.0, 1.0]]))


def test_standardised_images_may_be_brighter() -> None:
    encoder = make_encoder(SMALL["conv, standardised"], 32, 3).eval()
    assert isinstance(encoder, ConvEncoder)
    usual = _frames(20) // 2
    encoder.fit(usual)
    dark = usual[:4] // 2
    with torch.no_grad():
        torch.testing.assert_close(encoder(dark * 2), encoder(dark), atol=1e-3, rtol=0)
        assert (encoder(255 - dark) - encoder(dark)).abs().max() > 0.01  # but not everything is the same to it


def test_usual_images_are_hardly_changed_by_standardising() -> None:
    """So a trained encoder can be told to standardise, and be trained on."""
    standardising, plain = (make_encoder(SMALL[kind], 32, 3).eval() for kind in ("conv, standardised", "conv"))
    assert isinstance(standardising, ConvEncoder)
    standardising.load_state_dict(plain.state_dict(), strict=False)
    usual = _frames(50)
    standardising.fit(usual)
    with torch.no_grad():
        change = (standardising(usual) - plain(usual)).std(0)
        assert change.max() < 0.2 * plain(usual).std(0).max()


def test_an_image_of_one_colour_has_a_latent() -> None:
    encoder = make_encoder(SMALL["conv, standardised"], 32, 3).eval()
    assert torch.isfinite(encoder(torch.full((1, 32, 32, 3), 7, dtype=torch.uint8))).all()


def test_conv_needs_a_side_it_can_halve() -> None:
    with pytest.raises(ValueError, match=r"side 30 cannot be halved 2 times"):
        make_encoder(SMALL["conv"], 30, 3)


def test_vit_needs_whole_patches() -> None:
    with pytest.raises(ValueError, match=r"30.*vit_patch 8"):
        make_encoder(SMALL["vit"], 30, 3)


def test_state_encoder_standardises() -> None:
    encoder = make_encoder(ModelConfig(encoder="state", latent_dim=3), 32, 3)
    encoder.mean.copy_(torch.tensor([1.0, 2.0, 3.0]))
    encoder.std.copy_(torch.tensor([1.0, 2.0, 4.0]))
    torch.testing.assert_close(encoder(torch.tensor([[2.0, 0.0, 3.0]])), torch.tensor([[1.0, -1.0, 0.0]]))
    assert not list(encoder.parameters())


FOVEATED = ModelConfig(
    conv_fovea=8, fovea_dim=2, body_channels=4, conv_channels=(8, 8), conv_hidden=16, conv_keypoints=4, latent_dim=5
)


def _square(x: int, y: int, colour: int) -> torch.Tensor:
    """(1, 32, 32, 3), a square of 4 px about a corner of pixels."""
    frame = torch.full((1, 32, 32, 3), 90, dtype=torch.uint8)
    frame[:, y - 2 : y + 2, x - 2 : x + 2] = colour
    return frame


def test_a_fovea_sees_what_it_looks_at() -> None:
    encoder = make_encoder(FOVEATED, 32, 3).eval()
    assert isinstance(encoder, ConvEncoder) and encoder.fovea is not None
    torch.nn.init.zeros_(encoder.fovea.point.weight)
    at = torch.tensor([-0.5, 0.25])  # pixels 8 and 20
    encoder.fovea.point.bias.data.copy_(2.0 * torch.atanh(at))
    with torch.no_grad():
        closely, gaze = zip(
            *(encoder.look(_square(*where)) for where in ((8, 20, 255), (8, 20, 0), (24, 6, 255), (24, 6, 0)))
        )
    torch.testing.assert_close(gaze[0], at[None])
    assert closely[0].shape == (1, 5)
    assert not torch.allclose(closely[0][:, 3:], closely[1][:, 3:])
    torch.testing.assert_close(closely[2][:, 3:], closely[3][:, 3:])  # elsewhere it sees nothing
    assert not torch.allclose(closely[2][:, :3], closely[3][:, :3])  # which the other latents do


def test_where_a_fovea_looks_is_not_taught_by_what_it_sees() -> None:
    encoder = make_encoder(FOVEATED, 32, 3).train()
    assert isinstance(encoder, ConvEncoder) and encoder.fovea is not None
    latents, gaze = encoder.look(_frames(6))
    latents.square().sum().backward(retain_graph=True)
    assert encoder.fovea.point.weight.grad is None
    assert gaze is not None
    gaze.sum().backward()
    assert encoder.fovea.point.weight.grad is not None


@pytest.mark.parametrize("change", [{"body_channels": 0}, {"fovea_dim": 5}, {"encoder": "vit"}])
def test_a_fovea_has_to_be_told_where_to_look(change: dict) -> None:
    with pytest.raises(ValueError, match=r"conv_fovea needs encoder 'conv', body_channels, .* found "):
        ModelConfig.model_validate(FOVEATED.model_dump() | change)


def test_a_fovea_looks_at_one_camera() -> None:
    with pytest.raises(ValueError, match="conv_fovea looks at one camera's image, found 2 cameras"):
        make_encoder(FOVEATED, 32, 6)
