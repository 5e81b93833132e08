"""Image augmentation: what the encoder must not mind.

Colours, brightness, noise and blur change from frame to frame, so nothing in the future can be predicted from
them and the latents have no reason to hold them. The camera's pose changes from window to window: within one
it stands still, as on a robot.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from wm_planner.training.intruder import intruded
from wm_planner.training.repaint import repainted

MIXING = 0.2  # of colour channels, standard deviation
CONTRAST = 0.35  # gains are drawn from 1 +- this
BRIGHTNESS = 0.15  # offsets, as a fraction of full scale
NOISE = 0.04  # largest standard deviation of pixel noise, as a fraction of full scale
SHIFT = 0.09  # of the camera, as a fraction of half the image
ZOOM = 0.06
ROLL = 0.09  # rad


def augment(frames: Tensor, recolouring: float, repainting: float, camera_motion: float) -> Tensor:
    """Augment windows of frames: a third of images keep light, half keep paint, half the windows their camera.

    Args:
        frames: (B, L, S, S, C) uint8, C a multiple of 3.
        recolouring: scales changes of light, colours, noise and blur; 0: none.
        repainting: scales changes of the colour of one thing or another; 0: none.
        camera_motion: scales changes of the camera's pose; 0: none.

    Returns:
        (B, L, S, S, C) uint8. Draws from torch's global generator.
    """
    return recoloured(moved_camera(frames, camera_motion), recolouring, repainting)


def moved_camera(frames: Tensor, strength: float) -> Tensor:
    """`augment` without the changes of colour."""
    return frames if strength == 0 else _bytes(_moved(_pixels(frames), strength))


def recoloured(frames: Tensor, recolouring: float, repainting: float) -> Tensor:
    """`augment` without the movement of the camera."""
    if recolouring == repainting == 0:
        return frames

    def some_recoloured(images: Tensor) -> Tensor:
        for share, change, strength in ((1 / 2, repainted, repainting), (2 / 3, _photometric, recolouring)):
            changed = _some(len(images), share if strength else 0.0, images.device)
            if len(changed):
                images[changed] = change(images[changed], strength)
        return images

    return _imagewise(frames, some_recoloured)


def with_intruders(frames: Tensor) -> Tensor:
    """Frames (B, L, S, S, C) uint8 with something in each that was never there. Draws from torch's global generator."""
    return _imagewise(frames, intruded)


def _imagewise(frames: Tensor, change: Callable[[Tensor], Tensor]) -> Tensor:
    """Frames (B, L, S, S, C) uint8 after a change of images (N, 3, S, S) in [0, 1], one for each camera and moment."""
    pixels = _pixels(frames)
    return _bytes(change(pixels.reshape(-1, 3, *pixels.shape[-2:])).view(pixels.shape))


def _pixels(frames: Tensor) -> Tensor:
    """(B, L, S, S, C) uint8 -> (B, L, C, S, S) in [0, 1]."""
    return frames.permute(0, 1, 4, 2, 3).float().div_(255.0)


def _bytes(pixels: Tensor) -> Tensor:
    """(B, L, C, S, S) -> (B, L, S, S, C) uint8."""
    return pixels.clamp(0.0, 1.0).mul_(255.0).round_().to(torch.uint8).permute(0, 1, 3, 4, 2)


def _some(count: int, share: float, device: torch.device) -> Tensor:
    """Indices of a random share of `count` images."""
    return torch.nonzero(torch.rand(count, device=device) < share).squeeze(-1)


def _moved(pixels: Tensor, strength: float) -> Tensor:
    """Shift, roll and zoom each window (B, L, C, S, S) as one, half of them."""
    b, length = pixels.shape[:2]
    draw = (2.0 * torch.rand(4, b, device=pixels.device) - 1.0) * strength * (torch.rand(b, device=pixels.device) < 0.5)
    zoom, roll = 1.0 + ZOOM * draw[0], ROLL * draw[1]
    cos, sin = zoom * roll.cos(), zoom * roll.sin()
    theta = torch.stack([cos, -sin, SHIFT * draw[2], sin, cos, SHIFT * draw[3]], -1).unflatten(-1, (2, 3))
    size = pixels.shape[-1]
    grid = F.affine_grid(theta, [b, 1, size, size], align_corners=False)
    moved = F.grid_sample(pixels.flatten(1, 2), grid, padding_mode="border", align_corners=False)
    return moved.unflatten(1, (length, -1))


def _photometric(images: Tensor, strength: float) -> Tensor:
    """Change the colours of every image (N, 3, S, S); then blur a quarter and add noise."""
    n, size, device = len(images), images.shape[-1], images.device
    flat = images.flatten(2)
    gain = 1.0 + CONTRAST * strength * (2.0 * torch.rand(n, 3, 1, device=device) - 1.0)
    offset = BRIGHTNESS * strength * (2.0 * torch.rand(n, 3, 1, device=device) - 1.0)
    mixing = gain * (torch.eye(3, device=device) + MIXING * strength * torch.randn(n, 3, 3, device=device))
    middle = flat.mean(-1, keepdim=True)  # turn colours about the image's own, so that contrast stays
    images = torch.baddbmm(middle + offset - mixing @ middle, mixing, flat).view_as(images)
    blurred = _some(n, 1 / 4, device)
    images[blurred] = F.avg_pool2d(images[blurred], 3, stride=1, padding=1, count_include_pad=False)
    # A few noise images serve all: drawing one for each would cost more than everything else here.
    noise = torch.randn(32, 3, size, size, device=device)[torch.randint(32, (n,), device=device)]
    return images.addcmul_(noise, NOISE * strength * torch.rand(n, 1, 1, 1, device=device))
